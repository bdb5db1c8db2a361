"""A small residual convnet for drawings: ink to an embedding."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Added to features before their square root.
SMALLEST_SHARE = 1e-4


@dataclass(frozen=True)
class ConvNetConfig:
    """Architecture as data, kept in the checkpoint's card.

    Attributes:
        input_size: side of the square ink image.
        stem: channels of the first layer, a 5×5 convolution that halves the resolution.
        widths: channels of the residual stages.
        pooled: stages that halve the resolution before they compute.
        grid: side of the grid of features that the last layer reads. A grid, where most image
            networks average over all positions, keeps where each part of a drawing is; the
            preprocessing has centred and scaled the drawing, so positions mean something.
        dim: how many numbers an embedding has.
        keep_odd: halving an odd side keeps its last row and column.
        projected: make the embedding of the grid by a linear layer. Without it, it is the grid of
            features itself, each number's square root, which told apart held-out characters better
            than a trained linear layer did.
        unit_norm: scale embeddings to length 1; without it their lengths are learned, too.
    """

    input_size: int = 40
    stem: int = 16
    widths: tuple[int, ...] = (32, 64, 128, 256)
    pooled: tuple[bool, ...] = (False, True, True, True)
    grid: int = 2
    dim: int = 256
    keep_odd: bool = False
    projected: bool = True
    unit_norm: bool = True

    def as_dict(self) -> dict:
        """JSON-ready."""
        return asdict(self)

    def unprojected(self) -> ConvNetConfig:
        """The same layers, whose last feature map is the embedding."""
        side = math.ceil(self.input_size / 2)
        for pool in self.pooled:
            side = math.ceil(side / 2) if pool else side
        dim = self.widths[-1] * side**2
        return replace(self, keep_odd=True, projected=False, grid=side, dim=dim)

    @classmethod
    def from_dict(cls, values: dict) -> ConvNetConfig:
        """From a card's JSON, which knows lists where we want tuples."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut (He et al. 2016, https://arxiv.org/abs/1512.03385)."""

    def __init__(self, channels_in: int, channels_out: int, pool: bool, keep_odd: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, ceil_mode=keep_odd) if pool else nn.Identity()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        nn.init.zeros_(self.norm2.weight)  # every block starts as its shortcut
        self.shortcut = nn.Identity()
        if channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """``(b, channels_in, h, w)`` to ``(b, channels_out, h, w)``, halved if pooled."""
        x = self.pool(x)
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


class ConvNet(nn.Module):
    """Ink ``(b, 1, size, size)`` in 0..1 to embeddings ``(b, dim)`` float32."""

    def __init__(self, config: ConvNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            nn.Conv2d(1, config.stem, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(config.stem),
            nn.ReLU(inplace=True),
        )
        channels = (config.stem, *config.widths)
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(a, b, pool, config.keep_odd)
                for a, b, pool in zip(channels, channels[1:], config.pooled, strict=False)
            )
        )
        if config.projected:
            self.embed = nn.Linear(channels[-1] * config.grid**2, config.dim)
        # Channels last is the layout oneDNN and cuDNN compute in; it saves a copy a layer.
        self.to(memory_format=torch.channels_last)

    def forward(self, ink: Tensor) -> Tensor:
        """See the class."""
        x = self.blocks(self.stem(ink.contiguous(memory_format=torch.channels_last)))
        x = F.adaptive_avg_pool2d(x, self.config.grid).flatten(1)
        if not self.config.projected:
            # Square roots of shares keep a few strong features from deciding alone (Hu, Gripon,
            # Pateux, 2021, https://arxiv.org/abs/2006.03806); the slope at 0 must be finite.
            return F.normalize((F.normalize(x.float(), dim=1) + SMALLEST_SHARE).sqrt(), dim=1)
        x = self.embed(x).float()
        return F.normalize(x, dim=1) if self.config.unit_norm else x
