"""The fine-tuned prototype classifier."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.class_logits import batch_prototypes
from fewshot.descent import MOMENTUM
from fewshot.logit_gradients import (
    cross_entropy_gradient,
    entropy_gradient,
    marginal_entropy_gradient,
)
from fewshot.methods.adaptation import VIEWS
from fewshot.methods.base import Method
from fewshot.methods.batch import SupportBatch
from fewshot.methods.prior import drawn_to_known
from fewshot.methods.span import into_span, span_pays
from fewshot.metrics import cosine_similarities, prototypes
from fewshot.types import Prediction, Support

# Of a row, where it divides: as in torch's normalize.
SMALLEST_NORM = 1e-12
# The plan's name where the entropy is the queries'.
TRANSDUCTIVE = "finetune-transductive"


class FineTune(Method):
    """Prototypes, then W and b learned on the support set: logits ``τ·cos(w_c, q) + b_c``.

    Starts from ``W = M`` and ``b = 0``, so zero steps give :class:`Prototype` exactly. With any,
    unless it learns from the queries, M is first drawn towards the nearby ones of the classes that
    the encoder was trained on, where it tells them (:mod:`fewshot.methods.prior`). The loss is
    cross-entropy over the support pictures and their augmented views (the only variation that one
    picture per class offers), each class counting the same whatever its number of pictures, plus
    the entropy of the predictions: of the support, or, where the settings say transductive and
    there are several queries, of those queries, so that each is answered in the light of the
    others. Then the entropy of the queries' mean prediction counts the other way, as being sure is
    easiest by giving all queries one class, and b stays 0; this leans towards classes that occur
    about equally often. The softmax may be less sharp there while learning, and sharper or milder
    in the answers, by factors that were chosen on validation classes.

    Dhillon, Chaudhari, Ravichandran, Soatto: A baseline for few-shot image classification, ICLR
    2020, https://arxiv.org/abs/1909.02729; Chen et al.: A closer look at few-shot classification,
    ICLR 2019, https://arxiv.org/abs/1904.04232; the mean prediction: Boudiaf et al.: Information
    maximization for few-shot learning, NeurIPS 2020, https://arxiv.org/abs/2008.11297. The encoder
    stays as it is, but for its last block where the settings say so: a space that does not separate
    the classes cannot be mended here.
    """

    name = "finetune"
    title = "Fine-tuned prototype"
    n_views = VIEWS

    @property
    def transductive(self) -> bool:
        """See :class:`Method`."""
        return self.settings.transductive

    @property
    def tunes_encoder(self) -> bool:
        """See :class:`Method`; CLIP's alone can."""
        asked = self.settings.last_block and self.settings.steps != 0
        return asked and self.encoder.family == "clip"

    def fit(self, support: Support, queries: np.ndarray | None = None) -> FineTune:
        """See :class:`Method`."""
        seen = None
        if self.transductive and queries is not None:
            seen = torch.from_numpy(queries)[None]
        start = prototypes(support.embeddings, support.labels, len(support.classes))
        weights, biases, self.temperature_ = self._learned(
            SupportBatch.of(support), seen, torch.from_numpy(start)[None]
        )
        self.classes_, self.support_ = support.classes, support.embeddings
        self.weights_, self.biases_ = weights[0].numpy(), biases[0].numpy()
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine to a learned row."""
        cosines = cosine_similarities(queries, self.weights_)
        evidence = cosine_similarities(queries, self.support_)
        return self._prediction(self.temperature_ * cosines + self.biases_, cosines, evidence)

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`."""
        seen = queries if self.transductive else None
        start = batch_prototypes(self._unit(support.embeddings), support.membership)
        weights, biases, temperature = self._learned(support, seen, start)
        cosines = self._unit(queries) @ F.normalize(weights, dim=2).mT
        return (temperature * cosines + biases.unsqueeze(1)).softmax(2)

    def _learned(
        self, support: SupportBatch, queries: Tensor | None, start: Tensor
    ) -> tuple[Tensor, Tensor, float]:
        """From the prototypes: rows ``(e, n_way, d)``, biases ``(e, n_way)``, temperature."""
        if self.settings.steps == 0:
            return start, start.new_zeros(start.shape[:2]), self.temperature
        x, labels = support.examples()
        # A single query says nothing that its own prediction does not.
        alone = queries is None or queries.shape[1] < 2
        plan = self._plan(support, None if alone else TRANSDUCTIVE)
        temperature = self.temperature * plan.temperature_factor
        if plan.prior and (known := self.encoder.known) is not None:
            known = torch.from_numpy(known).to(start.device)
            start = drawn_to_known(start, known, plan.prior, self.encoder.temperature)
        weights, biases = fine_tune(
            x,
            labels.expand(len(x), -1),
            start,
            steps=plan.steps if self.settings.steps is None else self.settings.steps,
            learning_rate=plan.learning_rate,
            temperature=temperature,
            entropy_weight=self.settings.entropy_weight * plan.entropy_factor,
            unlabelled=None if alone else self._unit(queries),
        )
        return weights, biases * plan.answer_factor, temperature * plan.answer_factor


