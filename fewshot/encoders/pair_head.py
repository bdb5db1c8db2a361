"""The siamese network's head: the probability that two embeddings show the same class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Logit of two equal embeddings before any training; of two random ones, minus it.
CERTAINTY = 4.0


class PairHead(nn.Module):
    """``z = |x₁ − x₂|``, one linear layer: a logit, symmetric in its arguments by construction.

    Koch, Zemel, Salakhutdinov: Siamese neural networks for one-shot image recognition, ICML deep
    learning workshop 2015, https://www.cs.cmu.edu/~rsalakhu/papers/oneshot1.pdf.

    The layer starts as a plain distance: every weight the same negative number, so that an
    untrained head ranks pairs by the L1 distance of their embeddings. The scale makes two random
    unit vectors, whose L1 distance is about ``2 sqrt(d / π)``, as surely different as two equal
    ones are the same.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 1)
        typical_distance = 2 * (dim / torch.pi) ** 0.5
        nn.init.constant_(self.linear.weight, -2 * CERTAINTY / typical_distance)
        nn.init.constant_(self.linear.bias, CERTAINTY)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Logits ``(...)`` of pairs ``(..., d)`` and ``(..., d)``, which may broadcast."""
        return self.linear((x1 - x2).abs()).squeeze(-1)
