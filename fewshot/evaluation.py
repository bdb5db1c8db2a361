"""Episodes over embeddings made once: accuracy with its 95% interval, for every method alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from fewshot.compare import tuned_encoder
from fewshot.data.pool import Pool
from fewshot.encoders import get_encoder
from fewshot.encoders.base import Encoder
from fewshot.episodes import Episode
from fewshot.methods import METHODS, Method, Settings
from fewshot.metrics import mean_interval
from fewshot.presets import get_preset
from fewshot.prompts import templates
from fewshot.types import InputError, Prediction, Support, SupportSet

EMBEDDED_AT_ONCE = 512
EPISODES_AT_ONCE = 64


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
        difference: mean of its accuracy less the reference method's on the same episodes, and
            the half-width of the 95% interval of that mean; None without a reference.
    """

    method: str
    accuracy: float
    ci95: float
    episodes: int
    queries: int
    episodes_per_second: float
    top5: float
    difference: tuple[float, float] | None = None


@dataclass(frozen=True)
class Evaluation:
    """All methods on the same episodes.

    Attributes:
        scores: one a method, in the order asked for.
        checkpoints: method name -> SHA-256 of its weights, where it has any.
        correct: method name -> ``(episodes,)`` accuracy of each episode, for paired differences.
    """

    scores: list[MethodScore]
    checkpoints: dict[str, str]
    correct: dict[str, np.ndarray] = field(default_factory=dict)

    def as_json(self, protocol: dict) -> dict:
        """``{"protocol": {…, "checkpoints"}, "results": […]}``."""
        return {
            "protocol": protocol | {"checkpoints": self.checkpoints},
            "results": [asdict(score) for score in self.scores],
        }


def evaluate(
    pool: Pool,
    episodes: Sequence[Episode],
    methods: Sequence[str],
    preset: str = "drawings",
    settings: Settings | None = None,
    *,
    model: str | None = None,
    against: str | None = None,
    on_progress: Callable[[float, str], None] = lambda share, what: None,
) -> Evaluation:
    """Run every method over the same episodes.

    Args:
        pool: pictures the episodes index; each is embedded once per encoder.
        episodes: at least one; an empty support needs methods that read names alone.
        methods: names in METHODS.
        preset: which encoder each method uses.
        settings: None takes the defaults, with the preset's prompt templates.
        model: which CLIP model.
        against: the method among them that the others are compared with, episode by episode.
        on_progress: told the share of the present work done, 0 to 1, and what it is.

    Raises:
        InputError: a method is unknown or cannot be had, or ``against`` is not among them.
    """
    if against is not None and against not in methods:
        raise InputError(f"{against} is to be compared with, so it must be one of the methods.")
    chosen = get_preset(preset)
    settings = settings or replace(Settings(), templates=templates(chosen.templates))
    built = {name: _build(name, chosen.encoders, settings, model) for name in methods}
    shots = {len(episode.support) for episode in episodes}
    for name, method in built.items():
        if 0 in shots and method.reads_pictures:
            raise InputError(f"{name} needs at least 1 shot: with 0, only clip can answer.")
    scores, correct, space = [], {}, _Space(pool, episodes, on_progress)
    for name, method in built.items():
        hits, top5, seconds = _run(method, episodes, space, on_progress)
        correct[name] = np.array([hit.mean() for hit in hits])
        values = correct[name] if len(episodes) > 1 else hits[0]
        accuracy, ci95 = mean_interval(values)
        queries = sum(len(hit) for hit in hits)
        rate = len(episodes) / seconds
        scores.append(
            MethodScore(name, accuracy, ci95, len(episodes), queries, rate, top5 / queries)
        )
    if against is not None:
        scores = [_compared(score, correct, against) for score in scores]
    checkpoints = {n: m.encoder.checkpoint for n, m in built.items() if m.encoder.checkpoint}
    return Evaluation(scores, checkpoints, correct)


def _compared(score: MethodScore, correct: dict[str, np.ndarray], against: str) -> MethodScore:
    """With the paired difference, whose interval is free of what makes episodes easy or hard."""
    if score.method == against:
        return score
    return replace(score, difference=mean_interval(correct[score.method] - correct[against]))


def _build(name: str, encoders: dict[str, str], settings: Settings, model: str | None) -> Method:
    if name not in METHODS:
        raise InputError(f"There is no method “{name}”: choose {', '.join(METHODS)}.")
    return METHODS[name](get_encoder(encoders[name], model), settings)


