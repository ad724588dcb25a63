"""Workbench: what all parts of the evaluation share: the model, held-out renders, takes, the probe; each made once.

    bundle, sizes -> takes, renders, noise, as `Heard` -> sections

Every take, render and round trip is a unit that is kept (`units`): a run that is cut off goes on where it was. Stateful:
it holds loaded models, and what has been heard in this run.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from magenta_rt_py.generators import system
from magenta_rt_py.train.evaluation import features, probe, probe_data, prompts, renders, takes, units
from magenta_rt_py.train.evaluation.features import Heard
from magenta_rt_py.train.evaluation.outside import Hook
from magenta_rt_py.train.evaluation.prompts import EvaluationPrompt
from magenta_rt_py.train.evaluation.renders import Sound

Say = Callable[[str], None]

MAKING_PARTS = ("codec", "generators", "lm", "nn", "style")
"""Parts of the package whose sources decide what a take sounds like."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    seeds: tuple[int, ...] = prompts.EVALUATION_SEEDS
    """Takes a prompt."""
    take_seconds: float = prompts.TAKE_SECONDS
    true_pieces: int = 6
    """Held-out renders a genre beside the takes; twice as many as takes makes each half as large as they are."""
    probe_pieces: int = 12
    """Held-out renders a genre that train the probe."""
    probe_seconds: float = 30.0
    codec_pieces: int = 2
    """Held-out renders a genre of the codec's round trip, over all genres of the starter; two or more, so that there is
    another's round trip to compare with."""
    codec_seconds: float = 10.0
    transition_pairs: int = 32
    transition_seconds: float = 60.0
    fixed_seconds: float = 14.0
    """Takes whose style never changes, of the ends of transitions and of their blends."""
    live_minutes: float = 10.0
    live_takes: int = 3
    clock_minutes: float = 10.0
    clock_prompts: int = 1
    style_pieces: int = 2
    """Held-out renders a genre as audio prompts."""


def quick() -> Sizes:
    """For two cores, under 40 minutes."""
    return Sizes()


def full() -> Sizes:
    """All of it, with narrower intervals."""
    return Sizes(
        true_pieces=12, probe_pieces=40, codec_pieces=4, transition_pairs=128, live_takes=6, clock_prompts=3, style_pieces=6
    )


SIZES: dict[str, Callable[[], Sizes]] = {"quick": quick, "full": full}


