"""One nearest neighbour."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from fewshot.methods.base import Method
from fewshot.methods.batch import SupportBatch
from fewshot.metrics import cosine_similarities
from fewshot.types import Prediction, Support


class Nearest(Method):
    """The class of the most similar support picture: the largest cosine, ``max_i cos(q, x_i)``.

    Cover, Hart: Nearest neighbor pattern classification, IEEE Transactions on Information Theory
    13 (1967), https://doi.org/10.1109/TIT.1967.1053964. A single odd picture answers for its
    class.
    """

    name = "nearest"
    title = "Nearest neighbour"

    def fit(self, support: Support, queries: np.ndarray | None = None) -> Nearest:
        """See :class:`Method`."""
        self.classes_ = support.classes
        self.support_, self.labels_ = support.embeddings, support.labels
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine to the class's nearest picture."""
        cosines = cosine_similarities(queries, self.support_)
        nearest = np.full((len(queries), len(self.classes_)), -np.inf, cosines.dtype)
        for i, label in enumerate(self.labels_):
            np.maximum(nearest[:, label], cosines[:, i], out=nearest[:, label])
        return self._prediction(self.temperature * nearest, nearest, cosines)

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`."""
        cosines = self._unit(queries) @ self._unit(support.embeddings).mT
        nearest = cosines.new_full((*queries.shape[:2], support.n_way), -1)
        nearest.scatter_reduce_(2, support.labels.expand_as(cosines), cosines, "amax")
        return (self.temperature * nearest).softmax(2)


class Pixels(Nearest):
    """The same on raw ink: the baseline of the one-shot literature (Lake et al. 2015)."""

    name = "pixels"
    title = "Pixels"
