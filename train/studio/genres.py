"""All genres of the studio by name, and which of them models are trained on."""

from magenta_rt_py.train.studio.band_genres import BAND_TABLE
from magenta_rt_py.train.studio.club_genres import CLUB_TABLE
from magenta_rt_py.train.studio.genre import Genre
from magenta_rt_py.train.studio.more_genres import MORE_TABLE
from magenta_rt_py.train.studio.starter_genres import STARTER_TABLE
from magenta_rt_py.train.studio.world_genres import FINETUNE_TABLE, WORLD_TABLE

_TRAINED = STARTER_TABLE | MORE_TABLE | CLUB_TABLE | BAND_TABLE | WORLD_TABLE

GENRES: dict[str, Genre] = _TRAINED | FINETUNE_TABLE
STARTER_GENRES: tuple[str, ...] = tuple(_TRAINED)
"""What the starter is trained on, in the order in which models number them."""
FINETUNE_GENRES: tuple[str, ...] = tuple(FINETUNE_TABLE)
"""What no starter ever hears: new styles for fine-tuning to learn."""
