"""Losses and their gradients against loops over plain numbers; batches that could divide by 0."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fewshot.losses import (
    batch_hard_triplet_loss,
    contrastive_loss,
    marginal_entropy,
    one_shot_loss,
    pair_loss,
    prototype_loss,
    triplet_loss,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def gradient(loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    loss(x).backward()
    return x.grad


def check_gradient(loss: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Against finite differences, in float64."""
    assert torch.autograd.gradcheck(loss, [x.clone().requires_grad_() for x in inputs])


def squared(a, b) -> float:
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


# Pairs


def test_pair_loss() -> None:
    logits, same = random(9), torch.tensor([1, 0, 0, 1, 1, 0, 1, 0, 0])
    expected = 0.0
    for logit, is_same in zip(logits.tolist(), same.tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        expected -= math.log(p if is_same else 1 - p) / 9
    assert pair_loss(logits, same).item() == pytest.approx(expected, rel=1e-12)
    assert pair_loss(logits, same.bool()).item() == pytest.approx(expected, rel=1e-12)
    assert pair_loss(-logits, 1 - same).item() == pytest.approx(expected, rel=1e-12)


def test_pair_loss_gradient_is_probability_minus_truth() -> None:
    logits, same = random(9), torch.tensor([1, 0, 0, 1, 1, 0, 1, 0, 0])
    check_gradient(lambda x: pair_loss(x, same), logits)
    expected = (logits.sigmoid() - same) / 9
    torch.testing.assert_close(gradient(lambda x: pair_loss(x, same), logits), expected)


def test_pair_loss_of_very_sure_answers_is_finite() -> None:
    logits = torch.tensor([300.0, -300.0, 300.0, -300.0])
    same = torch.tensor([True, False, False, True])
    assert pair_loss(logits, same).item() == pytest.approx(150)  # (0 + 0 + 300 + 300) / 4
    assert gradient(lambda x: pair_loss(x, same), logits).tolist() == [0, 0, 0.25, -0.25]


# Contrastive


def test_contrastive_loss() -> None:
    x1, x2 = random(8, 3), random(8, 3, seed=1)
    same = torch.tensor([1, 0, 1, 0, 0, 0, 1, 0])
    for margin in (0.5, 2.0, 10.0):
        expected = 0.0
        for a, b, is_same in zip(x1, x2, same.tolist(), strict=True):
            d = math.sqrt(squared(a, b))
            expected += (d**2 if is_same else max(0.0, margin - d) ** 2) / 8
        assert contrastive_loss(x1, x2, same, margin).item() == pytest.approx(expected, rel=1e-12)
        assert contrastive_loss(x2, x1, same.bool(), margin).item() == pytest.approx(expected)


def test_contrastive_loss_by_hand() -> None:
    # The distance is 5: as a same pair it costs 25, as a different one (7 - 5)² = 4, or nothing.
    a, b = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    assert contrastive_loss(a, b, torch.tensor([1]), 7.0).item() == pytest.approx(25)
    assert contrastive_loss(a, b, torch.tensor([0]), 7.0).item() == pytest.approx(4)
    assert contrastive_loss(a, b, torch.tensor([0]), 5.0).item() == 0


def test_contrastive_gradient() -> None:
    x1, x2 = random(8, 3), random(8, 3, seed=1)
    same = torch.tensor([1, 0, 1, 0, 0, 0, 1, 0])
    check_gradient(lambda a, b: contrastive_loss(a, b, same, 2.0), x1, x2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_contrastive_gradient_is_finite_where_the_distance_is_zero(dtype) -> None:
    x = torch.full((4, 3), 0.3, dtype=dtype)
    same = torch.tensor([1, 0, 1, 0])
    loss = contrastive_loss(x, x.clone(), same, 1.5)
    assert loss.item() == pytest.approx(1.5**2 / 2, rel=1e-6)
    ours = gradient(lambda a: contrastive_loss(a, x, same, 1.5), x)
    assert torch.isfinite(ours).all()
    assert (ours == 0).all()
    # One such pair must not spoil the gradient of the others.
    moved = x.clone()
    moved[1] += torch.tensor([0.6, 0.0, 0.8], dtype=dtype)  # distance 1: pushed by 2 · (1.5 - 1)
    expected = torch.zeros_like(x)
    expected[1] = -torch.tensor([0.6, 0.0, 0.8], dtype=dtype) / 4
    ours = gradient(lambda a: contrastive_loss(a, x, same, 1.5), moved)
    torch.testing.assert_close(ours, expected)


def test_contrastive_gradient_near_zero_pushes_apart() -> None:
    x = torch.zeros(1, 2)
    ours = gradient(lambda a: contrastive_loss(a, x, torch.tensor([0]), 1.0), x + 1e-3)
    assert torch.isfinite(ours).all()
    assert (ours < 0).all()


# Triplets


def test_triplet_loss() -> None:
    a, p, n = random(10, 4), random(10, 4, seed=1), random(10, 4, seed=2)
    for margin in (0.0, 1.0, 20.0):
        costs = [
            max(0.0, squared(x, y) - squared(x, z) + margin)
            for x, y, z in zip(a, p, n, strict=True)
        ]
        assert triplet_loss(a, p, n, margin).item() == pytest.approx(sum(costs) / 10, rel=1e-12)


def test_triplet_loss_by_hand() -> None:
    # Squared distances 4 and 9: a margin of 5 is just kept, one of 7 is missed by 2.
    a, p, n = (torch.tensor([[x]]) for x in (0.0, 2.0, 3.0))
    assert triplet_loss(a, p, n, 5.0).item() == 0
    assert triplet_loss(a, p, n, 7.0).item() == 2
    # d/da (a - 2)² - (a - 3)² = 2 at 0, d/dp = 4, d/dn = -6.
    assert gradient(lambda x: triplet_loss(x, p, n, 7.0), a).item() == 2
    assert gradient(lambda x: triplet_loss(a, x, n, 7.0), p).item() == 4
    assert gradient(lambda x: triplet_loss(a, p, x, 7.0), n).item() == -6
    assert gradient(lambda x: triplet_loss(x, p, n, 4.0), a).item() == 0


def test_triplet_gradient() -> None:
    a, p, n = random(10, 4), random(10, 4, seed=1), random(10, 4, seed=2)
    check_gradient(lambda x, y, z: triplet_loss(x, y, z, 1.0), a, p, n)


def naive_batch_hard(x: Tensor, labels: list[int], margin: float) -> Tensor:
    costs = []
    for i, anchor in enumerate(x):
        positives = [j for j in range(len(x)) if j != i and labels[j] == labels[i]]
        negatives = [j for j in range(len(x)) if labels[j] != labels[i]]
        if positives and negatives:
            furthest = max((anchor - x[j]).square().sum() for j in positives)
            nearest = min((anchor - x[j]).square().sum() for j in negatives)
            costs.append(torch.relu(furthest - nearest + margin))
    return sum(costs) / len(costs)


@pytest.mark.parametrize(
    "labels",
    [
        [0, 0, 1, 1],
        [3, 1, 3, 3, 2, 1, 2, 3],
        [0, 1, 2, 2, 3, 4],  # four anchors without a positive are left out of the mean
        [5, 5, 5, 5, 7],
    ],
)
@pytest.mark.parametrize("margin", [0.0, 0.5, 30.0])
def test_batch_hard_triplet_loss(labels: list[int], margin: float) -> None:
    for seed in range(5):
        x = random(len(labels), 3, seed=seed)
        ours = batch_hard_triplet_loss(x, torch.tensor(labels), margin)
        assert ours.item() == pytest.approx(naive_batch_hard(x, labels, margin).item(), rel=1e-9)
        torch.testing.assert_close(
            gradient(lambda y: batch_hard_triplet_loss(y, torch.tensor(labels), margin), x),
            gradient(lambda y: naive_batch_hard(y, labels, margin), x),
        )


def test_batch_hard_gradient() -> None:
    labels = torch.tensor([3, 1, 3, 3, 2, 1, 2, 3])
    check_gradient(lambda x: batch_hard_triplet_loss(x, labels, 1.0), random(8, 3))


def test_batch_hard_ignores_the_order_of_the_batch_and_the_names_of_classes() -> None:
    x, labels = random(9, 4), torch.tensor([0, 1, 2] * 3)
    expected = batch_hard_triplet_loss(x, labels, 0.3).item()
    order = torch.tensor([4, 8, 0, 2, 6, 1, 7, 3, 5])
    assert batch_hard_triplet_loss(x[order], labels[order], 0.3).item() == pytest.approx(expected)
    assert batch_hard_triplet_loss(x, 7 - 3 * labels, 0.3).item() == pytest.approx(expected)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [4, 4, 4], [0]])
