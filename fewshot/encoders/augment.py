"""Random affine and elastic views of whole batches of ink, on the device the batch is on."""

from __future__ import annotations

import functools
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
        matrices = affine_matrices(drawn[:, :7] * 2 - 1, ranges)
        if quarter_turns is not None:
            matrices = _turned(matrices, quarter_turns)
        grid = sampling_grid(matrices, (drawn[:, 8:] * 2 - 1) * ranges.elastic, ink.shape[1:])
        views = F.grid_sample(ink.unsqueeze(1).float() / 255, grid, align_corners=False)
        return _thickened(views, drawn[:, 7], ranges.thickening)


def affine_matrices(drawn: Tensor, ranges: Augmentation) -> Tensor:
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


def sampling_grid(matrices: Tensor, displacements: Tensor, size: tuple[int, int]) -> Tensor:
    """Where each pixel of a view comes from: ``(b, h, w, 2)``, the picture's corners at ±1.

    Both the affine map and the interpolated displacements are linear in a view's numbers, so one
    matrix product makes the whole grid; on a CPU it is far faster than
    ``affine_grid``, ``interpolate`` and a sum.

    Args:
        matrices: ``(b, 2, 3)`` affine maps.
        displacements: ``(b, 2 * CELLS²)`` of a coarse grid's points, in sides.
        size: height and width of the views.
    """
    coarse = displacements.view(-1, 2, CELLS**2) * 2  # the sampling grid's side is 2 long
    numbers = torch.cat([matrices, coarse], 2)  # (b, 2, 3 + CELLS²)
    grid = numbers @ _grid_basis(*size, matrices.device)
    return grid.view(-1, 2, *size).permute(0, 2, 3, 1)


@functools.lru_cache(maxsize=8)
def _grid_basis(height: int, width: int, device: torch.device) -> Tensor:
    """What each number of a view adds to its grid: ``(3 + CELLS², h * w)``."""
    with torch.inference_mode(False):  # kept for training, too
        return _new_grid_basis(height, width).to(device)


def _new_grid_basis(height: int, width: int) -> Tensor:
    y = (torch.arange(height) * 2 + 1) / height - 1  # the centres of pixels
    x = (torch.arange(width) * 2 + 1) / width - 1
    y, x = torch.meshgrid(y, x, indexing="ij")
    affine = torch.stack([x, y, torch.ones_like(x)])
    corners = torch.eye(CELLS**2).view(-1, 1, CELLS, CELLS)
    bends = F.interpolate(corners, (height, width), mode="bilinear", align_corners=True)
    return torch.cat([affine.flatten(1), bends.flatten(1)])


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
    views[chosen] = torch.lerp(thin, dilated(thin), share)
    return views


def dilated(x: Tensor) -> Tensor:
    """Each pixel the greatest of its 3×3 neighbourhood; on a CPU far faster than ``max_pool2d``."""
    for axis in (2, 3):
        n = x.shape[axis]
        before, after = x.narrow(axis, 0, n - 1), x.narrow(axis, 1, n - 1)
        greater = torch.maximum(before, after)
        x = x.clone()
        x.narrow(axis, 0, n - 1).copy_(greater)
        following = x.narrow(axis, 1, n - 1)
        torch.maximum(following, greater, out=following)
    return x
