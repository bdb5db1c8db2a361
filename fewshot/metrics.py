"""Norms, similarities, prototypes and intervals: the only copies in the project (numpy)."""

from __future__ import annotations

import numpy as np


def normalise(x: np.ndarray) -> np.ndarray:
    """Scale the last axis to unit Euclidean length; zero vectors stay zero. ``(..., d)``."""
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.maximum(length, 1e-12)


def cosine_similarities(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of every row of ``a (m, d)`` with every row of ``b (n, d)``: ``(m, n)`` in -1..1."""
    return normalise(a) @ normalise(b).T


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, shifted by the maximum so that nothing overflows."""
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def class_means(values: np.ndarray, labels: np.ndarray, n_way: int) -> np.ndarray:
    """Mean over the last axis within each class: ``(..., n)`` and ``(n,)`` to ``(..., n_way)``."""
    membership = np.eye(n_way, dtype=values.dtype)[labels]  # (n, n_way)
    return values @ (membership / membership.sum(0))


def prototypes(embeddings: np.ndarray, labels: np.ndarray, n_way: int) -> np.ndarray:
    """Normalised mean of each class's normalised embeddings: ``(n_way, d)``, the matrix M."""
    return normalise(class_means(normalise(embeddings).T, labels, n_way).T)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Mean of per-episode values and the half-width of its 95% interval.

    The interval is ``1.96 s / sqrt(n)`` with the sample standard deviation over episodes, as the
    few-shot literature reports it. One episode has no spread, so its half-width is NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))