class Workbench:
    """Models and measured sounds.

    Attributes:
      sizes: how much is measured.
      checksum: of the bundle, first digits.
      say: told what is being done.
      units: what is kept.
      workers: processes that render; None is one a core.
      hooks: other programs' models.
      prompts: those that are judged.
    """

    def __init__(
        self,
        bundle: pathlib.Path | None,
        *,
        sizes: Sizes,
        say: Say = lambda line: None,
        workers: int | None = None,
        hooks: Sequence[Hook] = (),
        num_prompts: int | None = None,
        takes_folder: pathlib.Path | None = None,
    ) -> None:
        """Opens the bundle; models are loaded when they are needed.

        Args:
          bundle: a directory; None is the starter.
          sizes: how much is measured.
          say: told what is being done, a line at a time.
          workers: processes that render; None is one a core.
          hooks: other programs' models, asked about every sound.
          num_prompts: only the first so many prompts; None takes all.
          takes_folder: where takes are kept as FLAC; those that are not there are made, also if they were measured before.
        Raises:
          ValueError: if there are not so many prompts.
          BundleError: if there is no whole bundle.
        """
        every = prompts.EVALUATION_PROMPTS
        if num_prompts is not None and not 2 <= num_prompts <= len(every):
            raise ValueError(f"got {num_prompts} prompts, expected 2..{len(every)}; a judge needs something to choose from")
        self.prompts = every[:num_prompts]
        self.takes_folder = takes_folder
        self.bundle = system.open_bundle(bundle)
        self.sizes = sizes
        self.say = say
        self.workers = workers
        self.hooks = tuple(hooks)
        self.checksum = _checksum(self.bundle)
        key = f"{self.checksum} {_sources()}"
        self.units = units.Units(units.cache_folder() / "units", key=key)

    @functools.cached_property
    def model(self) -> Any:
        """The loaded bundle."""
        self.say("loading the model")
        return system.load(self.bundle)

    @functools.cached_property
    def codec(self) -> Any:
        """The bundle's codec alone."""
        return system.load_codec(self.bundle)

    @property
    def genres(self) -> tuple[str, ...]:
        """Genres of the prompts, in order."""
        return tuple(prompt.genre for prompt in self.prompts)

    @functools.cached_property
    def probe_rows(self) -> probe_data.ProbeData:
        """What the probe learns from."""
        return probe_data.cached_probe_data(
            self.genres,
            self.codec,
            pieces_per_genre=self.sizes.probe_pieces,
            seconds=self.sizes.probe_seconds,
            workers=self.workers,
            progress=self.say,
        )

    @functools.cached_property
    def probe(self) -> probe.Probe:
        """The independent judge of genre."""
        return probe.train_probe(self.probe_rows.descriptors, self.probe_rows.genre_ids, genres=self.genres)

    def hear(self, sound: Sound, *, text: str = "") -> Heard:
        """Measures one sound with all that this workbench has."""
        others = {hook.name: hook for hook in self.hooks}
        return features.hear(sound, self.model.embed, text=text, others=others)

    def takes(self, chosen: Sequence[EvaluationPrompt] | None = None, *, style_masked: bool = False) -> list[Heard]:
        """Every prompt with every fixed seed; with a masked style every second prompt with the first seed alone."""
        seeds = self.sizes.seeds[:1] if style_masked else self.sizes.seeds
        asked = self.prompts if chosen is None else chosen
        if style_masked:
            asked = [prompt for prompt in asked if self.prompts.index(prompt) % 2 == 0]
        heard = []
        for prompt in asked:
            for seed in seeds:
                heard.append(self._take(prompt, seed, style_masked))
                self.say(f"takes: {len(heard)}{' without style' if style_masked else ''}, {prompt.text}")
        return heard

    def sets(self, chosen: Sequence[EvaluationPrompt] | None = None) -> dict[str, list[Heard]]:
        """Takes of all or of the chosen prompts, their ceilings and floors, by the names of `tables.SETS`."""
        return {
            "takes": self.takes(chosen),
            "true_renders": self.true_renders,
            "round_trip": self.round_trips,
            "style_masked": self.takes(chosen, style_masked=True),
            "noise": self.noise,
        }

    def _take(self, prompt: EvaluationPrompt, seed: int, style_masked: bool) -> Heard:
        seconds = self.sizes.take_seconds
        kept = None if self.takes_folder is None or style_masked else self.takes_folder / takes.file_name(prompt.genre, seed)

        def make() -> units.Record:
            sound = takes.generate_take(self.model, prompt, seed=seed, seconds=seconds, style_masked=style_masked)
            if kept is not None:
                takes.save(kept, sound)
            return self.hear(sound, text=prompt.text).to_record()

        settings = {
            **dataclasses.asdict(prompt),
            "seed": seed,
            "seconds": seconds,
            "masked": style_masked,
            "hooks": self._hook_names,
        }
        is_missing = kept is not None and not kept.exists()
        return Heard.from_record(self.units.get("take", settings, make, anew=is_missing))

    @functools.cached_property
    def true_renders(self) -> list[Heard]:
        """Held-out pieces that neither the models nor the probe were trained on, genre by genre."""
        return self._renders("render", lambda sounds: sounds)

    @functools.cached_property
    def round_trips(self) -> list[Heard]:
        """Every second of them, those that are compared with the others in `quality`, through the codec at 16 levels."""
        return self._renders("round_trip", lambda sounds: renders.round_trip(self.codec, sounds[1::2], levels=16))

    def _renders(self, name: str, treat: Callable[[list[Sound]], Iterable[Sound]]) -> list[Heard]:
        """Pieces of each genre as one unit: rendering one is quick, starting processes is not."""
        heard = []
        for index, genre in enumerate(self.genres):
            settings = {
                "genre": genre,
                "index": index,
                "pieces": self.sizes.true_pieces,
                "seconds": self.sizes.take_seconds,
                "hooks": self._hook_names,
                "studio": units.studio_sources(),
            }
            record = self.units.get(name, settings, functools.partial(self._render_unit, genre, index, treat))
            heard += unpack(record)
            self.say(f"{name.replace('_', ' ')}: {index + 1}/{len(self.genres)} {genre}")
        return heard

    def _render_unit(self, genre: str, index: int, treat: Callable[[list[Sound]], Iterable[Sound]]) -> units.Record:
        # The genre's place decides its seeds: each genre has its own.
        first = renders.PROBE_TEST_SEED + index * renders.SEEDS_PER_GENRE
        sounds = renders.render_sounds(
            [genre], first_seed=first, pieces_per_genre=self.sizes.true_pieces, seconds=self.sizes.take_seconds, workers=1
        )
        return pack([self.hear(sound) for sound in treat(list(sounds))])

    @functools.cached_property
    def noise(self) -> list[Heard]:
        """Pink noise, one sound a prompt."""
        settings = {"genres": list(self.genres), "seconds": self.sizes.take_seconds, "hooks": self._hook_names}
        bpms = [prompt.bpm for prompt in self.prompts]

        def make() -> units.Record:
            sounds = renders.noise_sounds(self.genres, bpms=bpms, seconds=self.sizes.take_seconds)
            return pack([self.hear(sound) for sound in sounds])

        return unpack(self.units.get("noise", settings, make))

    @property
    def _hook_names(self) -> list[str]:
        return sorted(hook.name for hook in self.hooks)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Directions of texts in the style space, one row each."""
        return features.direction(np.stack([np.asarray(self.model.embed(text), np.float64) for text in texts]))


def pack(heard: Sequence[Heard]) -> units.Record:
    """Several sounds in one record."""
    record: units.Record = {"count": len(heard)}
    for number, one in enumerate(heard):
        record |= {f"{number}:{name}": value for name, value in one.to_record().items()}
    return record


def unpack(record: units.Record) -> list[Heard]:
    """The inverse of `pack`."""
    heard = []
    for number in range(record["count"]):
        start = f"{number}:"
        fields = {name.removeprefix(start): value for name, value in record.items() if name.startswith(start)}
        heard.append(Heard.from_record(fields))
    return heard


def _checksum(bundle: Any) -> str:
    """First digits of the hash of a bundle's index, which holds the hashes of its weights."""
    return hashlib.sha256((pathlib.Path(bundle.path) / "bundle.json").read_bytes()).hexdigest()[:12]


def _sources() -> str:
    """Hash of the sources that make and measure takes."""
    own = pathlib.Path(__file__).parent
    measuring = ("audio_metrics", "rhythm", "descriptor", "renders", "takes", "features", "random_features")
    files = [own.parent / "mel.py", *(own / f"{name}.py" for name in measuring)]
    files += [file for part in MAKING_PARTS for file in (own.parent.parent / part).glob("*.py")]
    return units.source_hash(files)
