"""Random views of whole batches of photos, on the device the batch is on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.encoders.augment import CELLS, sampling_grid

# Area, shape, two places, mirroring, rotation, brightness, contrast, saturation.
DRAWN = 9
# Ways to turn a photo: by none to three quarters of a circle.
TURNS = 4
# How the eye weighs red, green and blue (ITU-R BT.601).
LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class PhotoViews:
    """Ranges that each photo's view is drawn from.

    Attributes:
        area: least share of the photo's area that a view shows.
        shape: a view's height to width lies between 1 / (1 + shape) and 1 + shape.
        rotation: degrees, to either side.
        colour: brightness, contrast and saturation each by a factor of 1 ± colour.
    """

    area: float = 0.3
    shape: float = 0.33
    rotation: float = 8.0
    colour: float = 0.4


def photo_views(photos: Tensor, drawn: Tensor, ranges: PhotoViews, side: int) -> Tensor:
    """One view of each photo.

    Args:
        photos: ``(b, h, w, 3)`` uint8.
        drawn: ``(b, DRAWN)`` in 0..1; equal rows give equal views.
        ranges: what the numbers are scaled to.
        side: of the views.

    Returns:
        ``(b, 3, side, side)`` float32 in 0..1.
    """
    with torch.autocast(photos.device.type, enabled=False):
        images = photos.permute(0, 3, 1, 2).float() / 255  # channels last in memory, as convnets
        if side <= images.shape[-1] // 2:
            images = F.avg_pool2d(images, 2)  # sampling alone would skip every second pixel
        matrices = _crops(drawn, ranges)
        still = drawn.new_zeros(len(drawn), 2 * CELLS**2)
        grid = sampling_grid(matrices, still, (side, side))
        views = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        return _recoloured(views, 1 + (drawn[:, 6:] * 2 - 1) * ranges.colour)


def _crops(drawn: Tensor, ranges: PhotoViews) -> Tensor:
    """``(b, DRAWN)`` to affine maps ``(b, 2, 3)`` onto the part of each photo to show."""
    side = (ranges.area + (1 - ranges.area) * drawn[:, 0]).sqrt()
    stretch = ((drawn[:, 1] * 2 - 1) * math.log(1 + ranges.shape) / 2).exp()
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    x, y = (drawn[:, 2] * 2 - 1) * (1 - width), (drawn[:, 3] * 2 - 1) * (1 - height)
    angle = (drawn[:, 5] * 2 - 1) * (ranges.rotation * math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    mirror = torch.where(drawn[:, 4] < 0.5, -1.0, 1.0)
    return torch.stack(
        [cos * width * mirror, -sin * height, x, sin * width * mirror, cos * height, y], 1
    ).view(-1, 2, 3)


def _recoloured(images: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, contrast and saturation by ``factors (b, 3)``."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    weights = images.new_tensor(LUMINANCE).view(1, 3, 1, 1)
    grey = (images * weights).sum(1, keepdim=True)
    images = torch.lerp(grey, images, saturation)
    mean = grey.mean((2, 3), keepdim=True)
    return (torch.lerp(mean, images, contrast) * brightness).clamp(0, 1)


def turned_by(images: Tensor, turns: Tensor) -> Tensor:
    """Each image ``(b, c, s, s)`` turned by its number of quarters ``(b,)``.

    Asking for the turn teaches features that names do not ask for (Gidaris, Singh, Komodakis:
    Unsupervised representation learning by predicting image rotations, ICLR 2018,
    https://arxiv.org/abs/1803.07728), which new classes can use (Mangla et al.: Charting the right
    manifold, WACV 2020, https://arxiv.org/abs/1907.12087).
    """
    ways = torch.stack([images.rot90(turn, (2, 3)) for turn in range(TURNS)])
    return ways[turns, torch.arange(len(images), device=images.device)]


def mixed_in_pairs(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Give the first image a rectangle of the last, the second of the last but one, and so on.

    Yun et al.: CutMix, ICCV 2019, https://arxiv.org/abs/1905.04899.

    Args:
        images: ``(b, c, s, s)``.
        generator: of the rectangles: areas uniform, anywhere.

    Returns:
        ``(b, c, s, s)``, and the share of each image that is still its own ``(b,)``.
    """
    side = images.shape[-1]
    drawn = torch.rand(len(images), 3, generator=generator, device=images.device)
    half = drawn[:, 0].sqrt().unsqueeze(1) / 2
    at = (torch.arange(side, device=images.device) + 0.5) / side
    within_x, within_y = ((at - drawn[:, n : n + 1]).abs() < half for n in (1, 2))
    inside = within_y.unsqueeze(2) & within_x.unsqueeze(1)  # (b, s, s)
    mixed = torch.where(inside.unsqueeze(1), images.flip(0), images)
    return mixed, 1 - inside.float().mean((1, 2))
