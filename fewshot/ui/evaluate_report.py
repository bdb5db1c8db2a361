"""The figures of an evaluation as they are kept for a visitor: no pictures but small ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fewshot.types import Picture
from fewshot.ui.files import thumbnail

if TYPE_CHECKING:
    from fewshot.evaluation_results import Evaluation

REMEMBERED = 12  # pictures behind a cell of a confusion matrix
MOST_CLASSES = 30  # of a confusion matrix that is shown


@dataclass(frozen=True)
class Confusion:
    """What one method took for what, in one run.

    Attributes:
        classes: ``(c,)`` ids of those shown, at most MOST_CLASSES.
        counts: ``(c, c)`` queries by true and answered class.
        n_classes: that the data have.
        n_errors: wrong answers, those between classes not shown included.
        examples: ``(m, 3)`` position of true class, of answered class, and a query's picture.
    """

    classes: np.ndarray
    counts: np.ndarray
    n_classes: int
    n_errors: int
    examples: np.ndarray


@dataclass(frozen=True)
class Report:
    """The figures so far; small enough to be kept for a visitor.

    Attributes:
        runs: each protocol, as the command line's JSON has it, and its figures.
        confusions: number of the run and method -> what it confused.
        classes: names.
        n_pictures: that the data have.
        faces: class id -> its first picture, for the classes that are shown.
        thumbnails: picture -> ``data:`` URL, for the pictures behind the confusions.
        skipped: a sentence for each method and each file that was left out.
        asked: episodes of each run that were asked for.
        planned: runs that were asked for.
        cautions: sentences that say where not to trust an encoder that took part.
        remark: a sentence on the pictures that the figures should be read with, or empty.
        explained: a sentence on how the figures are to be read, or empty.
    """

    runs: tuple[tuple[dict, Evaluation], ...]
    confusions: dict[tuple[int, str], Confusion]
    classes: tuple[str, ...]
    n_pictures: int
    faces: dict[int, str]
    thumbnails: dict[int, str]
    skipped: tuple[str, ...]
    asked: int
    planned: int
    cautions: tuple[str, ...] = ()
    remark: str = ""
    explained: str = ""

    @property
    def share(self) -> float:
        """Of all episodes, those that are done."""
        last = self.runs[-1][1].scores[0].episodes
        return ((len(self.runs) - 1) * self.asked + last) / (self.planned * self.asked)

    @property
    def complete(self) -> bool:
        """Whether there are no more to come."""
        return self.share == 1

    def as_json(self) -> dict:
        """As ``evaluate --json`` writes it; of many classes, confusions of those shown alone."""
        from fewshot.evaluation_results import confusion_pairs

        last = len(self.runs) - 1
        reports = [
            evaluation.as_json(protocol, stopped=number == last and not self.complete)
            for number, (protocol, evaluation) in enumerate(self.runs)
        ]
        for (number, method), confusion in self.confusions.items():
            names = [self.classes[i] for i in confusion.classes]
            pairs = confusion_pairs(confusion.counts, names)
            reports[number].setdefault("confusion", {})[method] = pairs
        return reports[0] if len(reports) == 1 else {"runs": reports}


def confusion_of(evaluation: Evaluation, method: str) -> Confusion:
    """The classes to show of a method's confusions: where there are too many, the worst."""
    counts = evaluation.confusion[method]
    errors = counts - np.diag(np.diag(counts))
    if len(counts) <= MOST_CLASSES:
        shown = np.flatnonzero(counts.sum(0) + counts.sum(1))
    else:
        worst = np.argsort(-(errors.sum(0) + errors.sum(1)), kind="stable")[:MOST_CLASSES]
        shown = np.sort(worst)
    place = np.full(len(counts), -1)
    place[shown] = np.arange(len(shown))
    true, answered, query = evaluation.examples[method].T
    rows = np.stack([place[true], place[answered], query], axis=1)
    return Confusion(
        shown,
        counts[np.ix_(shown, shown)],
        len(counts),
        int(errors.sum()),
        rows[(rows[:, :2] >= 0).all(1)],
    )


def without_tables(evaluation: Evaluation) -> Evaluation:
    """Without what grows with the square of the classes, or with the episodes."""
    return replace(evaluation, accuracies={}, confusion={}, examples={})


class Album:
    """Thumbnails of what confusions show, each made once."""

    def __init__(self, pictures: Sequence[Picture], labels: np.ndarray) -> None:
        self._pictures = pictures
        self._first = dict(zip(*np.unique(labels, return_index=True), strict=True))
        self._made: dict[int, str] = {}

    def shown(self, confusions: Iterable[Confusion]) -> tuple[dict[int, str], dict[int, str]]:
        """The classes' first pictures by class id, and the examples by picture."""
        faces, pictures = {}, {}
        for confusion in confusions:
            faces |= {int(c): self._thumbnail(self._first[c]) for c in confusion.classes}
            pictures |= {int(i): self._thumbnail(i) for i in np.unique(confusion.examples[:, 2])}
        return faces, pictures

    def _thumbnail(self, index: int) -> str:
        index = int(index)
        if index not in self._made:
            self._made[index] = thumbnail(self._pictures[index])
        return self._made[index]
