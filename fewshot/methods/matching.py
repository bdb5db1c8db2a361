"""The matching network."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from fewshot.class_logits import attention_logits
from fewshot.methods.batch import SupportBatch
from fewshot.methods.feed_forward import FeedForward


class Matching(FeedForward):
    """Attention over the support set: ``p(c) = Σ_{i of class c} softmax_i(τ·cos(q, x_i))``.

    Each picture shown votes for its class with the weight that the query gives it.

    Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra: Matching networks for one shot learning,
    NeurIPS 2016, https://arxiv.org/abs/1606.04080: the simple model, whose embedding of a picture
    does not depend on the others (no full context embeddings), with a factor τ on the cosines. The
    votes are summed, so a class that shows more pictures than another is answered more often.
    """

    name = "matching"
    title = "Matching network"

    def logits(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """See :class:`FeedForward`; ``log Σ exp(τ·cos)`` over a class's pictures."""
        return attention_logits(queries, support.embeddings, support.membership, self.temperature)

    def scores(self, logits: Tensor) -> Tensor:
        """The soft maximum of the cosines to a class's pictures."""
        return logits / self.temperature

    def evidence(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """The attention: what each picture adds to its class's probability."""
        cosines = F.normalize(queries, dim=2) @ F.normalize(support.embeddings, dim=2).mT
        return (self.temperature * cosines).softmax(2)
