"""The live engine: it keeps a stream alive while people steer it. It knows neither JAX nor any model.

Every live system here is one machine with other numbers: request k, asked at unit t, reads the units before t and yields
`horizon` units from t + look_ahead on; the next follows `interval` units later; what is newest is played, what is older
is kept as backup.

    plan, feasibility, prediction   the numbers, whether they can work, and what to expect of them   (pure)
    transport, midi_clock, turns    bars and beats, and whose turn it is                             (pure; follower: state)
    clock, worker, overload         time, the device, and what to do when it is too slow
    timeline, merge                 what will be played, and how new takes over from old
    triggers, engine                when a request is made, and the loop over all of this
    latency, metrics, simulator     how long requests take, how well it went, and both without a model

A model takes part as a `generator.Generator`. docs/live.md tells the rules in words.
"""
