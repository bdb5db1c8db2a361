"""What the page keeps of a comparison to show it, and what can be said of it in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fewshot.types import Comparison, MethodResult, Picture, SupportSet
from fewshot.ui.engine import TITLES, without_baseline
from fewshot.ui.files import thumbnail
from fewshot.ui.markup import listed


@dataclass(frozen=True)
class Results:
    """A comparison with the pictures it takes to show it.

    Attributes:
        comparison: of the methods that have a card.
        baseline: the fine-tuned classifier's answers before its first step, or None.
        queries: a thumbnail of each query.
        supports: thumbnails of the support pictures that are some answer's evidence, by position.
        answers: each query's true class where it is known, else None.
        note: of the preset, or empty.
    """

    comparison: Comparison
    baseline: MethodResult | None
    queries: tuple[str, ...]
    supports: dict[int, str]
    answers: tuple[str | None, ...]
    note: str = ""


def results_of(
    comparison: Comparison,
    support: SupportSet,
    queries: Sequence[Picture],
    known: Mapping[str, str],
    note: str = "",
) -> Results:
    """Gather what it takes to show a comparison.

    Args:
        comparison: with or without the baseline.
        support: what it was fitted to.
        queries: what it classified.
        known: picture digest -> true class, as far as known.
        note: of the preset.
    """
    cards, baseline = without_baseline(comparison)
    evidence = {
        neighbour.position
        for result in cards.results.values()
        for neighbours in result.neighbours
        for neighbour in neighbours
    }
    answers = (known.get(query.digest) for query in queries)
    return Results(
        comparison=cards,
        baseline=baseline,
        queries=tuple(thumbnail(query) for query in queries),
        supports={i: thumbnail(support.pictures[i]) for i in evidence},
        # A class may have been renamed or removed since: then nothing is right or wrong.
        answers=tuple(a if a in cards.classes else None for a in answers),
        note=note,
    )


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


def percent(probability: float) -> str:
    """A probability for people: whole percent, with "<1%" and ">99%" at the ends."""
    if 0 < probability < 0.005:
        return "<1%"
    if 0.995 <= probability < 1:
        return ">99%"
    return f"{probability:.0%}"
