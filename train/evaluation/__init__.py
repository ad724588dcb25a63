"""Honest measurements of the chain, each beside its ceiling and its floor.

prompts: the twenty fixed prompts. audio_metrics: how far two sounds are apart.
rhythm: pulse and tempo from audio alone. descriptor, probe: the independent
judge of genre. renders: held-out studio pieces and their codec round trip.
workbench: takes, renders and the probe, each made once and kept (units).
codec_section, style_section, steering, beat, quality, transitions, live_section:
the parts of `mrtpy eval`, each a section of its report.
"""
