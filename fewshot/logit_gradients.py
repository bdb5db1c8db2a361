"""Gradients of the prediction losses with respect to the logits, in closed form.

The losses themselves are defined in :mod:`fewshot.losses`; these are for loops over many small
steps, where automatic differentiation costs more than the arithmetic.

With ``p = softmax(z)`` of one example, ``∂p_j/∂z_k = p_j (δ_jk − p_k)``. A loss that is a function
of p with slope ``v = ∂L/∂p`` therefore has

    ``∂L/∂z_k = p_k (v_k − Σ_j p_j v_j)``,

in which a constant added to all v cancels. Then

- cross-entropy ``−log p_y``: ``v_k = −δ_ky / p_y``, so ``p_k − δ_ky``;
- entropy ``−Σ p log p``: ``v_k = −log p_k − 1``, so ``−p_k (log p_k − Σ_j p_j log p_j)``;
- entropy ``−Σ m log m`` of the mean ``m`` of the q predictions: ``v_k = −(log m_k + 1) / q``.

Here classes come before examples, ``(e, n_way, n)``, so that what sums over classes runs along
memory. Each gives the gradient of a mean over one episode's examples, for ``e`` episodes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cross_entropy_gradient(p: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Of a weighted mean of ``−log p_y``.

    Args:
        p: ``(e, n_way, n)`` probabilities.
        truth: of the same shape, 1 at an example's class and 0 elsewhere.
        weights: ``(e, 1, n)`` of the examples, which sum to 1 in each episode.
    """
    return (p - truth) * weights


def entropy_gradient(p: Tensor, log_p: Tensor) -> Tensor:
    """Of the mean Shannon entropy of the predictions.

    Args:
        p, log_p: ``(e, n_way, n)`` probabilities and their logarithms.
    """
    return _through_softmax(p, -log_p) / p.shape[2]


def marginal_entropy_gradient(p: Tensor) -> Tensor:
    """Of the Shannon entropy of the mean prediction.

    Args:
        p: ``(e, n_way, n)`` probabilities.
    """
    log_m = p.mean(2, keepdim=True).clamp_min(torch.finfo(p.dtype).tiny).log()
    return _through_softmax(p, -log_m) / p.shape[2]


def _through_softmax(p: Tensor, v: Tensor) -> Tensor:
    """``p_k (v_k − Σ_j p_j v_j)``."""
    pv = p * v
    return pv - p * pv.sum(1, keepdim=True)
