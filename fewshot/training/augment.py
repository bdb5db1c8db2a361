"""Random affine views of whole batches of ink, on the device the batch is on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Ranges that each image's transformation is drawn from, uniformly.

    Attributes:
        rotation: degrees, to either side.
        shear: tangent, to either side, in x and in y.
        scale: factor between ``1 − scale`` and ``1 + scale``, x and y apart.
        translation: share of the side, in any direction.
        thickening: share of images whose strokes are thickened by up to a pixel a side.
    """

    rotation: float = 10.0
    shear: float = 0.15
    scale: float = 0.15
    translation: float = 0.06
    thickening: float = 0.5


def affine_matrices(
    count: int, ranges: Augmentation, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Draw ``(count, 2, 3)`` matrices for :func:`torch.nn.functional.affine_grid`."""
    drawn = torch.rand(count, 7, generator=generator, device=device) * 2 - 1
    angle = drawn[:, 0] * (ranges.rotation * torch.pi / 180)
    shear_x, shear_y = drawn[:, 1] * ranges.shear, drawn[:, 2] * ranges.shear
    scale_x, scale_y = 1 + drawn[:, 3] * ranges.scale, 1 + drawn[:, 4] * ranges.scale
    cos, sin = angle.cos(), angle.sin()
    # rotation · shear · scale, written out: four products beat three batched matmuls.
    a = (cos - sin * shear_y) * scale_x
    b = (cos * shear_x - sin) * scale_y
    c = (sin + cos * shear_y) * scale_x
    d = (sin * shear_x + cos) * scale_y
    shift = drawn[:, 5:] * (2 * ranges.translation)  # the grid's side is 2 long
    return torch.stack([a, b, shift[:, 0], c, d, shift[:, 1]], 1).view(count, 2, 3)


def turned(matrices: Tensor, quarter_turns: Tensor) -> Tensor:
    """Compose each matrix with its image's rotation by 90°: ``(b, 2, 3)`` and ``(b,)`` in 0..3."""
    cos = torch.tensor([1.0, 0.0, -1.0, 0.0], device=matrices.device)[quarter_turns]
    sin = torch.tensor([0.0, 1.0, 0.0, -1.0], device=matrices.device)[quarter_turns]
    turn = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    return turn @ matrices


def augment(
    ink: Tensor,
    ranges: Augmentation,
    generator: torch.Generator,
    quarter_turns: Tensor | None = None,
) -> Tensor:
    """A random view of each image.

    Args:
        ink: ``(b, h, w)`` uint8 or ``(b, 1, h, w)`` float in 0..1.
        ranges: what to draw from.
        generator: of the same device.
        quarter_turns: ``(b,)`` int64 rotations by 90°, for classes that are turned characters.

    Returns:
        ``(b, 1, h, w)`` float32 in 0..1.
    """
    if ink.dtype == torch.uint8:
        ink = ink.unsqueeze(1).float() / 255
    matrices = affine_matrices(len(ink), ranges, generator, ink.device)
    if quarter_turns is not None:
        matrices = turned(matrices, quarter_turns)
    grid = F.affine_grid(matrices, list(ink.shape), align_corners=False)
    views = F.grid_sample(ink, grid, align_corners=False)
    if ranges.thickening == 0:
        return views
    amount = torch.rand(len(ink), generator=generator, device=ink.device)
    chosen = (amount < ranges.thickening).nonzero().squeeze(1)
    if len(chosen):
        thin = views[chosen]
        share = (amount[chosen] / ranges.thickening).view(-1, 1, 1, 1)
        views[chosen] = torch.lerp(thin, F.max_pool2d(thin, 3, 1, 1), share)
    return views
