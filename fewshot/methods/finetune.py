"""The fine-tuned prototype classifier."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from fewshot.losses import prototype_loss
from fewshot.methods.base import Method
from fewshot.metrics import cosine_similarities, normalise, prototypes
from fewshot.types import Prediction, Support

LEARNING_RATE = 0.02
MOMENTUM = 0.9


class FineTune(Method):
    """Prototypes, then W and b learned on the support set: logits ``τ·cos(w_c, q) + b_c``.

    Starts from ``W = M`` and ``b = 0``, so zero steps give :class:`Prototype` exactly. The loss is
    cross-entropy over the support pictures and their augmented views (the only variation that
    one picture per class offers), plus the entropy of the predictions.

    Dhillon, Chaudhari, Ravichandran, Soatto: A baseline for few-shot image classification,
    ICLR 2020, https://arxiv.org/abs/1909.02729; Chen et al.: A closer look at few-shot
    classification, ICLR 2019, https://arxiv.org/abs/1904.04232. The encoder stays as it is, so a
    space that does not separate the classes cannot be mended here.
    """

    name = "finetune"
    title = "Fine-tuned prototype"
    n_views = 4

    def fit(self, support: Support, queries: np.ndarray | None = None) -> FineTune:
        """See :class:`Method`."""
        self.classes_ = support.classes
        self.support_ = support.embeddings
        start = prototypes(support.embeddings, support.labels, len(support.classes))
        self.weights_, self.biases_ = start, np.zeros(len(start), np.float32)
        if self.settings.steps:
            self.weights_, self.biases_ = self._learn(start, support)
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine to a learned row."""
        cosines = cosine_similarities(queries, self.weights_)
        evidence = cosine_similarities(queries, self.support_)
        return self._prediction(self.temperature * cosines + self.biases_, cosines, evidence)

    def _learn(self, start: np.ndarray, support: Support) -> tuple[np.ndarray, np.ndarray]:
        """Full-batch gradient descent with momentum.

        Not Adam: where a gradient is only rounding noise, Adam takes steps as large as anywhere,
        so that the order of the support pictures would show in the answer.
        """
        x, labels = _examples(support)
        x, labels = torch.from_numpy(x), torch.from_numpy(labels)
        weights = torch.from_numpy(start).requires_grad_()
        biases = torch.zeros(len(start), requires_grad=True)
        optimizer = torch.optim.SGD([weights, biases], lr=LEARNING_RATE, momentum=MOMENTUM)
        for _ in range(self.settings.steps):
            logits = self.temperature * x @ F.normalize(weights, dim=1).T + biases
            loss = prototype_loss(logits, labels, self.settings.entropy_weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return weights.detach().numpy(), biases.detach().numpy()


def _examples(support: Support) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and their views as unit rows ``(n * (1 + v), d)``, with labels."""
    x, labels = support.embeddings, support.labels
    if support.views is not None:
        n_views = support.views.shape[1]
        x = np.concatenate([x, support.views.reshape(-1, x.shape[1])])
        labels = np.concatenate([labels, labels.repeat(n_views)])
    return normalise(x), labels
