"""The siamese network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fewshot.methods.base import Method
from fewshot.methods.batch import SupportBatch, examples_up_to
from fewshot.methods.pair_comparison import compared
from fewshot.methods.pair_learning import MOST_EXAMPLES, learn_pair_head
from fewshot.metrics import class_means
from fewshot.types import Prediction, Support


class Siamese(Method):
    """Twins with shared weights and a learned comparison: is this pair of the same class?

    ``z = |f(x₁) − f(x₂)|``, one linear layer and a sigmoid. A class scores by the mean pair logit
    of its pictures, and a softmax over classes gives the probabilities, its sharpness chosen on
    validation classes; the evidence is each pair's own probability. It was never asked to rank
    classes, so it may find two of them, or none, likely. Over an encoder that brought no trained
    head, the head starts as a plain distance and learns from all pairs of the support set and its
    augmented views.

    Koch, Zemel, Salakhutdinov: Siamese neural networks for one-shot image recognition, ICML deep
    learning workshop 2015, https://www.cs.cmu.edu/~rsalakhu/papers/oneshot1.pdf.
    """

    name = "siamese"
    title = "Siamese"

    @property
    def most_at_once(self) -> int:
        """See :class:`Method`."""
        return 64 if self._learns else super().most_at_once

    def fit(self, support: Support, queries: np.ndarray | None = None) -> Siamese:
        """See :class:`Method`."""
        self.classes_ = support.classes
        self.support_, self.labels_ = support.embeddings, support.labels
        self.head_ = self.encoder.pair_head()
        self.sharpness_ = self._sharpness(support)
        if self._learns:
            shown = examples_up_to(support, MOST_EXAMPLES)
            self.head_ = learn_pair_head(self.head_, *shown, self._plan(support))
        return self

    @torch.inference_mode()
    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is a mean pair logit, evidence a pair's probability."""
        x, twins = torch.from_numpy(np.ascontiguousarray(queries)), torch.from_numpy(self.support_)
        logits = compared(self.head_, x[None], twins[None])[0]  # (q, n)
        scores = class_means(logits.numpy(), self.labels_, len(self.classes_))
        return self._prediction(self.sharpness_ * scores, scores, logits.sigmoid().numpy())

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`; tasks whose head is to be learned go one after the other."""
        if self._learns:
            return super().predict_batch(support, queries)
        with torch.inference_mode():
            factor = self._sharpness(support)
            logits = compared(self.encoder.pair_head(), queries, support.embeddings)  # (e, q, n)
            return (factor * logits @ support.membership).softmax(2)
