"""Tables as accessible HTML that scrolls inside itself on a narrow screen."""

from __future__ import annotations

import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from msig_lib.display.colours import FOREGROUND
from msig_lib.display.words import DisplayError, checked_text, digest, inline, plain, signs

if TYPE_CHECKING:
    import pandas as pd

Format = str | Callable[[Any], str]
MISSING = "–"
INTERVAL = re.compile(r"(\[[\u2212+-]?[\d.,]+%?), ([\u2212+-]?[\d.,]+%?\])")  # no line ends inside one


@dataclass(frozen=True)
class TableOutput:
    """A finished table: `html` for a page, `text` for a terminal."""

    html: str = field(repr=False)
    text: str = field(repr=False)
    fingerprint: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": f"{self.text}\nsha256 {self.fingerprint}"}


def table(
    df: pd.DataFrame,
    *,
    caption: str,
    formats: Mapping[Any, Format] | Format | None = None,
    highlight: str | Mapping[Any, str] | None = None,
    notes: str | Sequence[str] | None = None,
    index: bool | None = None,
) -> TableOutput:
    """Return a DataFrame as an HTML table in a focusable scroll region.

    `formats` gives a format specification (".3f", "{:.1%}") or a function for a column, or one for all
    numbers (default: three decimals; whole numbers in full). `highlight` marks the best number of a column:
    "max" or "min" for all numeric columns, or a mapping from column. `notes` are lines of Markdown below.
    The index makes the row headers unless it only counts (or `index=False`); then the first column does.
    Missing values show as a dash. Raises DisplayError for an unknown column, and for a highlight that is not
    "max" or "min".
    """
    checked_text(caption, "the caption of a table")
    for what, given in (("formats", formats), ("highlight", highlight)):
        if isinstance(given, Mapping):
            unknown = [key for key in given if key not in df.columns]
            if unknown:
                raise DisplayError(
                    f"{what} names {unknown}, which are no columns; columns: {list(df.columns)}"
                )
    best = _best(df, highlight)
    if index is None:
        index = df.index.name is not None or df.index.nlevels > 1 or df.index.dtype.kind not in "iu"
    columns = list(df.columns)
    text_columns = {k for k in range(len(columns)) if not _numeric(df.iloc[:, k])}
    lines = [_row(df, r, columns, index, formats, best, text_columns) for r in range(len(df))]
    lined = [notes] if isinstance(notes, str) else list(notes or ())
    foot = "".join(f'<p class="msig-note">{inline(line)}</p>' for line in lined)
    html = (
        f'<div class="msig-table" style="color:{FOREGROUND}">'
        f'<div class="msig-scroll" role="region" tabindex="0" aria-label="{escape(plain(caption))}" '
        'style="overflow-x:auto;max-width:100%">'
        f'<table class="msig"><caption class="mathjax_process">{inline(caption)}</caption>'
        f"<thead>{_head(df, index, text_columns)}</thead><tbody>{''.join(lines)}</tbody></table></div>"
        f"{foot}</div>"
    )
    return TableOutput(html, f"{plain(caption)}\n{df.to_string()}", digest(df))


def number(value: Any, how: Format | None = None) -> str:
    """Return a value as text: a dash when missing, by `how` when given, else three decimals or whole."""
    if value is None or (isinstance(value, float) and value != value) or str(value) in ("<NA>", "NaT"):
        return MISSING
    if callable(how):
        return str(how(value))
    if isinstance(value, bool) or type(value).__name__ == "bool_" or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if isinstance(value, numbers.Number) and not isinstance(value, str):
        if how is not None:
            text = how.format(value) if "{" in how else format(value, how)
        elif isinstance(value, numbers.Integral):
            text = f"{value:,}" if abs(int(value)) >= 10_000 else str(value)
        else:
            text = f"{value:.3f}"
        return text.replace("-", "−", 1) if text.startswith("-") else text
    return str(value)


def _numeric(column: pd.Series) -> bool:
    return column.dtype.kind in "iuf" or str(column.dtype) in ("Int64", "Float64")


def _best(df: pd.DataFrame, highlight: str | Mapping[Any, str] | None) -> set[tuple[int, int]]:
    """Return the (row, column) places of the best numbers; ties count."""
    found: set[tuple[int, int]] = set()
    for k, name in enumerate(df.columns):
        how = highlight.get(name) if isinstance(highlight, Mapping) else highlight
        if how is None or not _numeric(df.iloc[:, k]):
            continue
        if how not in ("max", "min"):
            raise DisplayError(f"highlight {how!r}: expected 'max' or 'min'")
        values = df.iloc[:, k].astype("float64").to_numpy()
        finite = values[values == values]
        if len(finite):
            top = finite.max() if how == "max" else finite.min()
            found |= {(r, k) for r, value in enumerate(values) if value == top}
    return found


def _shown(text: str) -> str:
    shown = inline(text) if any(mark in text for mark in "`$*[") else escape(signs(text), quote=False)
    return INTERVAL.sub("\\1,\u00a0\\2", shown)


def _row(
    df: pd.DataFrame,
    r: int,
    columns: list[Any],
    index: bool,
    formats: Mapping[Any, Format] | Format | None,
    best: set[tuple[int, int]],
    text_columns: set[int],
) -> str:
    label = df.index[r]
    labels = (label if isinstance(label, tuple) else (label,)) if index else ()
    cells = [f'<th scope="row">{_shown(number(part))}</th>' for part in labels]
    for k, name in enumerate(columns):
        how = formats.get(name) if isinstance(formats, Mapping) else formats
        if k in text_columns and not isinstance(formats, Mapping):
            how = None
        shown = _shown(number(df.iloc[r, k], how))
        if (r, k) in best:
            shown = f"<strong>{shown}</strong>"
        if k == 0 and not index:
            cells.append(f'<th scope="row">{shown}</th>')
        else:
            cells.append(f"<td>{shown}</td>" if k in text_columns else f'<td class="num">{shown}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _head(df: pd.DataFrame, index: bool, text_columns: set[int]) -> str:
    levels = df.columns.nlevels
    corner = [str(name) if name is not None else "" for name in df.index.names] if index else []
    rows = []
    for level in range(levels):
        last = level == levels - 1
        cells = []
        for name in corner:
            shown = _shown(name) if last else ""
            cells.append(f'<th scope="col">{shown}</th>' if shown else "<td></td>")
        if last:
            for k, name in enumerate(df.columns):
                text = str(name[-1] if isinstance(name, tuple) else name)
                kind = "" if k in text_columns else ' class="num"'
                cells.append(f'<th scope="col"{kind}>{_shown(text)}</th>')
        else:
            above = [str(name[: level + 1]) for name in df.columns]
            names = [str(name[level]) for name in df.columns]
            place = 0
            for _, run in groupby(above):
                span = len(list(run))
                cells.append(f'<th scope="colgroup" colspan="{span}">{_shown(names[place])}</th>')
                place += span
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return "".join(rows)
