"""Gradient descent on a support set: a handful of pictures, a few steps, all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

MOMENTUM = 0.9


def descend(
    parameters: Iterable[Tensor], loss: Callable[[], Tensor], steps: int, learning_rate: float
) -> None:
    """Lower a loss of some parameters, in place, by full-batch steps with momentum.

    Args:
        parameters: leaves that require gradients.
        loss: computes the scalar from them as they are.
        steps, learning_rate: how far to go.
    """
    optimizer = torch.optim.SGD(parameters, learning_rate, momentum=MOMENTUM)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
