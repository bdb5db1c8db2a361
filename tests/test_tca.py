"""Transfer component analysis: the paper's formula transcribed, and two domains made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_methods import ENCODER, LABELS, QUERY_LABELS, cloud, support_of

from fewshot.methods import METHODS, Settings
from fewshot.methods.batch import SupportBatch
from fewshot.methods.tca import BANDWIDTH, TRADE_OFF, TransferComponents, transfer_components
from fewshot.metrics import normalise
from fewshot.types import Support


def coefficients(n_source: int, n_target: int) -> np.ndarray:
    """The paper's L, entry by entry."""
    n = n_source + n_target
    matrix = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            if i < n_source and j < n_source:
                matrix[i, j] = 1 / n_source**2
            elif i >= n_source and j >= n_source:
                matrix[i, j] = 1 / n_target**2
            else:
                matrix[i, j] = -1 / (n_source * n_target)
    return matrix


def papers_components(kernel: np.ndarray, n_source: int, count: int, mu: float) -> np.ndarray:
    """Leading eigenvectors of ``(KLK + μI)⁻¹ KHK``, which is not symmetric."""
    n = len(kernel)
    inverse = np.linalg.inv(kernel @ coefficients(n_source, n - n_source) @ kernel + mu * np.eye(n))
    values, vectors = np.linalg.eig(inverse @ kernel @ (np.eye(n) - 1 / n) @ kernel)
    return vectors[:, np.argsort(-values.real)[:count]].real