def test_batch_hard_without_a_positive_or_a_negative_is_zero(labels: list[int]) -> None:
    x = random(len(labels), 3).float().requires_grad_()
    loss = batch_hard_triplet_loss(x, torch.tensor(labels), 0.3)
    loss.backward()
    assert loss.item() == 0
    assert (x.grad == 0).all()


def test_batch_hard_on_duplicates() -> None:
    # All pictures the same: the furthest positive is as far as the nearest negative, 0.
    x = torch.full((6, 3), 0.7).requires_grad_()
    loss = batch_hard_triplet_loss(x, torch.tensor([0, 0, 0, 1, 1, 1]), 0.25)
    loss.backward()
    assert loss.item() == pytest.approx(0.25)
    assert torch.isfinite(x.grad).all()
    # Each class twice the same picture: an anchor's positive is its duplicate, never itself alone.
    pairs = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    assert batch_hard_triplet_loss(pairs, torch.tensor([0, 0, 1, 1]), 3.0).item() == 2
    # The anchor is not its own negative, nor its duplicate of another class its positive.
    mixed = torch.tensor([[0.0], [2.0], [0.0], [2.0]])
    assert batch_hard_triplet_loss(mixed, torch.tensor([0, 0, 1, 1]), 0.0).item() == 4


def test_one_shot_loss() -> None:
    x = torch.nn.functional.normalize(random(9, 5), dim=1)
    labels = torch.tensor([0, 0, 1, 2, 2, 2, 1, 0, 3])
    terms = []
    for i, j in itertools.permutations(range(9), 2):
        if labels[i] != labels[j]:
            continue
        # The episode: query i, support j, and every image of another class as a class.
        logits = [7.0 * (float(x[i] @ x[j]) - 0.2)]
        logits += [7.0 * float(x[i] @ x[k]) for k in range(9) if labels[k] != labels[i]]
        terms.append(-math.log(math.exp(logits[0]) / sum(map(math.exp, logits))))
    assert len(terms) == 6 + 2 + 6
    expected = sum(terms) / len(terms)
    assert one_shot_loss(x, labels, 7.0, 0.2).item() == pytest.approx(expected, rel=1e-9)
    check_gradient(lambda x: one_shot_loss(x, labels, 7.0, 0.2), x)


