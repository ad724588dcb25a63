"""The live engine: clock and transport, timeline, plan, request scheduling, latency, record and replay.

Nothing is here yet: a later issue builds it. It will know models only through a small `Generator` protocol, and
it will import no JAX. What it will drive stands in `magenta_rt_py.generators`.
"""
