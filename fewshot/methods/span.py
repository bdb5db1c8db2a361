"""A few vectors of many numbers, turned into a space of as many dimensions as there are vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def into_span(x: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of some vectors in an orthonormal basis of a space that holds them all.

    Every inner product stays as it is, and so does whatever is learned from inner products by
    gradient descent: the gradients lie in the span. Householder's QR decomposition, ``xᵀ = Q R``,
    also serves where vectors depend on each other or are 0. Their Gram matrix, with the
    coefficients of a combination in place of its coordinates, would be had sooner, but where
    vectors depend on each other the coefficients can grow without bound while their sum does not.

    Args:
        x: ``(e, r, d)``, r at most d, of ``e`` unrelated tasks.

    Returns:
        The basis Q ``(e, d, r)`` and the coordinates Rᵀ ``(e, r, r)``: ``x = Rᵀ Qᵀ``.
    """
    basis, coordinates = torch.linalg.qr(x.mT)
    return basis, coordinates.mT.contiguous()


def span_pays(examples: int, ways: int, dim: int, steps: int, device: torch.device) -> bool:
    """Whether to learn ``ways`` rows in the span of themselves and the examples.

    That saves multiplications at every step, which takes two products of rows and examples, for
    ``2 r² d`` of them once, counted double as a decomposition makes less of a CPU than a product.
    Only there: on a GPU, a small step takes the same time at any ``dim``.
    """
    r = examples + ways
    saved = steps * 2 * ways * examples * (dim - r)
    return device.type == "cpu" and saved > 2 * (2 * r**2 * dim)
