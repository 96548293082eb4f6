"""The base of every error that is shown to a user without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class MsigError(Exception):
    """A mistake or a missing thing, told in a few lines: what was given, what was expected, what to do."""


def message(error: BaseException) -> str:
    """Return what an error says (a KeyError's text without the quotes that `str` puts around it)."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


@contextmanager
def told_to_the_user() -> Iterator[None]:
    """Turn the library's errors about what it was given into messages without a traceback."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        raise MsigError(message(error)) from error


def listing(names: object, limit: int = 30) -> str:
    """Return names as one line for an error message ("a, b, c"; "nothing" when there are none)."""
    items = [str(name) for name in names]  # type: ignore[attr-defined]
    shown = ", ".join(items[:limit])
    return (f"{shown}, … ({len(items) - limit} more)" if len(items) > limit else shown) or "nothing"


class TrainingDiverged(MsigError):
    """A loss or a gradient is not a finite number any more; the message says at which step, and what to do."""
