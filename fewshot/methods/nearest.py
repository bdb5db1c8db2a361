"""One nearest neighbour."""

from __future__ import annotations

import numpy as np

from fewshot.methods.base import Method
from fewshot.metrics import cosine_similarities
from fewshot.types import Prediction, Support


class Nearest(Method):
    """The class of the most similar support picture, by cosine.

    Cover, Hart: Nearest neighbor pattern classification, IEEE Transactions on Information Theory
    13 (1967). Over the encoder "pixels" it is the baseline of the one-shot literature.
    """

    name = "pixels"
    title = "Pixels"

    def fit(self, support: Support, queries: np.ndarray | None = None) -> Nearest:
        """See :class:`Method`."""
        self.classes_ = support.classes
        self.support_, self.labels_ = support.embeddings, support.labels
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine to the class's nearest picture."""
        cosines = cosine_similarities(queries, self.support_)
        of_class = self.labels_[None] == np.arange(len(self.classes_))[:, None]  # (n_way, n)
        nearest = np.where(of_class[None], cosines[:, None], -np.inf).max(2)  # (q, n_way)
        return self._prediction(self.temperature * nearest, nearest, cosines)
