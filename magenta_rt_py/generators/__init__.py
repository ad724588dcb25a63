"""What makes a model a live generator.

`codec_lm.generate_chunk` is the machine: a pure function from a state to the next state and its sound.
`system.load` and `stream.Stream` are the stateful shell around it, for people who do not want to carry the state.
"""
