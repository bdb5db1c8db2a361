"""The heat maps of a comparison: every class text and every support picture × every query."""

from __future__ import annotations

import numpy as np

from fewshot.ui.heat_map import MOST_COLUMNS, heat_map_html, name_head, picture_head
from fewshot.ui.results import Results


def similarities_html(results: Results) -> str:
    """A closed ``<details>`` with the maps that can be had, or nothing."""
    classes = results.shown_classes
    maps = [text_map(results, classes), shown_text_map(results, classes), support_map(results)]
    if not any(maps):
        return ""
    return (
        '<details class="similarities"><summary>Similarities: each with each</summary>'
        '<p class="hint">Cosines, before any softmax: 1 is identical, 0 is unrelated. The colours '
        f"of a map run from its least number to its greatest.</p>{''.join(maps)}</details>"
    )


def text_map(results: Results, classes: np.ndarray) -> str:
    """Class texts × queries in CLIP's space, or nothing where CLIP did not answer.

    Args:
        results: of a comparison with or without support pictures.
        classes: positions of those to show.
    """
    clip = results.comparison.results.get("clip")
    if clip is None:
        return ""
    cosines = clip.prediction.scores[:MOST_COLUMNS, classes].T  # (r, c)
    heads = [name_head(results.comparison.classes[i]) for i in classes]
    left_out = _left_out(results, len(classes), len(results.comparison.classes), "likeliest names")
    caption = f"<b>Names × pictures</b>: what CLIP sees of each name in each picture{left_out}"
    return heat_map_html(caption, cosines, heads, _queries(results))


def shown_text_map(results: Results, classes: np.ndarray) -> str:
    """Support pictures × class texts in CLIP's space, or nothing where CLIP did not answer.

    Args:
        results: of a comparison.
        classes: positions of those to show.
    """
    clip = results.comparison.results.get("clip")
    if clip is None or clip.shown_scores is None:
        return ""
    pictures, classes = results.shown_supports, classes[:MOST_COLUMNS]
    if not len(pictures):  # those to show are the prototype's choice
        return ""
    cosines = clip.shown_scores[np.ix_(pictures, classes)]  # (r, c)
    names = [name_head(results.comparison.classes[i]) for i in classes]
    parts = []
    if len(pictures) < (n_pictures := len(results.files)):
        parts.append(f"the {len(pictures)} most similar, of {n_pictures:,}")
    if len(classes) < (n_classes := len(results.comparison.classes)):
        parts.append(f"{len(classes)} of {n_classes:,} names")
    caption = (
        "<b>Your pictures × names</b>: what CLIP sees of each name in the pictures you showed"
        f"{_in_brackets(parts)}"
    )
    return heat_map_html(caption, cosines, _supports(results), names)


def support_map(results: Results) -> str:
    """Support pictures × queries in the prototype classifier's space, or nothing without it."""
    tuned = results.comparison.results.get("finetune")
    if tuned is None or tuned.prediction.evidence is None:
        return ""
    pictures = results.shown_supports
    cosines = tuned.prediction.evidence[:MOST_COLUMNS, pictures].T  # (r, c)
    left_out = _left_out(
        results, len(pictures), len(results.files), "most similar of your pictures"
    )
    caption = (
        "<b>Your pictures × pictures to classify</b>, as the fine-tuned prototype’s encoder sees "
        f"them{left_out}"
    )
    return heat_map_html(caption, cosines, _supports(results), _queries(results))


def _supports(results: Results) -> list[str]:
    return [
        picture_head(results.supports[i], results.files[i], results.classes[i])
        for i in results.shown_supports
    ]


def _queries(results: Results) -> list[str]:
    pairs = zip(results.queries, results.comparison.queries, strict=True)
    return [picture_head(source, name) for source, name in list(pairs)[:MOST_COLUMNS]]


def _left_out(results: Results, n_shown: int, n_all: int, what: str) -> str:
    """What of the rows and columns a map does not show, to go on a caption."""
    parts = []
    if n_shown < n_all:
        parts.append(f"the {n_shown:,} {what}, of {n_all:,}")
    if len(results.queries) > MOST_COLUMNS:
        parts.append(f"the first {MOST_COLUMNS} pictures, of {len(results.queries):,}")
    return _in_brackets(parts)


def _in_brackets(parts: list[str]) -> str:
    return f" ({'; '.join(parts)})" if parts else ""
