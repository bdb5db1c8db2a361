"""How a support set becomes a logit for each class: for training and prediction alike (torch).

Queries are ``(…, q, d)``, supports ``(…, n, d)``; ``membership (n, n_way)`` has columns that sum to
1, so that a product with it is the mean over a class. What comes back is ``(…, q, n_way)``, and
its softmax the probabilities.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def grid_membership(n_way: int, shots: int, device: torch.device | str = "cpu") -> Tensor:
    """Of ``shots`` pictures of each class, class by class: ``(n_way * shots, n_way)``."""
    return torch.eye(n_way, device=device).repeat_interleave(shots, 0) / shots


def cosine_prototype_logits(
    queries: Tensor, supports: Tensor, membership: Tensor, temperature: float
) -> Tensor:
    """``τ·cos(q, μ_c)``, μ_c the mean of class c's unit rows (Gidaris, Komodakis 2018)."""
    prototypes = batch_prototypes(F.normalize(supports, dim=-1), membership)
    return temperature * F.normalize(queries, dim=-1) @ prototypes.mT


def batch_prototypes(x: Tensor, membership: Tensor) -> Tensor:
    """M of each task, as :func:`fewshot.metrics.prototypes` gives it.

    Args:
        x: ``(…, n, d)`` unit rows.
        membership: ``(n, n_way)``.

    Returns:
        ``(…, n_way, d)``.
    """
    return F.normalize(membership.T @ x, dim=-1)


def attention_logits(
    queries: Tensor, supports: Tensor, membership: Tensor, temperature: float
) -> Tensor:
    """``log Σ_{i of class c} exp(τ·cos(q, x_i))`` (Vinyals et al. 2016): a sum, not a mean."""
    cosines = F.normalize(queries, dim=-1) @ F.normalize(supports, dim=-1).mT
    return class_logsumexp(temperature * cosines, membership > 0)


def class_logsumexp(logits: Tensor, members: Tensor) -> Tensor:
    """``log Σ_{i of class c} exp(z_i)`` of ``(…, q, n)``: ``(…, q, n_way)``.

    Each class's own largest is taken out before the exponential: by the largest of all, what is far
    behind it would vanish, and all classes far behind seem equally far.

    Args:
        logits: z, of each support picture.
        members: ``(n, n_way)`` bool, one True in each row and at least one in each column.
    """
    labels = members.to(torch.uint8).argmax(1).expand(logits.shape)
    largest = logits.new_full((*logits.shape[:-1], members.shape[1]), -torch.inf)
    largest = largest.scatter_reduce(-1, labels, logits.detach(), "amax")
    sums = (logits - largest.gather(-1, labels)).exp() @ members.to(logits.dtype)
    return sums.log() + largest


def centroid_logits(
    queries: Tensor, supports: Tensor, membership: Tensor, temperature: float
) -> Tensor:
    """``−τ/2·‖q − c‖²``, c the plain mean of a class's rows (Snell, Swersky, Zemel 2017)."""
    with torch.autocast(queries.device.type, enabled=False):  # as below
        means = membership.T @ supports
    return temperature / 2 * minus_squared_distances(queries, means)


def distance_logits(
    queries: Tensor, supports: Tensor, membership: Tensor, temperature: float
) -> Tensor:
    """``−τ`` times the mean Euclidean distance to a class's pictures."""
    return -temperature * (euclidean_distances(queries, supports) @ membership)


def minus_squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """``−‖a − b‖²`` of ``(…, m, d)`` and ``(…, n, d)``: ``(…, m, n)``.

    Always in full precision: what is left of two large squares means nothing in 8 bits.
    """
    with torch.autocast(a.device.type, enabled=False):
        a, b = a.float(), b.float()
        squares = a.square().sum(-1).unsqueeze(-1) + b.square().sum(-1).unsqueeze(-2)
        return (2 * a @ b.mT - squares).clamp_max(0)


def euclidean_distances(a: Tensor, b: Tensor) -> Tensor:
    """``‖a − b‖`` of ``(…, m, d)`` and ``(…, n, d)``: ``(…, m, n)``, exact also near 0."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
