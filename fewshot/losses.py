"""The methods' losses: pure functions of tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.class_logits import minus_squared_distances


def pair_loss(logits: Tensor, same: Tensor) -> Tensor:
    """Binary cross-entropy of "these two show the same class" (Koch et al. 2015).

    Args:
        logits: ``(b,)`` pair logits.
        same: ``(b,)`` 1 or True where both show the same class; drawn half and half, because at
            random nearly all pairs differ and "different" would be a good constant answer.
    """
    return F.binary_cross_entropy_with_logits(logits, same.to(logits.dtype))


def contrastive_loss(x1: Tensor, x2: Tensor, same: Tensor, margin: float) -> Tensor:
    """Mean of ``same·d² + (1−same)·max(0, margin−d)²``, d the Euclidean distance.

    Hadsell, Chopra, LeCun: Dimensionality reduction by learning an invariant mapping, CVPR 2006,
    http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf.

    Args:
        x1, x2: ``(b, d)`` embeddings.
        same: ``(b,)`` 1 or True where both show the same class.
        margin: distance beyond which a different pair costs nothing.
    """
    squared = (x1 - x2).square().sum(-1)
    # The square root has no finite slope at 0. Clamping gives such pairs the gradient 0.
    distance = squared.clamp_min(torch.finfo(squared.dtype).eps ** 2).sqrt()
    same = same.to(squared.dtype)
    return (same * squared + (1 - same) * (margin - distance).clamp_min(0).square()).mean()


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean of ``max(0, ‖a−p‖² − ‖a−n‖² + margin)``.

    Schroff, Kalenichenko, Philbin: FaceNet, CVPR 2015, https://arxiv.org/abs/1503.03832.

    Args:
        anchor, positive, negative: ``(b, d)`` embeddings.
        margin: by how much the negative must be further, in squared distance.
    """
    to_positive = (anchor - positive).square().sum(-1)
    to_negative = (anchor - negative).square().sum(-1)
    return (to_positive - to_negative + margin).clamp_min(0).mean()


def batch_hard_triplet_loss(x: Tensor, labels: Tensor, margin: float) -> Tensor:
    """:func:`triplet_loss` with each anchor's furthest positive and nearest negative in the batch.

    Hermans, Beyer, Leibe: In defense of the triplet loss for person re-identification, 2017,
    https://arxiv.org/abs/1703.07737.

    Args:
        x: ``(b, d)`` embeddings.
        labels: ``(b,)`` class ids.
        margin: as for :func:`triplet_loss`.

    Returns:
        The mean over the anchors that have both a positive and a negative; 0, with a gradient of
        0, when none has.
    """
    distances = -minus_squared_distances(x.detach(), x.detach())
    same = labels[:, None] == labels[None, :]
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
    hardest_positive = distances.masked_fill(~same | itself, -torch.inf).argmax(1)
    hardest_negative = distances.masked_fill(same, torch.inf).argmin(1)
    usable = (same & ~itself).any(1) & (~same).any(1)
    if not usable.any():
        return x.sum() * 0
    # On a CPU the gradient of x[rows] is summed in any order, that of a selection in one.
    positive, negative = (
        x.index_select(0, rows[usable]) for rows in (hardest_positive, hardest_negative)
    )
    return triplet_loss(x[usable], positive, negative, margin)


def relation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of ``(r − 1)²`` for the true class and ``r²`` for the others, ``r = sigmoid(logit)``.

    Sung et al.: Learning to compare: relation network for few-shot learning, CVPR 2018,
    https://arxiv.org/abs/1711.06025.

    Args:
        logits: ``(…, q, n_way)``.
        labels: ``(q,)`` int64, the same for all leading dimensions.
    """
    truth = F.one_hot(labels, logits.shape[-1]).to(logits.dtype)
    return (logits.sigmoid() - truth).square().mean()


def one_shot_loss(x: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """Cross-entropy of every 1-shot episode in a batch, each image in turn a class's support.

    For each two images i, j of one class, query i is to be given j's class rather than that of any
    image k of another: the mean of ``log(1 + Σ_k exp(scale·(x_i·x_k − x_i·x_j + margin)))``, over
    ordered pairs. Sohn: Improved deep metric learning with multi-class N-pair loss objective,
    NeurIPS 2016, with CosFace's margin (https://arxiv.org/abs/1801.09414).

    Args:
        x: ``(b, d)`` unit-norm embeddings.
        labels: ``(b,)`` class ids; some class must occur twice, and two must differ.
        scale: factor on cosines.
        margin: by which the cosine to the true support is to be the greater.
    """
    with torch.autocast(x.device.type, enabled=False):  # near 1, 8 bits tell few cosines apart
        logits = scale * x @ x.T
    same = labels.unsqueeze(1) == labels
    others = logits.masked_fill(same, -torch.inf).logsumexp(1)
    i, j = (same & ~torch.eye(len(x), dtype=torch.bool, device=x.device)).nonzero(as_tuple=True)
    return F.softplus(others[i] - logits[i, j] + scale * margin).mean()


def prototype_loss(
    logits: Tensor,
    labels: Tensor,
    entropy_weight: float = 0.0,
    unlabelled_logits: Tensor | None = None,
) -> Tensor:
    """Cross-entropy plus ``entropy_weight`` times the mean Shannon entropy of the predictions.

    The cross-entropy is the mean over classes of the mean over a class's rows: a class that many
    pictures show would otherwise draw queries to itself.

    Dhillon, Chaudhari, Ravichandran, Soatto: A baseline for few-shot image classification,
    ICLR 2020, https://arxiv.org/abs/1909.02729.

    Args:
        logits: ``(n, n_way)`` of the labelled support.
        labels: ``(n,)`` int64.
        entropy_weight: 0 leaves plain cross-entropy.
        unlabelled_logits: ``(q, n_way)`` of unlabelled queries, whose entropy is then taken in
            place of the support's.
    """
    counts = labels.bincount(minlength=logits.shape[1]).clamp_min(1)
    loss = F.cross_entropy(logits, labels, 1 / counts.to(logits.dtype))
    if entropy_weight == 0:
        return loss
    log_p = F.log_softmax(logits if unlabelled_logits is None else unlabelled_logits, dim=-1)
    return loss + entropy_weight * -(log_p.exp() * log_p).sum(-1).mean()


def marginal_entropy(logits: Tensor) -> Tensor:
    """Shannon entropy of each episode's mean prediction, meaned over episodes.

    Boudiaf et al.: Information maximization for few-shot learning, NeurIPS 2020,
    https://arxiv.org/abs/2008.11297.

    Args:
        logits: ``(e, q, n_way)``.
    """
    p = logits.softmax(-1).mean(-2)
    return -(p * p.clamp(min=torch.finfo(p.dtype).tiny).log()).sum(-1).mean()
