"""Norms, similarities, prototypes and intervals against plain Python loops and hand computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fewshot.metrics import (
    class_means,
    cosine_similarities,
    mean_interval,
    normalise,
    prototypes,
    softmax,
    t_quantile,
)

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(5, 7)), RNG.normal(size=(4, 7))


def length(row) -> float:
    return math.sqrt(sum(float(value) ** 2 for value in row))


def dot(a, b) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def test_normalise_divides_each_row_by_its_length() -> None:
    expected = [[value / length(row) for value in row] for row in A]
    np.testing.assert_allclose(normalise(A), expected, rtol=1e-12)
    np.testing.assert_allclose(normalise(A.reshape(5, 1, 7)), np.reshape(expected, (5, 1, 7)))
    np.testing.assert_allclose(normalise(np.array([3.0, -4.0])), [0.6, -0.8])


def test_normalise_leaves_zeros_and_its_argument_alone() -> None:
    x = np.array([[0, 0], [0, 2]], np.float32)
    before = x.copy()
    np.testing.assert_array_equal(normalise(x), [[0, 0], [0, 1]])
    np.testing.assert_array_equal(x, before)
    assert normalise(x).dtype == np.float32


def test_cosine_similarities() -> None:
    expected = [[dot(a, b) / length(a) / length(b) for b in B] for a in A]
    np.testing.assert_allclose(cosine_similarities(A, B), expected, rtol=1e-12)
    np.testing.assert_allclose(cosine_similarities(3 * A, 0.1 * B), expected, rtol=1e-12)
    np.testing.assert_array_equal(cosine_similarities(np.zeros((1, 7)), B), np.zeros((1, 4)))


def test_softmax() -> None:
    expected = [[math.exp(v) / sum(math.exp(w) for w in row) for v in row] for row in A]
    np.testing.assert_allclose(softmax(A), expected, rtol=1e-12)
    np.testing.assert_allclose(softmax(A + 1e4), expected, rtol=1e-9)
    np.testing.assert_array_equal(softmax(np.array([[-1e4, 0.0, 1e4]])), [[0, 0, 1]])
    assert softmax(A.astype(np.float32)).dtype == np.float32


def test_class_means_of_unbalanced_classes_in_any_order() -> None:
    values, labels = RNG.normal(size=(3, 6)), np.array([2, 0, 2, 1, 2, 0])
    expected = np.empty((3, 3))
    for row in range(3):
        for label in range(3):
            own = [values[row, i] for i in range(6) if labels[i] == label]
            expected[row, label] = sum(own) / len(own)
    np.testing.assert_allclose(class_means(values, labels, 3), expected, rtol=1e-12)
    np.testing.assert_allclose(class_means(values[:, None], labels, 3), expected[:, None])
    order = RNG.permutation(6)
    np.testing.assert_allclose(class_means(values[:, order], labels[order], 3), expected)


def test_prototypes_normalise_before_and_after_the_mean() -> None:
    # Lengths differ by a factor of 1,000: a mean of the raw rows would be the longest one alone.
    x = A * np.array([1, 1000, 0.1, 10, 1])[:, None]
    labels = np.array([1, 0, 1, 0, 1])
    expected = []
    for label in range(2):
        unit = [row / length(row) for row, own in zip(x, labels, strict=True) if own == label]
        mean = sum(unit) / len(unit)
        expected.append(mean / length(mean))
    np.testing.assert_allclose(prototypes(x, labels, 2), expected, rtol=1e-12)


def test_prototype_of_one_picture_is_its_unit_vector() -> None:
    np.testing.assert_allclose(prototypes(A[:2], np.array([1, 0]), 2), normalise(A[[1, 0]]))


def test_mean_interval_by_hand() -> None:
    # Deviations from 0.5 are -0.3, -0.1, 0.4; their squares sum to 0.26, so s² = 0.13 over n - 1.
    mean, half_width = mean_interval(np.array([0.2, 0.4, 0.9]))
    assert mean == pytest.approx(0.5)
    assert half_width == pytest.approx(4.3027 * math.sqrt(0.13) / math.sqrt(3), rel=0.01)


@pytest.mark.parametrize(
    ("freedom", "off"), [(1, 0.12), (2, 0.01), (3, 2e-3), (19, 1e-6), (999, 1e-6)]
)
def test_student_s_quantile_is_scipy_s(freedom: int, off: float) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=off)


def test_mean_interval_of_equal_and_of_single_values() -> None:
    assert mean_interval(np.array([1, 1, 1, 1])) == (1.0, 0.0)
    mean, half_width = mean_interval(np.array([0.25]))
    assert mean == 0.25
    assert math.isnan(half_width)


def test_mean_interval_does_not_lose_digits_of_float32() -> None:
    values = np.full(1_000_001, 0.1, np.float32)
    assert mean_interval(values)[0] == pytest.approx(float(np.float32(0.1)), rel=1e-9)
