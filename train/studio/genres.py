"""All genres of the studio by name."""

from magenta_rt_py.train.studio.genre import Genre
from magenta_rt_py.train.studio.more_genres import MORE_TABLE
from magenta_rt_py.train.studio.starter_genres import STARTER_TABLE

GENRES: dict[str, Genre] = STARTER_TABLE | MORE_TABLE
STARTER_GENRES = tuple(STARTER_TABLE)  # in the order in which models number them
