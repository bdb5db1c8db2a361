"""Closed-form gradients against automatic differentiation of the losses they belong to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.logit_gradients import (
    cross_entropy_gradient,
    entropy_gradient,
    marginal_entropy_gradient,
)
from fewshot.losses import marginal_entropy, prototype_loss

EPISODES, EXAMPLES, WAYS = 3, 7, 4
LABELS = torch.tensor([0, 3, 1, 1, 2, 0, 3])


@pytest.fixture(params=[0.1, 3.0, 60.0], ids=["unsure", "sure", "very sure"])
def logits(request) -> Tensor:
    """``(e, n, n_way)``, as the losses take them."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(EPISODES, EXAMPLES, WAYS, generator=generator, dtype=torch.float64)
    return request.param * drawn


def automatic(loss: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Gradient of the sum over episodes, ``(e, n_way, n)``."""
    logits = logits.clone().requires_grad_()
    sum(loss(episode) for episode in logits).backward()
    return logits.grad.mT


def entropy(logits: Tensor) -> Tensor:
    """What :func:`prototype_loss` adds to the cross-entropy."""
    labels = LABELS[: len(logits)]
    return prototype_loss(logits, labels, 1.0) - prototype_loss(logits, labels)


def test_cross_entropy(logits):
    expected = automatic(lambda z: prototype_loss(z, LABELS), logits)
    truth = F.one_hot(LABELS, WAYS).T.to(logits)
    weights = torch.tensor([1 / 2, 1 / 2, 1 / 2, 1 / 2, 1, 1 / 2, 1 / 2]) / WAYS
    ours = cross_entropy_gradient(logits.softmax(2).mT, truth, weights.to(logits).expand(1, 1, -1))
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-12)


def test_entropy(logits):
    log_p = logits.log_softmax(2).mT
    ours = entropy_gradient(log_p.exp(), log_p)
    torch.testing.assert_close(ours, automatic(entropy, logits), rtol=1e-9, atol=1e-12)


def test_marginal_entropy(logits):
    expected = automatic(marginal_entropy, logits)
    ours = marginal_entropy_gradient(logits.softmax(2).mT)
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-12)


def test_a_probability_that_rounds_to_zero_leaves_them_finite():
    log_p = torch.tensor([[[0.0, 0.0], [-1e4, -1e4]]])
    p = log_p.exp()
    assert (p[:, 1] == 0).all()
    for ours in (entropy_gradient(p, log_p), marginal_entropy_gradient(p)):
        torch.testing.assert_close(ours, torch.zeros_like(p))
