"""The fine-tuned prototype classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.losses import prototype_loss
from fewshot.methods.adaptation import VIEWS, examples, plan_for
from fewshot.methods.base import Method
from fewshot.metrics import cosine_similarities, normalise, prototypes
from fewshot.types import Prediction, Support

MOMENTUM = 0.9
# The plan's name where the entropy is the queries'.
TRANSDUCTIVE = "finetune-transductive"


class FineTune(Method):
    """Prototypes, then W and b learned on the support set: logits ``τ·cos(w_c, q) + b_c``.

    Starts from ``W = M`` and ``b = 0``, so zero steps give :class:`Prototype` exactly. The loss is
    cross-entropy over the support pictures and their augmented views (the only variation that
    one picture per class offers), plus the entropy of the predictions: of the support, or, where
    the settings say transductive and there are several queries, of those queries, so that each
    is answered in the light of the others.

    Dhillon, Chaudhari, Ravichandran, Soatto: A baseline for few-shot image classification,
    ICLR 2020, https://arxiv.org/abs/1909.02729; Chen et al.: A closer look at few-shot
    classification, ICLR 2019, https://arxiv.org/abs/1904.04232. The encoder stays as it is, so a
    space that does not separate the classes cannot be mended here.
    """

    name = "finetune"
    title = "Fine-tuned prototype"
    n_views = VIEWS

    @property
    def transductive(self) -> bool:
        """See :class:`Method`."""
        return self.settings.transductive

    def fit(self, support: Support, queries: np.ndarray | None = None) -> FineTune:
        """See :class:`Method`."""
        seen = [queries] if self.transductive and queries is not None else None
        return self._keep(support, *(part[0] for part in self._learn([support], seen)))

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine to a learned row."""
        cosines = cosine_similarities(queries, self.weights_)
        evidence = cosine_similarities(queries, self.support_)
        return self._prediction(self.temperature * cosines + self.biases_, cosines, evidence)

    def predict_episodes(
        self, supports: Sequence[Support], queries: Sequence[np.ndarray]
    ) -> list[Prediction]:
        """See :class:`Method`; support sets of one size are learned from together."""
        episodes = zip(supports, queries, strict=True)
        sizes = {(len(s.labels), len(s.classes), s.views is None, len(x)) for s, x in episodes}
        if len(sizes) > 1:
            return super().predict_episodes(supports, queries)
        parts = self._learn(supports, queries if self.transductive else None)
        learned = zip(supports, *parts, queries, strict=True)
        return [self._keep(support, w, b).predict(x) for support, w, b, x in learned]

    def _keep(self, support: Support, weights: np.ndarray, biases: np.ndarray) -> FineTune:
        self.classes_, self.support_ = support.classes, support.embeddings
        self.weights_, self.biases_ = weights, biases
        return self

    def _learn(
        self, supports: Sequence[Support], queries: Sequence[np.ndarray] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows ``(e, n_way, d)`` and biases ``(e, n_way)`` of ``e`` support sets of one size."""
        start = np.stack([prototypes(s.embeddings, s.labels, len(s.classes)) for s in supports])
        if not self.settings.steps:
            return start, np.zeros(start.shape[:2], np.float32)
        x, labels = (np.stack(part) for part in zip(*map(examples, supports), strict=True))
        # A single query says nothing that its own prediction does not.
        unlabelled = None
        if queries is not None and len(queries[0]) > 1:
            unlabelled = torch.from_numpy(normalise(np.stack(queries)))
        name = self.name if unlabelled is None else TRANSDUCTIVE
        plan = plan_for(self.encoder.family, name, supports[0])
        weights, biases = fine_tune(
            torch.from_numpy(x),
            torch.from_numpy(labels),
            torch.from_numpy(start),
            steps=self.settings.steps,
            learning_rate=plan.learning_rate,
            temperature=self.temperature,
            entropy_weight=self.settings.entropy_weight * plan.entropy_factor,
            unlabelled=unlabelled,
        )
        return weights.numpy(), biases.numpy()


def fine_tune(
    x: Tensor,
    labels: Tensor,
    start: Tensor,
    *,
    steps: int,
    learning_rate: float,
    temperature: float,
    entropy_weight: float,
    unlabelled: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Learn W and b of ``e`` episodes at once by full-batch gradient descent with momentum.

    Not Adam: where a gradient is only rounding noise, Adam takes steps as large as anywhere, so
    that the order of the support pictures would show in the answer.

    Args:
        x: ``(e, n, d)`` unit-norm examples.
        labels: ``(e, n)`` int64.
        start: ``(e, n_way, d)`` rows to start from; biases start at 0.
        steps, temperature, entropy_weight: as in :class:`Settings`.
        learning_rate: of every step.
        unlabelled: ``(e, q, d)`` unit-norm queries whose entropy is then the one that counts.

    Returns:
        W ``(e, n_way, d)`` and b ``(e, n_way)``.
    """
    weights = start.clone().requires_grad_()
    biases = torch.zeros(start.shape[:2], requires_grad=True)
    optimizer = torch.optim.SGD([weights, biases], lr=learning_rate, momentum=MOMENTUM)
    for _ in range(steps):
        rows = F.normalize(weights, dim=2).mT  # (e, d, n_way)
        logits, unlabelled_logits = (
            None if z is None else (temperature * z @ rows + biases.unsqueeze(1)).flatten(0, 1)
            for z in (x, unlabelled)
        )
        mean = prototype_loss(logits, labels.flatten(), entropy_weight, unlabelled_logits)
        optimizer.zero_grad()
        (mean * len(x)).backward()  # the sum over episodes: none feels how many there are
        optimizer.step()
    return weights.detach(), biases.detach()
