"""The means and variances that the embedded CLIP's features are standardised by."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.encoders.residual_tower import ResidualTower

# Photos that are looked at.
PHOTOS = 6_000
BATCH = 250


@torch.no_grad()
def standardise(tower: ResidualTower, pictures: Tensor) -> None:
    """Set them from pictures as they are: in training they were those of turned and mixed ones.

    Args:
        tower: whose norms are set.
        pictures: ``(n, 3, side, side)`` as the tower takes them.
    """
    tower.eval()
    tower.norms.train()
    for norm in tower.norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    for part in pictures.split(BATCH):
        tower(part)
    for norm in tower.norms:
        norm.momentum = 0.1
    tower.norms.eval()
