"""Names and pictures together: Tip-Adapter."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.descent import descend
from fewshot.index import build_index
from fewshot.methods.adaptation import VIEWS
from fewshot.methods.base import Method
from fewshot.methods.batch import SupportBatch
from fewshot.methods.clip_zero_shot import ClipZeroShot, text_prototypes
from fewshot.metrics import class_means, cosine_similarities, softmax
from fewshot.types import Prediction, Support

# What the cache's word and the nearness it asks for are chosen from, by leaving pictures out.
ALPHAS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # in units of the learned logit scale
BETAS = (1.0, 2.0, 4.0, 8.0, 16.0)
# Factors on the temperature, of which each candidate takes what suits it: a cache that counts for
# much has large logits, and is neither to be chosen for sharpening what the names say nor refused
# for being too sure.
SHARPNESS = (0.0625, 0.09, 0.125, 0.18, 0.25, 0.35, 0.5, 0.71, 1.0, 1.41, 2.0)
# By how many standard errors the cache has to tell better than the names alone. A view is no other
# picture, so where views ask it is more, up to the second number, the more of the pictures they
# stand for and the more the names tell by themselves. Chosen on validation pictures of nouns
# trained on, as the least at which one picture a class takes nothing from the names.
DOUBT, DOUBT_OF_VIEWS = 1.0, 10.0
# Above this many pictures the cache is used as it is: training it would take seconds.
MOST_TRAINED = 512


class ClipAdapter(ClipZeroShot):
    """Zero-shot, corrected by a cache of the support set: Tip-Adapter-F.

    The cache's keys are the support embeddings, its values their classes. With affinities
    ``A = exp(−β(1 − q·k))``, averaged over each class's keys, the logits are
    ``τ·(q·t + α·A)``: what the names say, plus what the pictures nearby are. (The paper sums over
    keys; a mean lets classes of different sizes compare.) α and β, and with them a factor on τ,
    are those under which each support picture is best told by the others; where a class has
    one picture, its augmented views are told by the picture, their likeness to it brought down to
    what another picture of the class would have. What the cache gains has to be more than chance,
    and more so where views ask, else the names stay alone (the one-standard-error rule: Breiman
    et al.: Classification and regression trees, 1984). The keys are then trained a little (the
    paper's "-F").

    Zhang et al.: Tip-Adapter: training-free adaption of CLIP for few-shot classification, ECCV
    2022, https://arxiv.org/abs/2207.09519. Where names and pictures contradict each other it can
    only weigh them, for all classes alike.
    """

    name = "clip-adapter"
    title = "CLIP adapter"
    reads_pictures = True
    n_views = VIEWS

    def fit(self, support: Support, queries: np.ndarray | None = None) -> ClipAdapter:
        """See :class:`Method`."""
        self.classes_ = support.classes
        self.labels_ = support.labels
        self.prototypes_ = text_prototypes(self.encoder, support.described, self.settings.templates)
        self.alpha_, self.beta_, sharpness = self._chosen(support)
        self.temperature_ = sharpness * self.temperature
        keys = self._trained_keys(support)
        self.space_ = f"{self.encoder.digest}-cache"
        cache = Support(support.classes, support.labels, keys, None, support.files)
        self.index_ = build_index(cache, self.space_)
        self.support_ = support.embeddings
        return self

    def predict(self, queries: np.ndarray) -> Prediction:
        """See :class:`Method`; the score is the cosine to the name plus α times the affinity."""
        ids, found = self.index_.search(queries, len(self.labels_), self.space_)
        cosines = np.empty_like(found)  # (q, n), in the order of the support
        np.put_along_axis(cosines, ids, found, axis=1)
        affinity = class_means(
            np.exp(-self.beta_ * (1 - cosines)), self.labels_, len(self.classes_)
        )
        scores = cosine_similarities(queries, self.prototypes_) + self.alpha_ * affinity
        evidence = cosine_similarities(queries, self.support_)
        return self._prediction(self.temperature_ * scores, scores, evidence)

    def predict_batch(self, support: SupportBatch, queries: Tensor) -> Tensor:
        """See :class:`Method`: one task after the other, as each chooses its own α and β."""
        return Method.predict_batch(self, support, queries)

    def _chosen(self, support: Support) -> tuple[float, float, float]:
        """α, β and sharpness that make pictures left out of the cache likelier than names alone.

        The least mean of what the negative log-likelihood changes by, plus its standard error:
        over pictures, since views of one picture say nearly the same. Whether the cache counts at
        all is decided before: some α and β, if not those chosen, has to tell better than the
        names by as many standard errors as there is doubt.
        """
        plan = self._plan(support, ClipAdapter.name)
        asked, cosines, pictures = _left_out(support, plan.view_likeness)
        labels = support.labels[pictures]
        text = cosine_similarities(asked, self.prototypes_)
        by_name, _ = self._losses(text, labels)
        doubt = DOUBT
        if support.views is not None:
            guessing = np.log(max(2, len(support.classes)))
            told = 1 - by_name.mean() / guessing  # 0 by guessing, 1 by knowing
            doubt += (DOUBT_OF_VIEWS - DOUBT) * max(0.0, told) * _alone(support).mean()
        names_alone = (0.0, BETAS[0], 1.0)
        best, chosen, surest = 0.0, names_alone, 0.0
        nearness = [_class_affinities(cosines, beta, support) for beta in BETAS]
        for alpha, (beta, affinity) in product(ALPHAS, zip(BETAS, nearness, strict=True)):
            losses, sharpness = self._losses(text + alpha * affinity, labels)
            change = class_means((losses - by_name)[None], pictures, len(support.labels))[0]
            mean, error = change.mean(), change.std() / np.sqrt(len(change))
            surest = min(surest, mean + doubt * error)
            if mean + error < best - 1e-9:  # on a tie the less of the cache, the softer
                best, chosen = mean + error, (alpha, beta, sharpness)
        return chosen if surest < -1e-9 else names_alone

    def _losses(self, scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
        """Negative log-likelihood of each label: ``(m, n_way)`` and ``(m,)`` to ``(m,)``.

        At the sharpness, one for all, that makes their mean least; it comes with them.
        """
        own = np.arange(len(labels)), labels
        candidates = []
        for factor in SHARPNESS:
            p = softmax(factor * self.temperature * scores)[own]
            candidates.append((-np.log(np.maximum(p, 1e-12)), factor))
        return min(candidates, key=lambda candidate: candidate[0].mean())

    def _trained_keys(self, support: Support) -> np.ndarray:
        """The keys after their plan's steps; as they are without views or with many pictures."""
        keys = support.embeddings
        if not self.alpha_ or support.views is None or len(keys) > MOST_TRAINED:
            return keys
        plan = self._plan(support, ClipAdapter.name)
        shown = SupportBatch.of(support)
        examples = F.normalize(shown.views[0], dim=2).flatten(0, 1)
        targets = shown.labels.repeat_interleave(support.views.shape[1])
        text = examples @ torch.from_numpy(self.prototypes_).float().T
        membership = shown.membership
        learned = shown.embeddings[0].clone().requires_grad_()

        def loss() -> Tensor:
            cosines = examples @ F.normalize(learned, dim=1).T
            affinity = (-self.beta_ * (1 - cosines)).exp() @ membership
            return F.cross_entropy(self.temperature_ * (text + self.alpha_ * affinity), targets)

        descend([learned], loss, plan.steps, plan.learning_rate)
        return F.normalize(learned.detach(), dim=1).numpy()


def _alone(support: Support) -> np.ndarray:
    """Which pictures are their class's only one: ``(n,)`` bool."""
    return np.bincount(support.labels)[support.labels] < 2


def _left_out(support: Support, view_likeness: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What to ask of a cache that does not hold it.

    Args:
        support: the cache.
        view_likeness: see :class:`Plan`.

    Returns:
        Questions ``(m, d)``, their cosines to all pictures ``(m, n)`` with NaN where a picture may
        not answer, and the picture ``(m,)`` that each is, or is a view of.
    """
    x = support.embeddings
    alone = _alone(support)
    cosines = cosine_similarities(x, x)
    np.fill_diagonal(cosines, np.nan)
    if not alone.any() or support.views is None:
        return x, cosines, np.arange(len(x))
    # A class of one picture would be left with none: its views ask instead.
    n_views = support.views.shape[1]
    views = support.views[alone].reshape(-1, x.shape[1])
    of_views = cosine_similarities(views, x)
    seen = np.flatnonzero(alone).repeat(n_views)
    own = np.arange(len(views)), seen
    of_others = (of_views.sum() - of_views[own].sum()) / max(1, of_views.size - len(views))
    of_views[own] = of_others + view_likeness * (of_views[own] - of_others)
    return (
        np.concatenate([x[~alone], views]),
        np.concatenate([cosines[~alone], of_views]),
        np.concatenate([np.flatnonzero(~alone), seen]),
    )


def _class_affinities(cosines: np.ndarray, beta: float, support: Support) -> np.ndarray:
    """Mean affinity to each class's pictures that may answer, 0 without any: ``(m, n_way)``."""
    membership = np.eye(len(support.classes), dtype=cosines.dtype)[support.labels]
    answers = ~np.isnan(cosines)
    affinity = np.where(answers, np.exp(-beta * (1 - cosines)), 0)
    return (affinity @ membership) / np.maximum(answers @ membership, 1)
