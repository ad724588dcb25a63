"""Sound card, MIDI and OSC. Nothing is here yet: they come with the live engine.

Audio files are read and written by `magenta_rt_py.audio`.
"""
