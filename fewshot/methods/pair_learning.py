"""The siamese head learned further on a support set's pairs, over frozen embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.descent import descend
from fewshot.encoders.pair_head import PairHead
from fewshot.methods.adaptation import Plan

# All pairs of as many examples are 130,000: at 512 dimensions, 270 MB.
MOST_EXAMPLES = 512


def learn_pair_head(head: PairHead, x: Tensor, labels: Tensor, plan: Plan) -> PairHead:
    """A head that starts as the given one and learns from all pairs of some examples.

    Logistic regression on ``|x₁ − x₂|`` by gradient descent with momentum, the pairs of one class
    weighing as much as those of different ones. Koch, Zemel, Salakhutdinov, ICML deep learning
    workshop 2015.

    Args:
        head: where to start; it stays as it is.
        x: ``(n, d)`` examples, at most MOST_EXAMPLES.
        labels: ``(n,)`` int64.
        plan: how far to go.
    """
    learned = PairHead(x.shape[1])
    learned.load_state_dict(head.state_dict())
    first, second = torch.triu_indices(len(x), len(x), offset=1)
    same = (labels[first] == labels[second]).float()
    n_same = same.sum()
    if not plan.steps or not 0 < n_same < len(same):
        return learned.eval()
    weights = torch.where(same > 0, 0.5 / n_same, 0.5 / (len(same) - n_same))
    differences = (x[first] - x[second]).abs()

    def loss() -> Tensor:
        logits = learned.linear(differences).squeeze(1)
        return F.binary_cross_entropy_with_logits(logits, same, weights, reduction="sum")

    descend(learned.parameters(), loss, plan.steps, plan.learning_rate)
    return learned.eval()
