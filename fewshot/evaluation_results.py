"""The figures that an evaluation comes to, and the same as JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from fewshot.class_names import text_cell

# Of results where Evaluation.alike is true.
ALIKE = (
    "Where nothing differs from episode to episode, ± is what so few different pictures leave open "
    "at 95 %."
)


# Of a protocol, in a CSV: what was measured on what, by which the figures can be had again.
CONDITIONS = (
    "dataset", "query_dataset", "split", "distortion", "within_group", "seed", "preset", "model",
)  # fmt: skip


@dataclass(frozen=True)
class MethodScore:
    """One method's result.

    Attributes:
        method: its name.
        accuracy: mean over episodes, 0 to 1.
        ci95: half-width of its 95% interval over episodes; over queries where there is only one
            episode.
        episodes: how many.
        queries: pictures classified in all.
        episodes_per_second: fit and predict, embeddings given.
        top5: share of queries whose class is among the five most probable.
        calibration_error: expected calibration error, 0 to 1.
        difference: mean of its accuracy less the reference method's on the same episodes, and
            the half-width of the 95% interval of that mean; None without a reference.
        against: that reference's name, or None.
        transductive: whether it saw all queries of an episode at once.
    """

    method: str
    accuracy: float
    ci95: float
    episodes: int
    queries: int
    episodes_per_second: float
    top5: float
    calibration_error: float
    difference: tuple[float, float] | None = None
    against: str | None = None
    transductive: bool = False


@dataclass(frozen=True)
class Evaluation:
    """All methods on the same episodes.

    Attributes:
        scores: one a method, in the order asked for.
        checkpoints: method name -> SHA-256 of its weights, where it has any.
        accuracies: method name -> ``(episodes,)`` accuracy of each episode, for paired differences.
        confusion: method name -> ``(n_classes, n_classes)`` queries by true and answered class;
            empty where the classes are too many.
        examples: method name -> ``(m, 3)`` true class, answered class and pool index of queries
            that the evaluator was asked to remember.
    """

    scores: list[MethodScore]
    checkpoints: dict[str, str]
    accuracies: dict[str, np.ndarray] = field(default_factory=dict)
    confusion: dict[str, np.ndarray] = field(default_factory=dict)
    examples: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def alike(self) -> bool:
        """Whether some method's accuracy, or what it is ahead by, is the same in all episodes."""
        own = self.accuracies
        gaps = [own[s.method] - own[s.against] for s in self.scores if s.against in own]
        return any(len(each) > 1 and (each == each[0]).all() for each in (*own.values(), *gaps))

    def as_json(
        self, protocol: dict, classes: Sequence[str] = (), *, stopped: bool = False
    ) -> dict:
        """``{"protocol": {…, "checkpoints"}, "results": […], "confusion": {…}}``.

        An interval that there is none of is None: JSON has no NaN. Of the confusion the pairs of
        classes that occur are given by method, ``[true, answered, queries]``, the most first.

        Args:
            protocol: what the figures were made by.
            classes: names of the classes, or empty: then there is no confusion.
            stopped: whether there were episodes to come; said under "stopped" then.
        """
        tables = self.confusion if classes else {}
        confusion = {name: confusion_pairs(counts, classes) for name, counts in tables.items()}
        return {
            "protocol": protocol | {"checkpoints": self.checkpoints},
            **({"stopped": True} if stopped else {}),
            "results": [_plain(score) for score in self.scores],
            **({"confusion": confusion} if confusion else {}),
        }


def confusion_pairs(counts: np.ndarray, classes: Sequence[str]) -> list[tuple[str, str, int]]:
    """``(c, c)`` queries by true and answered class: the pairs that occur, the most first."""
    found = np.argwhere(counts)
    order = np.argsort(-counts[tuple(found.T)], kind="stable")
    return [(classes[i], classes[j], int(counts[i, j])) for i, j in found[order]]


def _plain(score: MethodScore) -> dict:
    values = asdict(score) | {"ci95": _or_none(score.ci95)}
    if score.difference is not None:
        values["difference"] = tuple(map(_or_none, score.difference))
    return values


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def as_csv(runs: Sequence[tuple[dict, Evaluation]], *, stopped: bool = False) -> str:
    """A line for each method of each run: ways and shots, the figures, what else they rest on.

    Args:
        runs: each protocol, as for :meth:`Evaluation.as_json`, and its figures.
        stopped: whether the last one had episodes to come.
    """
    table = io.StringIO()
    names = [name for name in MethodScore.__dataclass_fields__ if name != "difference"]
    writer = csv.writer(table)
    differences = ["difference", "difference_ci95"]
    writer.writerow(["ways", "shots", *names, *differences, *CONDITIONS, "stopped"])
    for number, (protocol, evaluation) in enumerate(runs, start=1):
        conditions = [_cell(protocol.get(name)) for name in CONDITIONS]
        cut = stopped and number == len(runs)
        for score in evaluation.scores:
            values = [getattr(score, name) for name in names]
            difference = score.difference or ("", "")
            shots = protocol["shots"]
            if isinstance(shots, tuple):  # from the fewest to the most
                shots = "-".join(map(str, shots))
            writer.writerow([protocol["ways"], shots, *values, *difference, *conditions, cut])
    return table.getvalue()


def _cell(value: object) -> object:
    """Names of files and folders are a stranger's."""
    return text_cell(value) if isinstance(value, str) else value
