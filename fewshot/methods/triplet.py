"""The triplet network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fewshot.class_logits import class_logsumexp
from fewshot.index import build_index
from fewshot.methods.base import Method
from fewshot.methods.batch import SupportBatch, examples_up_to
from fewshot.methods.projection_learning import MOST_EXAMPLES, learn_projection
from fewshot.metrics import normalise
from fewshot.types import Prediction, Support


class Triplet(Method):
    """Squared Euclidean distance, in a space learned from triplets, to a class's pictures.

    Over an encoder that was not trained on triplets, the space is a projection of its embeddings:
    it starts as the identity and learns from the hardest triplets of the support set and its
    augmented views. The distances come from the support index. A class scores by
    ``log mean exp(−τ/2·‖q − x‖²)`` over its pictures: the nearest ones count most, as the loss had
    it, yet every picture has a say and classes of different sizes compare.

    Network: Hoffer, Ailon: Deep metric learning using triplet network, 2015,
    https://arxiv.org/abs/1412.6622. Margin loss: Schroff, Kalenichenko, Philbin: FaceNet, CVPR
    2015, https://arxiv.org/abs/1503.03832. The soft nearest neighbour: Goldberger et al.:
    Neighbourhood components analysis, NeurIPS 2004. A mislabelled picture near a query sways it.
    """

    name = "triplet"
    title = "Triplet"

    @property
    def most_at_once(self) -> int:
        """See :class:`Method`."""
        return 16 if self._learns else super().most_at_once

    def fit(self, support: Support, queries: np.ndarray | None = None) -> Triplet:
        """See :class:`Method`."""
        self.classes_ = support.classes
        self.membership_ = SupportBatch.of(support).membership
        self.projection_ = self._projection(support)
        self.space_ = self.encoder.digest
        if self.projection_ is None:
            self.index_ = support.index or build_index(support, self.space_)
        else:
            self.space_ += "-projected"
            projected = replace(support, embeddings=self._project(support.embeddings))
            self.index_ = build_index(projected, self.space_)
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is in units of squared distance, evidence is minus it."""
        n = len(self.membership_)
        ids, cosines = self.index_.search(self._project(queries), n, self.space_)
        distances = np.empty_like(cosines)  # (q, n), in the order of the support
        np.put_along_axis(distances, ids, 2 - 2 * cosines, axis=1)
        # Both are unit vectors: τ/2·‖q − x‖² = τ − τ·cos, so τ means what it does elsewhere.
        factor = self.temperature / 2
        logits = -factor * torch.from_numpy(distances)
        scores = _log_means(logits, self.membership_).numpy() / factor
        return self._prediction(factor * scores, scores, -distances)

    def nearest(
        self, support: Support, queries: np.ndarray, most: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`Method`; among the projections, where there are any."""
        return self.index_.search(self._project(queries), most, self.space_)

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`; tasks whose space is to be learned go one after the other."""
        if self._learns:
            return super().predict_batch(support, queries)
        cosines = self._unit(queries) @ self._unit(support.embeddings).mT
        logits = self.temperature * cosines  # τ - τ/2·‖q − x‖²
        return _log_means(logits, support.membership).softmax(2)

    def _projection(self, support: Support) -> np.ndarray | None:
        """``(d, d)`` after its plan's steps; None where the space is the encoder's own."""
        if not self._learns:
            return None
        shown = examples_up_to(support, MOST_EXAMPLES)
        return learn_projection(*shown, self._plan(support)).numpy()

    def _project(self, x: np.ndarray) -> np.ndarray:
        return x if self.projection_ is None else normalise(x @ self.projection_.T)


def _log_means(logits: Tensor, membership: Tensor) -> Tensor:
    """``log mean exp`` over each class's pictures, of ``(…, q, n)``: ``(…, q, n_way)``."""
    members = membership > 0
    return class_logsumexp(logits, members) - members.sum(0).log()
