"""Random affine and elastic views of whole batches of ink, on the device the batch is on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Numbers that determine one view: rotation, two shears, two scales, two translations, thickening,
# and the two displacements of each point of a coarse grid.
CELLS = 4
DRAWN = 8 + 2 * CELLS**2


@dataclass(frozen=True)
class Augmentation:
    """Ranges that each image's transformation is drawn from, uniformly.

    Attributes:
        rotation: degrees, to either side.
        shear: tangent, to either side, in x and in y.
        scale: factor between ``1 − scale`` and ``1 + scale``, x and y apart.
        translation: share of the side, in any direction.
        thickening: share of images whose strokes are thickened by up to a pixel a side.
        elastic: share of the side by which the points of a coarse grid move, in any direction;
            what lies between them bends smoothly, as another hand would bend it (Simard,
            Steinkraus, Platt, ICDAR 2003).
    """

    rotation: float = 10.0
    shear: float = 0.15
    scale: float = 0.15
    translation: float = 0.06
    thickening: float = 0.5
    elastic: float = 0.0


# For weights that know their training drawings by heart, and for views at prediction time.
STRONG = Augmentation(rotation=15.0, shear=0.25, scale=0.2, elastic=0.04)


def draw(count: int, generator: torch.Generator) -> Tensor:
    """What :func:`augment` makes views of: ``(count, DRAWN)`` uniform numbers in 0..1."""
    return torch.rand(count, DRAWN, generator=generator, device=generator.device)


def augment(
    ink: Tensor, drawn: Tensor, ranges: Augmentation, quarter_turns: Tensor | None = None
) -> Tensor:
    """One view of each image.

    Args:
        ink: ``(b, h, w)`` uint8, ink 255.
        drawn: ``(b, DRAWN)`` in 0..1, from :func:`draw`; equal rows give equal views.
        ranges: what the numbers are scaled to.
        quarter_turns: ``(b,)`` int64 rotations by 90°, for classes that are turned characters.

    Returns:
        ``(b, 1, h, w)`` float32 in 0..1.
    """
    # Coordinates in bf16, as autocast would compute them, are off by a tenth of a pixel.
    with torch.autocast(ink.device.type, enabled=False):
        matrices = _affine_matrices(drawn[:, :7] * 2 - 1, ranges)
        if quarter_turns is not None:
            matrices = _turned(matrices, quarter_turns)
        images = ink.unsqueeze(1).float() / 255
        grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
        if ranges.elastic:
            grid = grid + _displacements(drawn[:, 8:] * 2 - 1, ranges.elastic, images.shape[-2:])
        views = F.grid_sample(images, grid, align_corners=False)
        return _thickened(views, drawn[:, 7], ranges.thickening)


def _affine_matrices(drawn: Tensor, ranges: Augmentation) -> Tensor:
    """``(b, 7)`` in -1..1 to ``(b, 2, 3)``: rotation · shear · scale, and a translation."""
    angle = drawn[:, 0] * (ranges.rotation * torch.pi / 180)
    shear_x, shear_y = drawn[:, 1] * ranges.shear, drawn[:, 2] * ranges.shear
    scale_x, scale_y = 1 + drawn[:, 3] * ranges.scale, 1 + drawn[:, 4] * ranges.scale
    cos, sin = angle.cos(), angle.sin()
    # Written out: four products a matrix beat three batched matmuls.
    a = (cos - sin * shear_y) * scale_x
    b = (cos * shear_x - sin) * scale_y
    c = (sin + cos * shear_y) * scale_x
    d = (sin * shear_x + cos) * scale_y
    shift = drawn[:, 5:7] * (2 * ranges.translation)  # the sampling grid's side is 2 long
    return torch.stack([a, b, shift[:, 0], c, d, shift[:, 1]], 1).view(-1, 2, 3)


def _displacements(drawn: Tensor, elastic: float, size: tuple[int, int]) -> Tensor:
    """``(b, 2 * CELLS²)`` in -1..1 to a smooth field ``(b, h, w, 2)`` in the grid's units."""
    coarse = drawn.view(-1, 2, CELLS, CELLS) * (2 * elastic)  # the grid's side is 2 long
    fine = F.interpolate(coarse, size, mode="bilinear", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def _turned(matrices: Tensor, quarter_turns: Tensor) -> Tensor:
    """Compose each matrix with its image's rotation by 90°: ``(b, 2, 3)`` and ``(b,)`` in 0..3."""
    cos = torch.tensor([1.0, 0.0, -1.0, 0.0], device=matrices.device)[quarter_turns]
    sin = torch.tensor([0.0, 1.0, 0.0, -1.0], device=matrices.device)[quarter_turns]
    turn = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    return turn @ matrices


def _thickened(views: Tensor, amount: Tensor, chance: float) -> Tensor:
    """Blend towards a dilation by one pixel where ``amount (b,)`` in 0..1 is below ``chance``."""
    chosen = (amount < chance).nonzero().squeeze(1)
    if not len(chosen):
        return views
    thin = views[chosen]
    share = (amount[chosen] / chance).view(-1, 1, 1, 1)
    views[chosen] = torch.lerp(thin, F.max_pool2d(thin, 3, 1, 1), share)
    return views
