"""What the page keeps of a comparison to show it, and what can be said of it in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fewshot.class_names import listed
from fewshot.types import Comparison, MethodResult, Picture, SupportSet
from fewshot.ui.engine import TITLES, without_baseline
from fewshot.ui.files import thumbnail
from fewshot.ui.heat_map import MOST_COLUMNS, strongest_rows
from fewshot.ui.markup import number


@dataclass(frozen=True)
class Results:
    """A comparison with the pictures it takes to show it.

    Attributes:
        comparison: of the methods that have a card.
        baseline: the fine-tuned classifier's answers before its first step, or None.
        queries: a thumbnail of each query.
        supports: thumbnails of the support pictures that are shown somewhere, by position.
        files, classes: each support picture's name and class.
        shown_classes, shown_supports: positions of those in the heat maps.
        answers: each query's true class where it is known, else None.
        note: of the preset, or empty.
        transductive: whether the fine-tuned classifier also learned from the queries.
        last_block: whether it also tuned the image tower's last block.
    """

    comparison: Comparison
    baseline: MethodResult | None
    queries: tuple[str, ...]
    supports: dict[int, str]
    files: tuple[str, ...]
    classes: tuple[str, ...]
    shown_classes: np.ndarray
    shown_supports: np.ndarray
    answers: tuple[str | None, ...]
    note: str = ""
    transductive: bool = False
    last_block: bool = False

    def without_maps(self) -> Results:
        """Without what the heat maps alone show: of 2,000 pictures and 500 queries, 20 MB."""
        by_name = self.comparison.results.items()
        kept = {name: _without_maps(result) for name, result in by_name}
        comparison = replace(self.comparison, results=kept)
        return replace(
            self, comparison=comparison, baseline=self.baseline and _without_maps(self.baseline)
        )


def _without_maps(result: MethodResult) -> MethodResult:
    prediction = replace(result.prediction, evidence=None)
    return replace(result, prediction=prediction, shown_scores=None)


def results_of(
    comparison: Comparison,
    support: SupportSet,
    queries: Sequence[Picture],
    known: Mapping[str, str],
    note: str = "",
    transductive: bool = False,
    last_block: bool = False,
) -> Results:
    """Gather what it takes to show a comparison.

    Args:
        comparison: with or without the baseline.
        support: what it was fitted to.
        queries: what it classified.
        known: picture digest -> true class, as far as known.
        note: of the preset.
        transductive: whether fine-tuning learned from the queries, where there are several.
        last_block: whether it tuned the image tower's last block.
    """
    cards, baseline = without_baseline(comparison)
    evidence = {
        neighbour.position
        for result in cards.results.values()
        for neighbours in result.neighbours
        for neighbour in neighbours
    }
    shown_supports = _strongest(cards.results.get("finetune"), "evidence")
    answers = (known.get(query.digest) for query in queries)
    return Results(
        comparison=cards,
        baseline=baseline,
        queries=tuple(thumbnail(query) for query in queries),
        supports={
            i: thumbnail(support.pictures[i]) for i in evidence.union(shown_supports.tolist())
        },
        files=tuple(picture.name for picture in support.pictures),
        classes=tuple(support.classes[label] for label in support.labels),
        shown_classes=_strongest(cards.results.get("clip"), "scores"),
        shown_supports=shown_supports,
        # A class may have been renamed or removed since: then nothing is right or wrong.
        answers=tuple(a if a in cards.classes else None for a in answers),
        note=note,
        # Alone, a query has no others to be helped by.
        transductive=transductive and len(queries) > 1,
        last_block=last_block,
    )


def _strongest(result: MethodResult | None, measure: str) -> np.ndarray:
    """Which classes ("scores") or support pictures ("evidence") a heat map has room for."""
    values = None if result is None else getattr(result.prediction, measure)
    if values is None:
        return np.zeros(0, np.int64)
    return strongest_rows(values[:MOST_COLUMNS].T)


def odd_ones(comparison: Comparison, query: int) -> set[str]:
    """The methods to mark as disagreeing: those outside the majority, or all if there is none."""
    votes = sorted(comparison.votes(query).values(), key=len, reverse=True)
    if len(votes) < 2:
        return set()
    outvoted = votes if len(votes[0]) == len(votes[1]) else votes[1:]
    return {method for methods in outvoted for method in methods}


def verdict(comparison: Comparison, query: int) -> str:
    """One sentence on who says what of a query."""
    votes = comparison.votes(query)
    if comparison.agree(query):
        (label, methods), = votes.items()  # fmt: skip
        if len(methods) == 1:
            return f"Only {TITLES[methods[0]]} could answer: {label}."
        count = "Both" if len(methods) == 2 else f"All {len(methods)}"
        return f"{count} methods agree: {label}."
    said = [
        f"{listed([TITLES[m] for m in methods])} {'says' if len(methods) == 1 else 'say'} {label}"
        for label, methods in votes.items()
    ]
    return f"They disagree: {'; '.join(said)}."


def n_right(results: Results, method: str) -> tuple[int, int]:
    """How many queries with a known answer a method got right, of how many there are."""
    labels = results.comparison.results[method].prediction.labels
    marked = [label == a for label, a in zip(labels, results.answers, strict=True) if a is not None]
    return sum(marked), len(marked)


def raw(score: float) -> str:
    """A method's own measure for people: two decimals, one from 10 on."""
    return number(score, 2 if abs(score) < 9.995 else 1)


def percent(probability: float) -> str:
    """A probability for people: whole percent, with "<1%" and ">99%" at the ends.

    At the very ends, too: a softmax is never certain, its floating-point numbers only run out.
    """
    if probability < 0.005:
        return "<1%"
    if probability >= 0.995:
        return ">99%"
    return f"{probability:.0%}"
