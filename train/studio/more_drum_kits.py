"""Kits of electronic, latin and other genres beyond the first."""

from magenta_rt_py.train.studio.drum_voices import TR909, Drum, GmDrum, Voice, gm_kit

MORE_KITS: dict[str, dict[str, Voice]] = {
    "dubstep": {
        "kick": Drum(
            seconds=0.35,
            tone_hz=52.0,
            drop_hz=220.0,
            drop=0.018,
            tone_decay=0.1,
            noise=0.4,
            noise_band_hz=(2500.0, 9000.0),
            noise_decay=0.006,
            drive=2.0,
        ),
        "snare": Drum(
            gain=1.0,
            seconds=0.45,
            tone_hz=195.0,
            drop_hz=90.0,
            drop=0.015,
            tone_decay=0.09,
            noise=1.3,
            noise_band_hz=(900.0, 8000.0),
            noise_decay=0.13,
            drive=2.0,
        ),
        "hat": TR909["hat"],
        "open": TR909["open"],
        "crash": TR909["crash"],
    },
    "dub techno": {
        "kick": Drum(seconds=0.4, tone_hz=45.0, drop_hz=60.0, drop=0.03, tone_decay=0.14, lowpass_hz=900.0, drive=0.6),
        "hat": Drum(gain=0.16, pan=0.3, seconds=0.12, noise=1.0, noise_band_hz=(5000.0, 11000.0), noise_decay=0.035),
        "open": Drum(gain=0.12, pan=-0.3, seconds=0.5, noise=1.0, noise_band_hz=(4000.0, 10000.0), noise_decay=0.16),
        "rim": Drum(gain=0.18, pan=-0.4, seconds=0.06, tone_hz=1100.0, tone_decay=0.012, lowpass_hz=4000.0),
        "shaker": Drum(gain=0.1, pan=0.5, seconds=0.09, noise=1.0, noise_band_hz=(3000.0, 8000.0), noise_decay=0.03),
    },
    "electro": {
        "kick": Drum(
            seconds=0.7, tone_hz=47.0, drop_hz=90.0, drop=0.02, tone_decay=0.26, noise=0.1, noise_decay=0.004, drive=0.8
        ),
        "snare": Drum(
            gain=0.75,
            seconds=0.25,
            tone_hz=180.0,
            drop_hz=20.0,
            tone_decay=0.06,
            noise=1.1,
            noise_band_hz=(1500.0, 14000.0),
            noise_decay=0.06,
        ),
        "clap": TR909["clap"],
        "hat": Drum(gain=0.3, pan=0.2, seconds=0.06, metal=1.2, noise_band_hz=(7000.0, 17000.0), noise_decay=0.012),
        "open": Drum(gain=0.3, pan=0.2, seconds=0.35, metal=1.2, noise_band_hz=(7000.0, 17000.0), noise_decay=0.1),
        "cowbell": Drum(
            gain=0.35,
            pan=-0.3,
            seconds=0.35,
            tone_hz=545.0,
            tone_shape="square",
            tone_decay=0.06,
            metal=0.3,
            noise_band_hz=(700.0, 3000.0),
            noise_decay=0.07,
        ),
        "tom": Drum(gain=0.6, pan=-0.2, seconds=0.45, tone_hz=110.0, drop_hz=40.0, drop=0.06, tone_decay=0.15),
        "crash": TR909["crash"],
    },
    "garage": {
        "kick": Drum(
            seconds=0.25, tone_hz=60.0, drop_hz=160.0, drop=0.015, tone_decay=0.07, noise=0.25, noise_decay=0.005, drive=1.0
        ),
        "snare": Drum(
            gain=0.8,
            seconds=0.18,
            tone_hz=340.0,
            drop_hz=120.0,
            drop=0.008,
            tone_decay=0.025,
            noise=1.2,
            noise_band_hz=(1800.0, 13000.0),
            noise_decay=0.035,
            drive=1.0,
        ),
        "hat": Drum(
            gain=0.34, pan=0.2, seconds=0.07, noise=0.6, metal=0.8, noise_band_hz=(8500.0, 18000.0), noise_decay=0.014
        ),
        "open": Drum(
            gain=0.3, pan=0.2, seconds=0.22, noise=0.8, metal=0.5, noise_band_hz=(7500.0, 17000.0), noise_decay=0.06
        ),
        "rim": Drum(gain=0.4, pan=-0.3, seconds=0.06, tone_hz=1900.0, tone_decay=0.012, noise=0.15, noise_decay=0.004),
        "shaker": TR909["shaker"],
        "crash": TR909["crash"],
    },
    "hardstyle": {
        "kick": Drum(
            gain=1.2,
            seconds=0.36,
            tone_hz=52.0,
            drop_hz=420.0,
            drop=0.03,
            tone_decay=0.3,
            noise=0.5,
            noise_band_hz=(1500.0, 9000.0),
            noise_decay=0.008,
            drive=7.0,
        ),
        "clap": Drum(gain=0.6, seconds=0.4, noise=1.0, noise_band_hz=(1200.0, 8000.0), noise_decay=0.1, claps=3, drive=2.0),
        "open": TR909["open"],
        "hat": TR909["hat"],
        "snare": TR909["snare"],
        "crash": TR909["crash"],
    },
    "psy": {
        "kick": Drum(
            seconds=0.16, tone_hz=54.0, drop_hz=700.0, drop=0.008, tone_decay=0.055, noise=0.3, noise_decay=0.002, drive=1.2
        ),
        "hat": Drum(gain=0.3, pan=0.25, seconds=0.06, noise=1.0, noise_band_hz=(9000.0, 19000.0), noise_decay=0.012),
        "open": Drum(gain=0.36, pan=-0.2, seconds=0.16, noise=1.0, noise_band_hz=(8000.0, 19000.0), noise_decay=0.045),
        "clap": Drum(gain=0.45, seconds=0.2, noise=1.0, noise_band_hz=(1500.0, 9000.0), noise_decay=0.04, claps=2),
        "conga": Drum(gain=0.4, pan=-0.4, seconds=0.12, tone_hz=520.0, drop_hz=300.0, drop=0.012, tone_decay=0.03),
        "crash": TR909["crash"],
    },
    "phonk": {
        "kick": Drum(
            seconds=0.4, tone_hz=50.0, drop_hz=130.0, drop=0.02, tone_decay=0.13, noise=0.2, noise_decay=0.005, drive=4.0
        ),
        "clap": Drum(gain=0.7, seconds=0.3, noise=1.0, noise_band_hz=(800.0, 6000.0), noise_decay=0.08, claps=3, drive=2.0),
        "hat": Drum(
            gain=0.5, pan=0.1, seconds=0.07, noise=0.5, metal=0.9, noise_band_hz=(6000.0, 14000.0), noise_decay=0.016
        ),
        "open": Drum(gain=0.35, seconds=0.3, noise=0.6, metal=0.8, noise_band_hz=(6000.0, 14000.0), noise_decay=0.09),
        "cowbell": Drum(gain=0.4, pan=0.2, seconds=0.25, tone_hz=800.0, tone_shape="square", tone_decay=0.05),
    },
    "trip hop": {
        "kick": Drum(
            gain=1.0,
            seconds=0.35,
            tone_hz=55.0,
            drop_hz=80.0,
            drop=0.02,
            tone_decay=0.1,
            noise=0.5,
            noise_band_hz=(300.0, 3500.0),
            noise_decay=0.02,
            drive=1.5,
        ),
        "snare": Drum(
            gain=0.9,
            seconds=0.5,
            tone_hz=175.0,
            drop_hz=40.0,
            tone_decay=0.09,
            noise=1.4,
            noise_band_hz=(600.0, 8000.0),
            noise_decay=0.16,
            drive=1.2,
        ),
        "hat": Drum(
            gain=0.3, pan=0.25, seconds=0.12, noise=1.0, metal=0.3, noise_band_hz=(4000.0, 10000.0), noise_decay=0.035
        ),
        "ride": Drum(
            gain=0.3, pan=-0.3, seconds=0.8, noise=0.4, metal=0.9, noise_band_hz=(3500.0, 11000.0), noise_decay=0.25
        ),
    },
    "r&b": {
        "kick": Drum(
            seconds=0.45, tone_hz=48.0, drop_hz=70.0, drop=0.02, tone_decay=0.16, noise=0.1, noise_decay=0.005, drive=0.8
        ),
        "snap": Drum(
            gain=0.75,
            pan=0.1,
            seconds=0.16,
            tone_hz=2300.0,
            tone_decay=0.008,
            noise=1.0,
            noise_band_hz=(1800.0, 7000.0),
            noise_decay=0.025,
            claps=2,
        ),
        "rim": Drum(gain=0.3, pan=-0.35, seconds=0.07, tone_hz=1500.0, tone_decay=0.015, noise=0.1, noise_decay=0.005),
        "hat": Drum(
            gain=0.36, pan=0.2, seconds=0.06, noise=0.9, metal=0.4, noise_band_hz=(9000.0, 19000.0), noise_decay=0.013
        ),
        "open": Drum(
            gain=0.25, pan=0.2, seconds=0.3, noise=0.9, metal=0.4, noise_band_hz=(8500.0, 19000.0), noise_decay=0.08
        ),
    },
    "pop": {
        "kick": Drum(
            seconds=0.28, tone_hz=56.0, drop_hz=170.0, drop=0.016, tone_decay=0.09, noise=0.3, noise_decay=0.006, drive=1.5
        ),
        "snare": Drum(
            gain=0.8,
            seconds=0.3,
            tone_hz=215.0,
            drop_hz=60.0,
            tone_decay=0.07,
            noise=1.4,
            noise_band_hz=(1200.0, 14000.0),
            noise_decay=0.09,
            claps=2,
        ),
        "clap": Drum(gain=0.55, seconds=0.3, noise=1.0, noise_band_hz=(1200.0, 9000.0), noise_decay=0.08, claps=3),
        "hat": TR909["hat"],
        "open": TR909["open"],
        "tambourine": Drum(
            gain=0.25, pan=-0.4, seconds=0.15, metal=1.0, noise=0.5, noise_band_hz=(8000.0, 18000.0), noise_decay=0.05
        ),
        "tom": TR909["tom"],
        "crash": TR909["crash"],
    },
    "dembow": {
        "kick": Drum(
            seconds=0.35, tone_hz=52.0, drop_hz=120.0, drop=0.02, tone_decay=0.12, noise=0.2, noise_decay=0.005, drive=1.5
        ),
        "snare": Drum(
            gain=0.8,
            seconds=0.2,
            tone_hz=260.0,
            drop_hz=100.0,
            drop=0.012,
            tone_decay=0.05,
            noise=0.8,
            noise_band_hz=(1500.0, 9000.0),
            noise_decay=0.05,
            drive=1.0,
        ),
        "rim": Drum(gain=0.4, pan=0.25, seconds=0.12, tone_hz=620.0, drop_hz=80.0, drop=0.01, tone_decay=0.035),
        "hat": TR909["hat"],
        "shaker": TR909["shaker"],
        "crash": TR909["crash"],
    },
    "soul": gm_kit(0)
    | {"tambourine": GmDrum(kit=0, pitch=54, gain=0.45, pan=-0.35), "crash": GmDrum(kit=8, pitch=49, gain=0.4)},
    "country": gm_kit(40) | {"snare": GmDrum(kit=40, pitch=38, gain=0.75), "kick": GmDrum(kit=0, pitch=36, gain=0.8)},
    "metal": gm_kit(16)
    | {
        "kick": Drum(
            gain=0.95,
            seconds=0.16,
            tone_hz=62.0,
            drop_hz=260.0,
            drop=0.008,
            tone_decay=0.05,
            noise=0.7,
            noise_band_hz=(2500.0, 9000.0),
            noise_decay=0.006,
            drive=1.5,
        ),
        "china": GmDrum(kit=16, pitch=52, gain=0.4, pan=0.35),
        "crash": GmDrum(kit=16, pitch=49, gain=0.55),
    },
    "latin": gm_kit(0)
    | {
        "conga": GmDrum(kit=0, pitch=63, gain=0.75, pan=-0.35),
        "slap": GmDrum(kit=0, pitch=62, gain=0.5, pan=-0.35),
        "tumba": GmDrum(kit=0, pitch=64, gain=0.75, pan=-0.2),
        "bongo": GmDrum(kit=0, pitch=60, gain=0.5, pan=0.3),
        "timbale": GmDrum(kit=0, pitch=65, gain=0.6, pan=0.15),
        "cowbell": GmDrum(kit=0, pitch=56, gain=0.45, pan=0.3),
        "clave": GmDrum(kit=0, pitch=75, gain=0.5, pan=0.1),
        "guiro": GmDrum(kit=0, pitch=73, gain=0.4, pan=0.45),
        "shaker": GmDrum(kit=0, pitch=70, gain=0.35, pan=0.45),
        "crash": GmDrum(kit=8, pitch=49, gain=0.4),
    },
    "palmas": {
        "clap": GmDrum(kit=0, pitch=39, gain=0.5, pan=0.25),
        "castanets": GmDrum(kit=0, pitch=85, gain=0.35, pan=-0.3),
        "kick": Drum(
            gain=0.8,
            seconds=0.22,
            tone_hz=82.0,
            drop_hz=50.0,
            drop=0.01,
            tone_decay=0.06,
            noise=0.2,
            noise_band_hz=(300.0, 2500.0),
            noise_decay=0.012,
        ),
        "snare": Drum(
            gain=0.5,
            pan=-0.1,
            seconds=0.16,
            tone_hz=240.0,
            tone_decay=0.02,
            noise=1.0,
            noise_band_hz=(900.0, 6000.0),
            noise_decay=0.03,
        ),
    },
    "bodhran": {
        "tom": Drum(
            gain=0.9,
            pan=-0.1,
            seconds=0.35,
            tone_hz=88.0,
            drop_hz=30.0,
            drop=0.03,
            tone_decay=0.09,
            noise=0.2,
            noise_band_hz=(200.0, 1800.0),
            noise_decay=0.02,
        ),
        "tap": Drum(
            gain=0.55,
            pan=0.1,
            seconds=0.12,
            tone_hz=210.0,
            tone_decay=0.02,
            noise=0.5,
            noise_band_hz=(900.0, 7500.0),
            noise_decay=0.015,
        ),
        "shaker": GmDrum(kit=0, pitch=70, gain=0.25, pan=0.4),
    },
    "tabla": {
        "ge": Drum(gain=0.9, pan=-0.25, seconds=0.5, tone_hz=98.0, drop_hz=-28.0, drop=0.09, tone_decay=0.16),
        "ka": Drum(
            gain=0.4,
            pan=-0.25,
            seconds=0.08,
            tone_hz=160.0,
            tone_decay=0.01,
            noise=0.8,
            noise_band_hz=(400.0, 3000.0),
            noise_decay=0.012,
        ),
        "na": Drum(
            gain=0.6,
            pan=0.25,
            seconds=0.35,
            tone_hz=415.0,
            tone_decay=0.1,
            metal=0.15,
            noise_band_hz=(600.0, 2500.0),
            noise_decay=0.05,
        ),
        "tin": Drum(gain=0.5, pan=0.25, seconds=0.5, tone_hz=311.0, tone_decay=0.17),
        "te": Drum(
            gain=0.4,
            pan=0.25,
            seconds=0.06,
            tone_hz=350.0,
            tone_decay=0.008,
            noise=1.0,
            noise_band_hz=(800.0, 5000.0),
            noise_decay=0.008,
        ),
    },
    "kendang": {
        "tom": Drum(gain=0.8, pan=-0.2, seconds=0.3, tone_hz=120.0, drop_hz=50.0, drop=0.02, tone_decay=0.08),
        "conga": Drum(
            gain=0.5,
            pan=0.2,
            seconds=0.15,
            tone_hz=390.0,
            drop_hz=60.0,
            drop=0.01,
            tone_decay=0.035,
            noise=0.2,
            noise_band_hz=(600.0, 4000.0),
            noise_decay=0.01,
        ),
        "gong": Drum(gain=0.9, seconds=2.2, tone_hz=66.0, drop_hz=4.0, drop=0.3, tone_decay=0.9),
        "kenong": Drum(gain=0.45, pan=0.3, seconds=0.8, tone_hz=520.0, tone_decay=0.25),
        "cymbal": GmDrum(kit=0, pitch=53, gain=0.3, pan=0.3),
    },
}