@torch.no_grad()
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

    The loss is :func:`fewshot.losses.prototype_loss`, for unlabelled queries less
    :func:`fewshot.losses.marginal_entropy` times the same weight. Its gradient is in closed form,
    as differentiating such small steps automatically takes longer than the steps themselves; and
    where the examples are few for their d, the steps are taken in their span.

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
    truth = F.one_hot(labels, start.shape[1]).mT.to(x.dtype)  # (e, n_way, n)
    importance = (truth / truth.sum(2, keepdim=True)).mean(1, keepdim=True)  # (e, 1, n)
    vectors = torch.cat([x, start] if unlabelled is None else [x, unlabelled, start], 1)
    m, basis = vectors.shape[1] - start.shape[1], None
    if span_pays(m, *start.shape[1:], steps, x.device):
        basis, vectors = into_span(vectors)
    z, weights = vectors[:, :m], vectors[:, m:].clone()
    biases = weights.new_zeros(*start.shape[:2], 1)
    velocity, bias_velocity = torch.zeros_like(weights), torch.zeros_like(biases)
    for _ in range(steps):
        products = weights @ z.mT  # (e, n_way, n + q)
        squared_norms = weights.square().sum(2, keepdim=True).clamp_min(SMALLEST_NORM**2)
        scale = temperature * squared_norms.rsqrt()
        log_p = torch.addcmul(biases, products, scale).log_softmax(1)
        slope = _slope(log_p, truth, importance, entropy_weight)
        if unlabelled is None:
            bias_velocity.mul_(MOMENTUM).add_(slope.sum(2, keepdim=True))
            biases.sub_(bias_velocity, alpha=learning_rate)
        # By way of w·z, less what runs along w: a longer row answers no differently.
        slope = slope * scale
        along = (slope * products).sum(2, keepdim=True) / squared_norms
        velocity.mul_(MOMENTUM).baddbmm_(slope, z).addcmul_(along, weights, value=-1)
        weights.sub_(velocity, alpha=learning_rate)
    return weights if basis is None else weights @ basis.mT, biases.squeeze(2)


def _slope(log_p: Tensor, truth: Tensor, weights: Tensor, entropy_weight: float) -> Tensor:
    """Gradient of each episode's loss with respect to its logits.

    Args:
        log_p: ``(e, n_way, n + q)`` log-probabilities of the examples, then of the unlabelled.
        truth: ``(e, n_way, n)`` 1 at an example's class, else 0.
        weights: ``(e, 1, n)`` of the examples in the cross-entropy.
        entropy_weight: see :func:`fine_tune`.
    """
    n, p = truth.shape[2], log_p.exp()
    slope = cross_entropy_gradient(p[..., :n], truth, weights)
    if p.shape[2] == n:
        return slope.add_(entropy_gradient(p, log_p), alpha=entropy_weight)
    p, log_p = p[..., n:], log_p[..., n:]
    unsure = entropy_gradient(p, log_p) - marginal_entropy_gradient(p)
    return torch.cat([slope, entropy_weight * unsure], 2)
