"""What CLIP makes of pictures by names alone, as HTML: each picture's top 5, and a heat map."""

from __future__ import annotations

import numpy as np

from fewshot.class_names import MAX_CLASS_NAME
from fewshot.remarks import some
from fewshot.types import Comparison, MethodResult
from fewshot.ui.cards import TOP, bars
from fewshot.ui.heat_map import MOST_ROWS
from fewshot.ui.markup import escaped, image, notice
from fewshot.ui.name_list import NameList
from fewshot.ui.results import Results
from fewshot.ui.similarities import text_map


def names_html(results: Results) -> str:
    """Each query with its most probable names, and the map of all names among them."""
    comparison, clip = results.comparison, results.comparison.results["clip"]
    note = notice(escaped(results.note)) if results.note else ""
    pictures = "".join(
        f'<article class="card clip named">{image(source, "The picture to classify")}'
        f"<div><small>{escaped(comparison.queries[query])}</small>{bars(clip, query, 'clip')}"
        "</div></article>"
        for query, source in enumerate(results.queries)
    )
    n_names = len(comparison.classes)
    return (
        f'<section class="answer">{note}<p class="hint">The best {min(TOP, n_names)} of '
        f"{n_names:,} names. The shares are a softmax over these names alone, "
        "no calibrated probability; the small number is the cosine of picture and name.</p>"
        f'<div class="cards names">{pictures}</div>'
        f'<div class="similarities">{text_map(results, named(clip))}</div></section>'
    )


def named(clip: MethodResult) -> np.ndarray:
    """Positions of the names in some query's top 5, in order; the likeliest, where many are."""
    probabilities = clip.prediction.probabilities
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    found = np.unique(top)
    best = probabilities[:, found].max(0)
    return np.sort(found[np.argsort(-best, kind="stable")[:MOST_ROWS]])


def summary(comparison: Comparison, listed: NameList) -> str:
    """One line on what was asked, for above the results."""
    n_pictures = len(comparison.queries)
    pictures = "1 picture" if n_pictures == 1 else f"{n_pictures:,} pictures"
    repeated, too_long = listed.repeated, listed.too_long
    lines = "1 repeated line was" if repeated == 1 else f"{repeated:,} repeated lines were"
    left_out = f" {lines} left out." if repeated else ""
    if too_long:
        were = "was" if len(too_long) == 1 else "were"
        left_out += f" {some(too_long)} {were} left out: a name has {MAX_CLASS_NAME} characters "
        left_out += "at most."
    return f"{len(comparison.classes):,} names, {pictures}.{left_out}"