class _Space:
    """The pool in the space of the encoder in use; moving to another forgets the last.

    Methods that share an encoder come one after the other as a rule; keeping all of them would
    hold the pixels' 11,025 dimensions beside the rest.
    """

    def __init__(self, pool: Pool, episodes: Sequence[Episode], on_progress) -> None:
        self.pool = pool
        # Views are made of pictures that are a support somewhere, not of every query.
        supports = [episode.support for episode in episodes]
        self.supports = np.unique(np.concatenate(supports)).astype(np.int64)
        self.used = np.unique(np.concatenate([*supports, *(e.queries for e in episodes)]))
        self.used = self.used.astype(np.int64)
        self.on_progress = on_progress
        self._key: tuple[str, int] | None = None
        self._embeddings: dict[int, np.ndarray] = {}

    def embeddings(self, encoder: Encoder) -> np.ndarray:
        """``(n, d)`` for the whole pool; rows of pictures in no episode are zeros."""
        return self._rows(encoder, 0, self.used)

    def views(self, encoder: Encoder, n_views: int) -> np.ndarray:
        """``(n, v, d)`` for the whole pool; rows of pictures that are never a support are zeros."""
        return self._rows(encoder, n_views, self.supports)

    def _rows(self, encoder: Encoder, n_views: int, wanted: np.ndarray) -> np.ndarray:
        if self._key != encoder.digest:
            self._key, self._embeddings = encoder.digest, {}
        if n_views not in self._embeddings:
            shape = (n_views, encoder.dim) if n_views else (encoder.dim,)
            rows = np.zeros((len(self.pool.pictures), *shape), np.float32)
            for start in range(0, len(wanted), EMBEDDED_AT_ONCE):
                self.on_progress(start / len(wanted), f"embedding for {encoder.name}")
                part = wanted[start : start + EMBEDDED_AT_ONCE]
                pictures = [self.pool.pictures[i] for i in part]
                rows[part] = (
                    encoder.embed_views(pictures, n_views) if n_views else encoder.embed(pictures)
                )
            self._embeddings[n_views] = rows
        return self._embeddings[n_views]


def _run(
    method: Method, episodes: Sequence[Episode], space: _Space, on_progress
) -> tuple[list[np.ndarray], int, float]:
    """Each episode's hits ``(q,)`` bool, hits among the top five in all, and seconds spent."""
    if method.settings.last_block and method.name == "finetune":
        return _run_tuned(method, episodes, space.pool, on_progress)
    x = space.embeddings(method.encoder)
    views = space.views(method.encoder, method.n_views) if method.n_views else None
    hits, top5 = [], 0
    began = time.perf_counter()
    for start in range(0, len(episodes), EPISODES_AT_ONCE):
        on_progress(start / len(episodes), f"evaluating {method.name}")
        part = episodes[start : start + EPISODES_AT_ONCE]
        supports = [
            Support(
                tuple(space.pool.classes[c] for c in episode.classes),
                episode.support_labels,
                x[episode.support],
                None if views is None else views[episode.support],
            )
            for episode in part
        ]
        predictions = method.predict_episodes(supports, [x[e.queries] for e in part])
        for episode, prediction in zip(part, predictions, strict=True):
            hit, among_five = _hits(prediction, episode)
            hits.append(hit)
            top5 += among_five
    return hits, top5, time.perf_counter() - began


def tuned_hits(
    method: Method, episodes: Sequence[Episode], pool: Pool
) -> Iterator[tuple[np.ndarray, int]]:
    """Each episode's hits ``(q,)`` and its hits among the top five, the encoder tuned to each."""
    for episode in episodes:
        names = tuple(pool.classes[c] for c in episode.classes)
        pictures = tuple(pool.pictures[i] for i in episode.support)
        support_set = SupportSet(names, pictures, episode.support_labels)
        encoder = tuned_encoder(method.encoder, method, support_set)
        fitted = type(method)(encoder, method.settings)
        views = encoder.embed_views(pictures, fitted.n_views)
        support = Support(names, episode.support_labels, encoder.embed(pictures), views)
        x = encoder.embed([pool.pictures[i] for i in episode.queries])
        fitted.fit(support, x if fitted.transductive else None)
        yield _hits(fitted.predict(x), episode)


def _run_tuned(
    method: Method, episodes: Sequence[Episode], pool: Pool, on_progress
) -> tuple[list[np.ndarray], int, float]:
    """As :func:`_run` for a method whose encoder is tuned to each episode: nothing is shared."""
    hits, top5 = [], 0
    began = time.perf_counter()
    for number, (hit, among_five) in enumerate(tuned_hits(method, episodes, pool), start=1):
        on_progress(number / len(episodes), "tuning the last block to each episode")
        hits.append(hit)
        top5 += among_five
    return hits, top5, time.perf_counter() - began


def _hits(prediction: Prediction, episode: Episode) -> tuple[np.ndarray, int]:
    """Which queries are right ``(q,)``, and how many have their class among the top five."""
    probabilities = prediction.probabilities
    true = np.take_along_axis(probabilities, episode.query_labels[:, None], 1)
    among_five = int(((probabilities > true).sum(1) < 5).sum())
    return probabilities.argmax(1) == episode.query_labels, among_five
