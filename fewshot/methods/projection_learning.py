"""A projection of frozen embeddings, learned from a support set's hardest triplets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.descent import descend
from fewshot.losses import batch_hard_triplet_loss
from fewshot.methods.adaptation import Plan

MARGIN = 0.3
# Distances of all pairs: at as many examples, 16 MB.
MOST_EXAMPLES = 2_048


def learn_projection(x: Tensor, labels: Tensor, plan: Plan) -> Tensor:
    """A matrix ``(d, d)`` that starts as the identity and draws each class together.

    Gradient descent with momentum on the batch-hard triplet loss (Hermans, Beyer, Leibe 2017,
    https://arxiv.org/abs/1703.07737) of all examples.

    Args:
        x: ``(n, d)`` unit-norm examples, at most MOST_EXAMPLES.
        labels: ``(n,)`` int64.
        plan: how far to go.
    """
    projection = torch.eye(x.shape[1], requires_grad=True)
    if len(labels.unique()) < 2 or labels.bincount().max() < 2:
        return projection.detach()

    def loss() -> Tensor:
        return batch_hard_triplet_loss(F.normalize(x @ projection.T, dim=1), labels, MARGIN)

    descend([projection], loss, plan.steps, plan.learning_rate)
    return projection.detach()
