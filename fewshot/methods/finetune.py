"""The fine-tuned prototype classifier."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.losses import marginal_entropy, prototype_loss
from fewshot.methods.adaptation import VIEWS, plan_for
from fewshot.methods.base import Method
from fewshot.methods.batch import SupportBatch
from fewshot.methods.prototype import batch_prototypes
from fewshot.metrics import cosine_similarities, prototypes
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
    is answered in the light of the others. Then the entropy of the queries' mean prediction counts
    the other way, as being sure is easiest by giving all queries one class, and b stays 0; this
    leans towards classes that occur about equally often.

    Dhillon, Chaudhari, Ravichandran, Soatto: A baseline for few-shot image classification,
    ICLR 2020, https://arxiv.org/abs/1909.02729; Chen et al.: A closer look at few-shot
    classification, ICLR 2019, https://arxiv.org/abs/1904.04232; the mean prediction: Boudiaf et
    al.: Information maximization for few-shot learning, NeurIPS 2020,
    https://arxiv.org/abs/2008.11297. The encoder stays as it is, so a space that does not separate
    the classes cannot be mended here.
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
        seen = None
        if self.transductive and queries is not None:
            seen = torch.from_numpy(queries)[None]
        start = prototypes(support.embeddings, support.labels, len(support.classes))
        weights, biases = self._learned(
            SupportBatch.of(support), seen, torch.from_numpy(start)[None]
        )
        self.classes_, self.support_ = support.classes, support.embeddings
        self.weights_, self.biases_ = weights[0].numpy(), biases[0].numpy()
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine to a learned row."""
        cosines = cosine_similarities(queries, self.weights_)
        evidence = cosine_similarities(queries, self.support_)
        return self._prediction(self.temperature * cosines + self.biases_, cosines, evidence)

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`."""
        seen = queries if self.transductive else None
        start = batch_prototypes(self._unit(support.embeddings), support.membership)
        weights, biases = self._learned(support, seen, start)
        cosines = self._unit(queries) @ F.normalize(weights, dim=2).mT
        return (self.temperature * cosines + biases.unsqueeze(1)).softmax(2)

    def _learned(
        self, support: SupportBatch, queries: Tensor | None, start: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Rows ``(e, n_way, d)`` and biases ``(e, n_way)``, from the prototypes."""
        if not self.settings.steps:
            return start, start.new_zeros(start.shape[:2])
        x, labels = support.examples()
        # A single query says nothing that its own prediction does not.
        alone = queries is None or queries.shape[1] < 2
        plan = plan_for(self.encoder.family, self.name if alone else TRANSDUCTIVE, support[0])
        return fine_tune(
            x,
            labels.expand(len(x), -1),
            start,
            steps=self.settings.steps,
            learning_rate=plan.learning_rate,
            temperature=self.temperature,
            entropy_weight=self.settings.entropy_weight * plan.entropy_factor,
            unlabelled=None if alone else self._unit(queries),
        )


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
        unlabelled: ``(e, q, d)`` unit-norm queries whose entropy is then the one that counts,
            less that of their mean prediction.

    Returns:
        W ``(e, n_way, d)`` and b ``(e, n_way)``.
    """
    weights = start.clone().requires_grad_()
    biases = start.new_zeros(start.shape[:2])
    learned = [weights]
    if unlabelled is None:
        learned.append(biases.requires_grad_())
    optimizer = torch.optim.SGD(learned, lr=learning_rate, momentum=MOMENTUM)
    for _ in range(steps):
        rows = F.normalize(weights, dim=2).mT  # (e, d, n_way)
        logits, unlabelled_logits = (
            None if z is None else temperature * z @ rows + biases.unsqueeze(1)
            for z in (x, unlabelled)
        )
        mean = prototype_loss(
            logits.flatten(0, 1),
            labels.flatten(),
            entropy_weight,
            None if unlabelled is None else unlabelled_logits.flatten(0, 1),
        )
        if unlabelled is not None:
            mean = mean - entropy_weight * marginal_entropy(unlabelled_logits)
        optimizer.zero_grad()
        (mean * len(x)).backward()  # the sum over episodes: none feels how many there are
        optimizer.step()
    return weights.detach(), biases.detach()