# Prototypes


def naive_prototype_loss(logits, labels, weight=0.0, unlabelled=None) -> float:
    def probabilities(row: list[float]) -> list[float]:
        total = sum(math.exp(value) for value in row)
        return [math.exp(value) / total for value in row]

    rows = [probabilities(row) for row in logits.tolist()]
    losses = {y: [] for y in labels}
    for row, y in zip(rows, labels, strict=True):
        losses[y].append(-math.log(row[y]))
    loss = sum(sum(one) / len(one) for one in losses.values()) / len(losses)
    rows = rows if unlabelled is None else [probabilities(row) for row in unlabelled.tolist()]
    return loss - weight * sum(p * math.log(p) for row in rows for p in row) / len(rows)


LOGITS, ROWS, UNLABELLED = 2 * random(6, 4), [0, 3, 1, 1, 2, 0], 2 * random(5, 4, seed=1)


@pytest.mark.parametrize("weight", [0.0, 0.1, 2.5])
@pytest.mark.parametrize("unlabelled", [None, UNLABELLED])
def test_prototype_loss(weight: float, unlabelled: Tensor | None) -> None:
    ours = prototype_loss(LOGITS, torch.tensor(ROWS), weight, unlabelled).item()
    expected = naive_prototype_loss(LOGITS, ROWS, weight, unlabelled)
    assert ours == pytest.approx(expected, rel=1e-12)


def test_prototype_loss_has_no_entropy_unless_asked() -> None:
    ours = prototype_loss(LOGITS, torch.tensor(ROWS)).item()
    assert ours == pytest.approx(naive_prototype_loss(LOGITS, ROWS), rel=1e-12)


def test_entropy_of_even_predictions_is_the_logarithm_of_their_number() -> None:
    loss = prototype_loss(torch.zeros(3, 5), torch.tensor([0, 1, 2]), 1.0).item()
    assert loss == pytest.approx(2 * math.log(5))  # cross-entropy and entropy alike


def test_prototype_gradients() -> None:
    labels = torch.tensor(ROWS)
    check_gradient(lambda x: prototype_loss(x, labels), LOGITS)
    check_gradient(lambda x: prototype_loss(x, labels, 0.7), LOGITS)
    check_gradient(lambda x, u: prototype_loss(x, labels, 0.7, u), LOGITS, UNLABELLED)


def test_lowering_the_entropy_makes_unlabelled_answers_surer() -> None:
    labels = torch.tensor(ROWS)
    slope = gradient(lambda u: prototype_loss(LOGITS, labels, 1.0, u), UNLABELLED)
    surer = (UNLABELLED - slope).softmax(1).max(1).values.mean()
    assert surer > UNLABELLED.softmax(1).max(1).values.mean()


def test_prototype_loss_of_very_sure_answers_is_finite() -> None:
    logits = torch.tensor([[1000.0, 0.0, -1000.0], [0.0, 1000.0, 0.0]])
    labels = torch.tensor([0, 1])
    loss = prototype_loss(logits, labels, 1.0)
    assert loss.item() == 0
    ours = gradient(lambda x: prototype_loss(x, labels, 1.0, x), logits)
    assert torch.isfinite(ours).all()


def test_marginal_entropy_by_hand():
    logits = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    entropies = []
    for episode in logits.tolist():
        mean = [0.0] * 4
        for row in episode:
            total = sum(math.exp(v) for v in row)
            mean = [m + math.exp(v) / total / 7 for m, v in zip(mean, row, strict=True)]
        entropies.append(-sum(m * math.log(m) for m in mean))
    assert marginal_entropy(logits).item() == pytest.approx(sum(entropies) / 3)


def test_marginal_entropy_of_a_class_that_nobody_chose_is_finite():
    logits = torch.tensor([[[0.0, -1e4], [0.0, -1e4]]], requires_grad=True)
    value = marginal_entropy(logits)
    value.backward()
    assert value.item() == 0 and torch.isfinite(logits.grad).all()
