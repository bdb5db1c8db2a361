"""The siamese network trained with the contrastive loss: a plain distance decides."""

from __future__ import annotations

from torch import Tensor

from fewshot.class_logits import distance_logits, euclidean_distances
from fewshot.methods.batch import SupportBatch
from fewshot.methods.feed_forward import FeedForward


class SiameseContrastive(FeedForward):
    """Twins whose Euclidean distance ``D = ‖f(x₁) − f(x₂)‖`` is all they say of a pair.

    They were trained with ``same·D² + (1 − same)·max(0, m − D)²``. A class scores by minus the
    mean distance to its pictures, ``p = softmax(−τ·mean D)``.

    Hadsell, Chopra, LeCun: Dimensionality reduction by learning an invariant mapping, CVPR 2006,
    http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf. The paper maps and does not
    classify: mean and softmax are ours. Pairs beyond the margin teach nothing, so among many
    classes the far ones are ranked by chance; every dimension counts alike, where ``siamese``
    learns how much each says.
    """

    name = "siamese-contrastive"
    title = "Siamese, contrastive"

    def logits(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """See :class:`FeedForward`."""
        return distance_logits(queries, support.embeddings, support.membership, self.temperature)

    def scores(self, logits: Tensor) -> Tensor:
        """Minus the mean distance to a class's pictures."""
        return logits / self.temperature

    def evidence(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """Minus the distance to each picture."""
        return -euclidean_distances(queries, support.embeddings)
