"""The style card: every decision about a piece that is taken before a note is written."""

from dataclasses import dataclass

from magenta_rt_py.train.studio.genre import Genre
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.harmony import NOTE_NAMES
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, FRAME_SAMPLES, FRAMES_PER_MINUTE, STEMS

KINDS = ("full", "solo", "stem")  # an arrangement, one instrument alone, one stem of an arrangement alone


@dataclass(frozen=True, kw_only=True)
class StyleCard:
    """A piece's style."""

    genre: str  # a key of GENRES
    kind: str = "full"  # one of KINDS; solos and stems never rest
    seed: int  # drives what the composer still has to choose
    samples: int  # length at 48 kHz
    frames_per_beat: int  # codec frames of 40 ms
    loop_beats: int = BEATS_PER_BAR  # beats that one groove string spans: 4, or 8 at half and 2 at double time
    swing_ticks: int = 0  # 10 ms by which every second sixteenth is late
    key: int  # pitch class of the tonic, 0..11
    mode: str  # a key of harmony.MODES
    chords: tuple[str, ...]  # Roman numerals, repeated
    cast: dict[str, str]  # instrument by pitched stem; absent stems never play
    drums: bool = True  # False leaves the genre's kit out
    form: str = "steady"  # a key of form.FORMS
    drum_variant: int  # index into Genre.drums
    bass_figure: str
    approach: str = "none"  # one of bass.APPROACHES
    comp_figure: str
    comp_turn: str = "same"  # one of comping.TURNS
    lead_figure: str
    melody: str = "AABA"  # a key of melody.MELODY_FORMS
    motif_bars: int = 2  # length of a motif, 1 or 2
    mood: str
    brightness: float  # 0 dark .. 1 brilliant
    density: float  # 0 sparse .. 1 busy

    @property
    def spec(self) -> Genre:
        """The genre's row of the table."""
        return GENRES[self.genre]

    @property
    def bpm(self) -> float:
        """Beats per minute; drum and bass counts at half time."""
        return FRAMES_PER_MINUTE / self.frames_per_beat

    @property
    def beat_samples(self) -> int:
        """Samples in a beat."""
        return self.frames_per_beat * FRAME_SAMPLES

    @property
    def bar_samples(self) -> int:
        """Samples in a bar."""
        return BEATS_PER_BAR * self.beat_samples

    @property
    def bars(self) -> int:
        """Bars needed to fill the piece; the last may be cut short."""
        return -(-self.samples // self.bar_samples)

    @property
    def chord_beats(self) -> int:
        """Beats that one chord lasts."""
        return max(self.spec.chord_beats, self.loop_beats)

    @property
    def key_name(self) -> str:
        """For example "F# minor"."""
        return f"{NOTE_NAMES[self.key]} {self.mode}"

    @property
    def stems(self) -> tuple[str, ...]:
        """Stems that this piece has."""
        return tuple(stem for stem in STEMS if (self.drums and self.spec.kit if stem == "drums" else stem in self.cast))
