"""Ways in and out: sound cards, MIDI, OSC. Each optional library is imported when it is first needed.

Audio files are read and written by `magenta_rt_py.audio`.
"""
