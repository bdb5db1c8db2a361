"""Photos turned by quarter turns, and telling by how much: something to learn without names."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TURNS = 4


def turned(photos: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The last photos of a batch turned, as many by 90°, 180° and 270°.

    Args:
        photos: ``(b, c, side, side)`` in any order.
        share: of them to turn.

    Returns:
        The photos, and ``(b,)`` int64 quarter turns anticlockwise, 0 to 3.
    """
    part = round(len(photos) * share / (TURNS - 1))
    upright = len(photos) - (TURNS - 1) * part
    sizes = [upright] + [part] * (TURNS - 1)
    views = [
        torch.rot90(some, turns, (2, 3))
        for turns, some in enumerate(photos.split(sizes))
        if len(some)
    ]
    numbers = torch.arange(TURNS, device=photos.device)
    return torch.cat(views), numbers.repeat_interleave(numbers.new_tensor(sizes))


class TurnHead(nn.Module):
    """By how many quarter turns a photo was turned, from its embedding.

    Gidaris, Singh, Komodakis: Unsupervised representation learning by predicting image rotations,
    ICLR 2018, https://arxiv.org/abs/1803.07728; beside class labels, for few-shot features:
    Mangla et al.: Charting the right manifold, WACV 2020, https://arxiv.org/abs/1907.12087.
    """

    def __init__(self, dim: int, scale: float) -> None:
        """Random rows.

        Args:
            dim: of the embeddings.
            scale: factor on the cosines to the rows.
        """
        super().__init__()
        self.rows = nn.Parameter(torch.randn(TURNS, dim))
        self.scale = scale

    def loss(self, x: Tensor, turns: Tensor) -> Tensor:
        """Cross-entropy of embeddings ``(b, dim)`` and their turns ``(b,)``."""
        cosines = F.normalize(x.float(), dim=1) @ F.normalize(self.rows, dim=1).T
        return F.cross_entropy(self.scale * cosines, turns)
