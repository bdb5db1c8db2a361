"""The relation network."""

from __future__ import annotations

from torch import Tensor

from fewshot.methods.batch import SupportBatch
from fewshot.methods.feed_forward import FeedForward
from fewshot.methods.pair_comparison import compared


class Relation(FeedForward):
    """A learned comparison ``g(q, p_c)`` of the query with each class's mean embedding ``p_c``.

    The score is ``sigmoid(g)`` in 0..1, which training drew to 1 for the class that is shown and
    to 0 for the others; since probabilities have to sum to 1, they are ``softmax(s·g)``, which
    ranks the classes alike, with a factor s chosen on validation classes. The module is
    :class:`fewshot.encoders.relation_head.RelationHead`, which says how it differs from the
    paper's; with several pictures the paper adds up feature maps where this takes the mean.

    Sung, Yang, Zhang, Xiang, Torr, Hospedales: Learning to compare: relation network for few-shot
    learning, CVPR 2018, https://arxiv.org/abs/1711.06025. What it learned of comparing holds for
    the kind of pictures it was trained on.
    """

    name = "relation"
    title = "Relation network"

    def logits(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """See :class:`FeedForward`."""
        return compared(
            self.encoder.relation_head(), queries, support.membership.T @ support.embeddings
        )

    def sharpness(self, support: SupportBatch) -> float:
        """See :class:`FeedForward`."""
        return self._sharpness(support)

    def scores(self, logits: Tensor) -> Tensor:
        """The published relation score, 0 to 1."""
        return logits.sigmoid()

    def evidence(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """The relation score of each picture, as if it were its class alone."""
        return compared(self.encoder.relation_head(), queries, support.embeddings).sigmoid()
