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

    The interval is ``t s / sqrt(n)`` with the sample standard deviation over episodes; from some
    hundred episodes on t is the 1.96 of the few-shot literature. One episode has no spread, so its
    half-width is NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    half_width = t_quantile(len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half_width)


def t_quantile(freedom: int) -> float:
    """Student's t that 97.5% lie below, for that many degrees of freedom: 1.96 for very many.

    By its expansion about the normal distribution (Abramowitz, Stegun: Handbook of mathematical
    functions, 1964, 26.7.5), right to 1% from two degrees on; for one it is a tenth too small.
    """
    z = 1.959964
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