def gaussian_kernel(x: np.ndarray) -> np.ndarray:
    squares = np.array([[((a - b) ** 2).sum() for b in x] for a in x])
    return np.exp(-BANDWIDTH * squares / np.sort(squares, axis=None)[(squares.size - 1) // 2])


def found_components(kernel: np.ndarray, n_source: int, count: int, mu: float) -> np.ndarray:
    return transfer_components(torch.from_numpy(kernel)[None], n_source, count, mu)[0].numpy()


@pytest.mark.parametrize("mu", [1e-3, 0.1, 10.0])
def test_components_are_the_papers_eigenvectors(mu: float) -> None:
    x = normalise(np.random.default_rng(0).normal(size=(14, 6)))
    x[8:] += 0.3
    for kernel in (x @ x.T, gaussian_kernel(x)):
        found = found_components(kernel, 8, 4, mu)
        for column, wanted in zip(found.T, papers_components(kernel, 8, 4, mu).T, strict=True):
            assert abs(column @ wanted) / np.linalg.norm(wanted) > 1 - 1e-6  # up to its sign


def test_there_is_one_component_fewer_than_pictures() -> None:
    kernel = gaussian_kernel(normalise(np.random.default_rng(2).normal(size=(5, 6))))
    found = found_components(kernel, 3, 50, TRADE_OFF)
    assert found.shape == (5, 4)  # what is centred has rank 4
    np.testing.assert_allclose(found, found_components(kernel, 3, 4, TRADE_OFF))


def test_many_tasks_at_once_have_each_their_own_components() -> None:
    rng = np.random.default_rng(1)
    kernels = np.stack([gaussian_kernel(normalise(rng.normal(size=(9, 5)))) for _ in range(3)])
    together = transfer_components(torch.from_numpy(kernels), 4, 3, 0.01).numpy()
    for kernel, components in zip(kernels, together, strict=True):
        alone = found_components(kernel, 4, 3, 0.01)
        cosines = np.abs((alone * components).sum(0))
        np.testing.assert_allclose(cosines, 1, atol=1e-9)


def two_domains(seed: int) -> tuple[Support, np.ndarray, np.ndarray]:
    """Ten classes of three supports and eight queries; the queries shifted by a constant."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(10, 32))
    shown, asked = np.arange(10).repeat(3), np.arange(10).repeat(8)
    shift = 12 * normalise(rng.normal(size=32))
    x = normalise(centres[shown] + 0.5 * rng.normal(size=(30, 32)))
    y = normalise(centres[asked] + 0.5 * rng.normal(size=(80, 32)) + shift)
    names = tuple(f"class {c}" for c in range(10))
    return Support(names, shown, x.astype(np.float32)), y.astype(np.float32), asked


def discrepancy(kernel: np.ndarray, n_source: int) -> float:
    """Squared MMD as a share of the variance, both of the kernel's space."""
    n = len(kernel)
    variance = np.trace(kernel @ (np.eye(n) - 1 / n)) / n
    return np.trace(kernel @ coefficients(n_source, n - n_source)) / variance


def test_the_discrepancy_between_support_and_queries_falls() -> None:
    support, queries, _ = two_domains(0)
    kernel = gaussian_kernel(np.concatenate([support.embeddings, queries]).astype(float))
    mapped = kernel @ found_components(kernel, 30, 10, TRADE_OFF)
    before = discrepancy(kernel, 30)
    assert discrepancy(mapped @ mapped.T, 30) < 0.01 * before
    # The largest μ brings nothing together: the components are those of kernel PCA.
    far = kernel @ found_components(kernel, 30, 10, 1e6)
    assert discrepancy(far @ far.T, 30) > before


def test_it_undoes_a_shift_between_support_and_queries() -> None:
    right = {"prototype": [], "tca": []}
    for seed in range(5):
        support, queries, answers = two_domains(seed)
        for name, shares in right.items():
            method = METHODS[name](ENCODER, Settings()).fit(support, queries)
            found = method.predict(queries).probabilities.argmax(1)
            shares.append(float((found == answers).mean()))
    assert np.mean(right["tca"]) > 0.9
    assert np.mean(right["tca"]) > np.mean(right["prototype"]) + 0.15


def test_answers_by_hand() -> None:
    support, queries, _ = two_domains(2)
    kernel = gaussian_kernel(np.concatenate([support.embeddings, queries]).astype(float))
    components = papers_components(kernel, 30, 10, TRADE_OFF)
    mapped = kernel @ (components / np.linalg.norm(components, axis=0))
    mapped = normalise(mapped - mapped.mean(0))
    rows = normalise(np.stack([mapped[:30][support.labels == c].mean(0) for c in range(10)]))
    cosines = mapped[30:] @ rows.T
    method = TransferComponents(ENCODER, Settings()).fit(support, queries)
    np.testing.assert_allclose(method.predict(queries).scores, cosines, atol=2e-4)
    # What it answers to one of them does not depend on which others it is asked with.
    np.testing.assert_allclose(method.predict(queries[5:6]).scores, cosines[5:6], atol=2e-4)


def test_without_several_queries_the_prototypes_answer() -> None:
    support, queries = support_of(LABELS), cloud(QUERY_LABELS, seed=9)
    plain = METHODS["prototype"](ENCODER, Settings()).fit(support).predict(queries).probabilities
    for seen in (None, queries[:1]):
        method = TransferComponents(ENCODER, Settings()).fit(support, seen)
        np.testing.assert_allclose(method.predict(queries).probabilities, plain, atol=1e-6)
    batch = TransferComponents(ENCODER, Settings()).predict_batch(
        SupportBatch.of(support), torch.from_numpy(queries[None, :1])
    )
    np.testing.assert_allclose(batch[0].numpy(), plain[:1], atol=1e-6)


def test_memory_is_bounded_by_going_through_tasks_in_portions(monkeypatch) -> None:
    support = support_of(LABELS)
    queries = torch.from_numpy(np.stack([cloud(QUERY_LABELS, seed=s) for s in range(5)]))
    one = SupportBatch.of(support)
    many = SupportBatch(
        one.names, one.classes.repeat(5, 0), one.labels, one.embeddings.repeat(5, 1, 1)
    )
    whole = TransferComponents(ENCODER, Settings()).predict_batch(many, queries)
    sizes = []

    def counted(kernel, *rest):
        sizes.append(len(kernel))
        return transfer_components(kernel, *rest)

    monkeypatch.setattr("fewshot.methods.tca.transfer_components", counted)
    monkeypatch.setattr("fewshot.methods.tca.ENTRIES_AT_ONCE", 2 * (12 + 20) ** 2)
    parts = TransferComponents(ENCODER, Settings()).predict_batch(many, queries)
    assert sizes == [2, 2, 1]
    torch.testing.assert_close(parts, whole)
