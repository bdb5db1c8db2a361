"""A matrix of similarities as an HTML table: coloured cells with the numbers in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from fewshot.ui.markup import escaped, image, number, scrolled

# So many rows and columns are still read, and are a page's weight, not a book's.
MOST_ROWS = 40
MOST_COLUMNS = 20
_TAG = re.compile("<[^>]+>")


def heat_map_html(
    caption: str, values: np.ndarray, rows: Sequence[str], columns: Sequence[str]
) -> str:
    """A table whose colours run from its least value to its greatest.

    Args:
        caption: HTML that says what is compared with what.
        values: ``(r, c)``.
        rows: HTML heads of the ``r`` rows.
        columns: HTML heads of the ``c`` columns.
    """
    heads = "".join(f'<th scope="col">{head}</th>' for head in columns)
    body = "".join(
        f'<tr><th scope="row">{head}</th>{"".join(cells)}</tr>'
        for head, cells in zip(rows, _cells(values), strict=True)
    )
    return (
        f'<figure class="heat"><figcaption>{caption}</figcaption>'
        f'<div class="heat-frame" {scrolled(_TAG.sub("", caption))}>'
        f"<table><thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table></div></figure>"
    )


def warmth(values: np.ndarray) -> np.ndarray:
    """Each value's place between the least, 0, and the greatest, 1; all 0 where they are equal."""
    low, high = float(values.min()), float(values.max())
    return np.zeros_like(values) if high <= low else (values - low) / (high - low)


def strongest_rows(values: np.ndarray, most: int = MOST_ROWS) -> np.ndarray:
    """Which rows to show where there are too many: those with the greatest values, in order."""
    if len(values) <= most:
        return np.arange(len(values))
    return np.sort(np.argsort(-values.max(1), kind="stable")[:most])


def picture_head(source: str, name: str, said: str = "") -> str:
    """A head with a thumbnail, and words beside it if there are any.

    Args:
        source: ``data:`` URL.
        name: the file's, shown where the pointer rests.
        said: the words.
    """
    words = f"<span>{escaped(said)}</span>" if said else ""
    return f'<span class="thing" title="{escaped(name)}">{image(source, name)}{words}</span>'


def name_head(name: str) -> str:
    """A head that is a name, whole where the pointer rests on a long one."""
    return f'<span title="{escaped(name)}">{escaped(name)}</span>'


def _cells(values: np.ndarray) -> list[list[str]]:
    return [
        [
            f'<td style="--warmth:{100 * warm:.0f}%">{number(float(value))}</td>'
            for value, warm in zip(row, warm_row, strict=True)
        ]
        for row, warm_row in zip(values, warmth(values), strict=True)
    ]
