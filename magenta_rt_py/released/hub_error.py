"""What goes wrong between here and the hub, as one line that says what to do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from magenta_rt_py.errors import MrtError

MAX_REASON_CHARACTERS = 120


class FetchError(MrtError):
    """Released files could not be fetched.

    Attributes:
      unreachable: whether the hub could not be reached at all, so that files fetched earlier may stand in.
    """

    def __init__(self, message: str, *, unreachable: bool = False) -> None:
        """See the class."""
        super().__init__(message)
        self.unreachable = unreachable


@contextlib.contextmanager
def asking(repository: str, revision: str, *, file: str | None = None) -> Iterator[None]:
    """Turns whatever the hub's library raises into a FetchError.

    The library's transport has changed its errors' classes with every major version, and some are no OSError, so all are
    caught here; the original stays attached.
    """
    try:
        yield
    except (FetchError, AttributeError, NameError, TypeError):  # the last three are mistakes in this program
        raise
    except Exception as error:
        raise _explained(error, repository, revision, file) from error


def _explained(error: Exception, repository: str, revision: str, file: str | None) -> FetchError:
    from huggingface_hub import errors

    what = f"{repository}/{file}" if file else repository
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return FetchError(
            f"{what}: access is granted on request only; ask for it on https://huggingface.co/{repository}, then "
            "`hf auth login` or set HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return FetchError(f"{repository} has no revision {revision!r}; leave --revision out or give a branch, tag or commit")
    if isinstance(error, errors.EntryNotFoundError):
        return FetchError(f"{what} is not there at revision {revision!r}; try another --revision")
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        return FetchError(
            f"{what}: the hub answers {status or 'no'}: no such repository, or no access; if a token is set (HF_TOKEN, "
            "`hf auth whoami`), renew or remove it"
        )
    if status is not None:
        return FetchError(f"{what}: the hub answers {status}; wait a minute and run the same command again")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FetchError(
            f"{what}: the disk is full; make room and run the same command again: it goes on from where it was, or use --dir"
        )
    if isinstance(error, PermissionError | NotADirectoryError | FileExistsError):
        return FetchError(f"{what}: cannot be written ({short(error)}); choose another --dir, or set HF_HOME")
    return FetchError(
        f"{what}: the hub cannot be reached ({short(error)}); check the network and run the same command again, or use "
        "--offline if the files are here already",
        unreachable=True,
    )


def short(error: Exception) -> str:
    """An error's own words, in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= MAX_REASON_CHARACTERS else f"{text[: MAX_REASON_CHARACTERS - 3]}..."
