"""Methods that learned beforehand all there is to learn."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from fewshot.methods.base import Method
from fewshot.methods.batch import SupportBatch
from fewshot.types import Prediction, Support


class FeedForward(Method):
    """``fit`` keeps the support set; an answer is one function of it and the queries.

    The same function answers for one task and for many at once.
    """

    @abstractmethod
    def logits(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """Of each class, for queries ``(e, q, d)``: ``(e, q, n_way)``, before the softmax."""

    def sharpness(self, support: SupportBatch) -> float:
        """Factor on the logits in the softmax alone."""
        return 1.0

    @abstractmethod
    def scores(self, logits: Tensor) -> Tensor:
        """The method's own measure of each class, from its logits; of the same shape."""

    @abstractmethod
    def evidence(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """The method's measure of each support picture: ``(e, q, n)``."""

    def fit(self, support: Support, queries: np.ndarray | None = None) -> FeedForward:
        """See :class:`Method`."""
        self.classes_ = support.classes
        self.support_ = SupportBatch.of(support)
        return self

    @torch.inference_mode()
    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`."""
        x = torch.from_numpy(np.ascontiguousarray(queries))[None]
        logits, evidence = self.logits(x, self.support_), self.evidence(x, self.support_)
        scores = self.scores(logits)
        sharp = self.sharpness(self.support_) * logits
        return self._prediction(sharp[0].numpy(), scores[0].numpy(), evidence[0].numpy())

    @torch.inference_mode()
    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`."""
        return (self.sharpness(support) * self.logits(queries, support)).softmax(2)
