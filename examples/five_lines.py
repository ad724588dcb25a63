"""Loads the starter, blends two prompts, streams chunks: writes five_lines.flac in the current folder."""

import numpy as np

import magenta_rt_py as mrt

model = mrt.load()
style = model.mix({"lofi hip hop": 1.0, "techno": 0.5})
stream = model.stream(style, seed=1, bpm=125.0)
take = np.concatenate(list(stream.chunks(5)))
mrt.write("five_lines.flac", take, mrt.SAMPLE_RATE)
