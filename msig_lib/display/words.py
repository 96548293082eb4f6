"""Sentences, inline Markdown and fingerprints shared by figures, tables and explorers."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from html import escape, unescape
from typing import TYPE_CHECKING, Any

import numpy as np

from msig_lib.errors import MsigError

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_SIGN = re.compile(r"(?<![\w.^-])-(?=\.?\d)")
_AS_WRITTEN = re.compile(r"(`[^`]*`|\$[^$]*\$)")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class DisplayError(MsigError):
    """Raised when a figure, table or explorer was asked for with something missing or misspelt."""


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def formula(content: str, options: dict[str, Any]) -> str:
        return (
            rf'<span class="math notranslate nohighlight">\({escape(content.strip(), quote=False)}\)</span>'
        )

    return MarkdownIt("commonmark", {"html": False}).use(
        dollarmath_plugin, renderer=formula, double_inline=False, allow_digits=False
    )


def inline(markdown: str) -> str:
    """Return one line of Markdown (emphasis, code, links, `$maths$`) as HTML; HTML in it is shown as text."""
    return _parser().renderInline(signs(" ".join(markdown.split())))


def plain(markdown: str) -> str:
    """Return Markdown without its markup, for labels that only assistive software reads."""
    return unescape(re.sub(r"<[^>]+>|\\[()]", "", inline(markdown))).strip()


def signs(markdown: str) -> str:
    """Return text with true minus signs before its numbers; code, maths, ranges and names stay as they are.

    >>> signs("-0.5 [-1.2, +0.3], see `-1`, 3-5")
    '−0.5 [−1.2, +0.3], see `-1`, 3-5'
    """
    parts = _AS_WRITTEN.split(markdown)
    return "".join(part if k % 2 else _SIGN.sub("−", part) for k, part in enumerate(parts))


def say(markdown: str) -> None:
    """Show a sentence whose numbers come from variables, as Markdown."""
    from IPython.display import Markdown, display

    display(Markdown(signs(markdown)))


def checked_name(name: str, what: str) -> str:
    """Return `name` when it can prefix HTML ids; raises DisplayError otherwise."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DisplayError(
            f"{what} name {name!r}: expected lower-case words joined by dashes, such as 'tail-f1'"
        )
    return name


def checked_text(text: str, what: str) -> str:
    """Return `text` when it is a text with something in it; raises DisplayError otherwise."""
    if not isinstance(text, str) or not text.strip():
        raise DisplayError(f"{what} is empty; say in a sentence what there is to see")
    return text


def digest(data: Any) -> str:
    """Return a SHA-256 (hex) of numbers, texts, arrays, tables and containers of them.

    Floats count to nine digits, so that the same data in another layout or width gives the same digest.
    """
    sha = hashlib.sha256()
    _feed(sha, data)
    return sha.hexdigest()


def _feed(sha: Any, data: Any) -> None:
    if hasattr(data, "to_dict") and hasattr(data, "columns"):  # a DataFrame
        _feed(sha, {str(name): data[name].tolist() for name in data.columns})
        _feed(sha, [str(label) for label in data.index])
    elif hasattr(data, "tolist"):  # arrays, series, NumPy scalars
        _feed(
            sha,
            data.tolist() if not hasattr(data, "index") else [data.tolist(), [str(v) for v in data.index]],
        )
    elif isinstance(data, dict):
        sha.update(b"{")
        for key in sorted(data, key=str):
            sha.update(f"{key}:".encode())
            _feed(sha, data[key])
        sha.update(b"}")
    elif isinstance(data, list | tuple):
        sha.update(b"[")
        for value in data:
            _feed(sha, value)
        sha.update(b"]")
    elif isinstance(data, float | np.floating):
        sha.update(f"{data:.9g};".encode())
    else:
        sha.update(f"{data};".encode())
