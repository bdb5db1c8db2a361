"""The prototypical network."""

from __future__ import annotations

from torch import Tensor

from fewshot.class_logits import centroid_logits, minus_squared_distances
from fewshot.methods.batch import SupportBatch
from fewshot.methods.feed_forward import FeedForward


class Prototypical(FeedForward):
    """``p = softmax(−τ/2·‖q − c‖²)``, c the mean of a class's embeddings as they are.

    With τ = 2 it is the formula as published. Here τ is chosen on validation data, and its half
    makes τ mean what it does elsewhere where embeddings have unit length, for there
    ``‖q − c‖²/2`` falls as the inner product rises. The encoder trained for it leaves lengths
    free, as published.

    Snell, Swersky, Zemel: Prototypical networks for few-shot learning, NeurIPS 2017,
    https://arxiv.org/abs/1703.05175. One mean per class cannot describe a class of several unlike
    looks, and the mean of a single picture lies further from its class than that of many: classes
    of few pictures lose to those of many.
    """

    name = "prototypical"
    title = "Prototypical network"

    def logits(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """See :class:`FeedForward`."""
        return centroid_logits(queries, support.embeddings, support.membership, self.temperature)

    def scores(self, logits: Tensor) -> Tensor:
        """Minus the squared distance to a class's mean."""
        return logits * (2 / self.temperature)

    def evidence(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """Minus the squared distance to each picture."""
        return minus_squared_distances(queries, support.embeddings)
