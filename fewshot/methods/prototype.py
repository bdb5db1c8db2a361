"""Cosine prototypes: the training-free baseline."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from fewshot.class_logits import batch_prototypes
from fewshot.methods.base import Method
from fewshot.methods.batch import SupportBatch
from fewshot.metrics import cosine_similarities, prototypes
from fewshot.types import Prediction, Support


class Prototype(Method):
    """``p = softmax(τ·M q)``, row c of M the normalised mean of class c's normalised embeddings.

    Snell, Swersky, Zemel: Prototypical networks for few-shot learning, NeurIPS 2017,
    https://arxiv.org/abs/1703.05175, with cosine similarity in place of squared Euclidean
    distance (Gidaris, Komodakis, CVPR 2018, https://arxiv.org/abs/1804.09458). One mean per
    class cannot describe a class of several unlike looks.
    """

    name = "prototype"
    title = "Prototype"

    def fit(self, support: Support, queries: np.ndarray | None = None) -> Prototype:
        """See :class:`Method`."""
        self.classes_ = support.classes
        self.prototypes_ = prototypes(support.embeddings, support.labels, len(support.classes))
        self.support_ = support.embeddings
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine to a prototype, evidence to a picture."""
        cosines = cosine_similarities(queries, self.prototypes_)
        evidence = cosine_similarities(queries, self.support_)
        return self._prediction(self.temperature * cosines, cosines, evidence)

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`."""
        rows = batch_prototypes(self._unit(support.embeddings), support.membership)
        cosines = self._unit(queries) @ rows.mT
        return (self.temperature * cosines).softmax(2)
