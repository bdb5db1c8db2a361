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
