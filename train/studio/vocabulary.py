"""The words captions are made of. Whole sentences that the evaluation asks with must not be assembled from them."""

from magenta_rt_py.train.studio.vocabulary_band import BAND_WORDS
from magenta_rt_py.train.studio.vocabulary_club import CLUB_WORDS
from magenta_rt_py.train.studio.vocabulary_entry import GenreWords
from magenta_rt_py.train.studio.vocabulary_more import MORE_WORDS
from magenta_rt_py.train.studio.vocabulary_starter import STARTER_WORDS
from magenta_rt_py.train.studio.vocabulary_world import WORLD_WORDS

WORDS: dict[str, GenreWords] = STARTER_WORDS | MORE_WORDS | CLUB_WORDS | BAND_WORDS | WORLD_WORDS

INFINITY = float("inf")

TEMPO_WORDS = (  # below this many beats a minute
    (85.0, ("slow", "very slow", "unhurried", "slow-paced", "leisurely")),
    (100.0, ("slow", "mid-tempo", "easy going", "medium slow", "relaxed tempo")),
    (122.0, ("mid-tempo", "steady", "medium tempo", "moderate", "walking pace")),
    (140.0, ("upbeat", "fast", "driving tempo", "uptempo", "quick")),
    (INFINITY, ("fast", "very fast", "rapid", "high speed", "uptempo", "racing")),
)
BRIGHTNESS_WORDS = (  # below this brightness
    (0.25, ("dark", "muffled", "dull", "soft and dark", "low passed")),
    (0.45, ("warm", "rounded", "muted", "soft toned")),
    (0.65, ("balanced", "clear", "natural", "open")),
    (0.85, ("bright", "crisp", "shiny", "airy")),
    (INFINITY, ("brilliant", "very bright", "sparkling", "sharp")),
)
DENSITY_WORDS = (  # below this density
    (0.25, ("sparse", "minimal", "stripped back", "simple")),
    (0.75, ("steady", "even", "regular")),
    (INFINITY, ("busy", "dense", "full", "intricate")),
)
