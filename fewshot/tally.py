"""What is counted of a method's answers while episodes go by, and the figures it comes to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fewshot.episodes import EpisodeBatch
from fewshot.metrics import mean_interval

CALIBRATION_BINS = 15
# A confusion matrix of more classes than this is neither looked at nor kept.
MOST_CONFUSED = 1000


@dataclass
class Tally:
    """Counts over all episodes so far; its size does not grow but by a number an episode.

    Attributes:
        n_classes: of the pool.
        remembered: different queries to remember of each pair of true and answered class, so
            that one can look at them; at most ``remembered * n_classes ** 2`` in all.
        correct: each batch's accuracies by episode.
        seconds: spent on fit and predict.
        confusion: ``(n_classes, n_classes)`` queries by true and answered class, or None for
            more classes than MOST_CONFUSED.
    """

    n_classes: int
    remembered: int = 0
    correct: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0
    confusion: np.ndarray | None = None
    _queries: int = 0
    _top5: float = 0.0
    _hits: np.ndarray | None = None
    _different: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    _bins: np.ndarray = field(default_factory=lambda: np.zeros((2, CALIBRATION_BINS)))
    # (m,) pair of classes << 32 | pool index, by pair, each once.
    _examples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, batch: EpisodeBatch, probabilities: Tensor, seconds: float) -> None:
        """Count ``(e, q, n_way)`` answers to a batch's queries."""
        p = probabilities
        truth = torch.from_numpy(batch.query_labels).to(p.device).expand(p.shape[:2])
        sureness, answers = p.max(2)
        hits = (answers == truth).cpu().numpy()
        true = p.gather(2, truth.unsqueeze(2))
        # Of equals some are among the five, as by lot. A probability of 0 is none, unless there are
        # but five: floating-point numbers have run out, and all are alike.
        places = (5 - (p > true).sum(2)) / (p == true).sum(2)
        some = (true[..., 0] > 0) | (p.shape[2] <= 5)
        self._top5 += float((places.clamp(0, 1) * some).sum())
        self._queries += hits.size
        self._different = np.union1d(self._different, batch.queries)
        self._hits = hits[0] if self._hits is None else self._hits
        self.correct.append(hits.mean(1))
        self.seconds += seconds
        self._calibrate(sureness.cpu().numpy(), hits)
        if self.n_classes <= MOST_CONFUSED:
            self._confuse(batch, answers.cpu().numpy())

    @property
    def accuracies(self) -> np.ndarray:
        """``(episodes,)``."""
        return np.concatenate(self.correct) if self.correct else np.zeros(0)

    @property
    def queries(self) -> int:
        """Pictures classified."""
        return self._queries

    @property
    def examples(self) -> np.ndarray:
        """``(m, 3)`` true class, answered class and pool index of the remembered queries."""
        pairs, queries = self._examples >> 32, self._examples & (2**32 - 1)
        return np.stack([pairs // self.n_classes, pairs % self.n_classes, queries], axis=1)

    @property
    def top5(self) -> float:
        """Share of queries whose class is among the five most probable."""
        return self._top5 / max(1, self._queries)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error, 0 to 1.

        The mean distance of sureness and accuracy over bins of like sureness, weighted by their
        queries (Guo et al.: On calibration of modern neural networks, ICML 2017,
        https://arxiv.org/abs/1706.04599; 15 bins, as there).
        """
        return float(np.abs(self._bins[0] - self._bins[1]).sum() / max(1, self._queries))

    def accuracy(self) -> tuple[float, float]:
        """Mean over episodes and its 95% half-width; over the queries of a single episode.

        Where all are alike, as when every answer is right, there is no spread to tell by: then the
        half-width is what the accuracy may at most be off by, at 95% (one-sided: Clopper, Pearson
        1934; about three in the number of different queries: one asked again answers nothing new).
        """
        values = self.accuracies
        values = values if len(values) > 1 else self._hits
        mean, half = mean_interval(values)
        return mean, self._most_unseen() if (values == values[0]).all() else half

    def difference(self, other: Tally) -> tuple[float, float]:
        """Mean of what it is ahead of another by on the same episodes, and its 95% half-width.

        Where it is the same on each, the half-width is what it may be off by all the same.
        """
        gaps = self.accuracies - other.accuracies
        mean, half = mean_interval(gaps)
        alike = (gaps == gaps[0]).all() if len(gaps) > 1 else not gaps.any()
        return mean, self._most_unseen() if alike else half

    def _most_unseen(self) -> float:
        """The largest share of queries, at 95%, of a kind of which none was among these."""
        return 1 - 0.05 ** (1 / len(self._different))

    def _calibrate(self, sureness: np.ndarray, hits: np.ndarray) -> None:
        places = np.minimum((sureness * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1).ravel()
        for row, values in zip(self._bins, (sureness, hits), strict=True):
            row += np.bincount(places, values.ravel(), CALIBRATION_BINS)

    def _confuse(self, batch: EpisodeBatch, answers: np.ndarray) -> None:
        n = self.n_classes
        if self.confusion is None:
            self.confusion = np.zeros((n, n), np.int64)
        true = batch.classes[:, batch.query_labels]  # (e, q)
        answered = np.take_along_axis(batch.classes, answers, 1)
        np.add.at(self.confusion, (true, answered), 1)
        if self.remembered:
            self._remember(np.stack([true, answered, batch.queries], axis=2).reshape(-1, 3))

    def _remember(self, rows: np.ndarray) -> None:
        """Keep the first few queries of each pair of classes, of ``(q, 3)`` new ones."""
        pairs, queries = rows[:, 0] * self.n_classes + rows[:, 1], rows[:, 2]
        known = np.concatenate([self._examples, (pairs << 32) + queries])
        _, first = np.unique(known, return_index=True)
        known = known[np.sort(first)]  # each once, the longest known first
        known = known[np.argsort(known >> 32, kind="stable")]
        place = np.arange(len(known)) - np.searchsorted(known >> 32, known >> 32)  # in its pair
        self._examples = known[place < self.remembered]
