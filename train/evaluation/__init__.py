"""Honest measurements of the chain: steering, beat and codec round trip.

prompts: the ten fixed prompts. audio_metrics: how far two sounds are apart.
rhythm: pulse and tempo from audio alone. descriptor, probe: the independent
judge of genre. renders: held-out studio pieces and their codec round trip.
takes, steering, beat, codec_report: the three programs of `mrtpy eval`.
"""
