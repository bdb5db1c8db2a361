"""The embedded CLIP's image tower: a small residual network for small pictures.

Registered with timm under :data:`NAME`, so that open_clip builds and loads it like any other.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.models import register_model
from torch import Tensor, nn

NAME = "fewshot_residual"
STEM = 2  # side of the squares of pixels that the first stage takes as one place
WIDTHS = (64, 128, 208, 256)
SLOPE = 0.1
# Length of the part of an embedding that the stage before the last makes; the last's is 1. Chosen
# on validation classes, after training.
EARLIER = 0.6


class Stage(nn.Module):
    """Three 3×3 convolutions around a shortcut, after halving the resolution.

    The block of few-shot learning's ResNet-12 (Oreshkin et al.: TADAM, NeurIPS 2018,
    https://arxiv.org/abs/1805.10123), but that it halves before it computes.
    """

    def __init__(self, channels_in: int, channels_out: int, pool: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        widths = (channels_in, channels_out, channels_out, channels_out)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels_out) for _ in self.convs)
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(b, channels_in, h, w)`` to ``(b, channels_out, h, w)``, halved if pooled."""
        x = self.pool(x)
        y = x
        for conv, norm in zip(self.convs[:-1], self.norms[:-1], strict=True):
            y = F.leaky_relu(norm(conv(y)), SLOPE, inplace=True)
        y = self.norms[-1](self.convs[-1](y)) + self.shortcut(x)
        return F.leaky_relu(y, SLOPE, inplace=True)


class Whitened(nn.BatchNorm1d):
    """Numbers standardised by their running means and variances, then mixed by a fixed matrix."""

    def __init__(self, n: int) -> None:
        super().__init__(n, affine=False)
        # Set after training, by fewshot.training.whiten.
        self.register_buffer("whitening", torch.eye(n))

    def forward(self, x: Tensor) -> Tensor:
        """``(b, n)`` to ``(b, n)``."""
        return super().forward(x) @ self.whitening


class ResidualTower(nn.Module):
    """Pictures ``(b, 3, h, w)`` to embeddings ``(b, num_features)``, the last stage's part first.

    64 pixels end at 4×4 places. No trained layer makes an embedding of the pooled features; they
    are it themselves, standardised and whitened. Those of the stage before the last, less bound to
    the classes trained on, are the second part, shorter than the first.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = (3 * STEM**2, *WIDTHS)
        self.stages = nn.Sequential(
            *(Stage(a, b, n > 0) for n, (a, b) in enumerate(zip(channels, WIDTHS, strict=False)))
        )
        self.norms = nn.ModuleList(Whitened(n) for n in (WIDTHS[-1], WIDTHS[-2]))
        self.num_features = WIDTHS[-1] + WIDTHS[-2]

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.from_last_stage(self.before_last_stage(x))

    def before_last_stage(self, x: Tensor) -> Tensor:
        """What the last stage is given: ``(b, c, h, w)``."""
        x = F.pixel_unshuffle(x, STEM).contiguous(memory_format=torch.channels_last)
        return self.stages[:-1](x)

    def from_last_stage(self, earlier: Tensor) -> Tensor:
        """Embeddings of what the stage before the last made of pictures ``(b, c, h, w)``."""
        last, earlier = (F.normalize(part, dim=1) for part in self.parts(earlier))
        return torch.cat([last, EARLIER * earlier], 1)

    def parts(self, earlier: Tensor) -> tuple[Tensor, ...]:
        """The two parts of the embeddings that it makes, ``(b, n)`` each, of any length."""
        pooled = [x.mean((2, 3)).float() for x in (self.stages[-1](earlier), earlier)]
        with torch.autocast(earlier.device.type, enabled=False):  # embeddings need their digits
            return tuple(norm(x) for norm, x in zip(self.norms, pooled, strict=True))


@register_model
def fewshot_residual(pretrained: bool = False, **_: object) -> ResidualTower:
    """What timm calls for :data:`NAME`; there are no pre-trained weights to ask for."""
    return ResidualTower()
