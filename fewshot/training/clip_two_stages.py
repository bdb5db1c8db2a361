"""Carrying an embedded CLIP's weights over to the two-stage tower."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fewshot.encoders.two_stage_tower import TwoStageTower
from fewshot.training.clip_objective import ClipData, normalised

# Training photos that the features' means and variances are first estimated from.
PHOTOS = 1_024
BATCH = 128
PROJECTION = "visual.head.proj.weight"


def carry_over(weights: dict[str, Tensor], network: nn.Module, data: ClipData) -> None:
    """Start a CLIP with the two-stage tower at the weights of one whose tower ends in a layer.

    The layer P that made an embedding of pooled features f goes over to the texts' side, as
    (P f) · t = f · (Pᵀ t): pictures keep their likeness to texts, but for what resolution changes.

    Args:
        weights: of the network with the layer.
        network: to fill in.
        data: whose photos standardise the features.

    Raises:
        RuntimeError: the weights are of another network.
    """
    weights = dict(weights)
    to_embedding = weights.pop(PROJECTION, torch.zeros(0, 0))  # (d, features)
    weights.pop("visual.head.proj.bias", None)
    text_projection = weights.pop("text_projection", torch.zeros(0, 0))  # (width, d)
    missing, unknown = network.load_state_dict(weights, strict=False)
    fresh = {"text_projection"} | {f"visual.trunk.norms.{n}" for n in ("0", "1")}
    if unknown or any(key.rsplit(".", 1)[0] not in fresh and key not in fresh for key in missing):
        raise RuntimeError("these weights are of another network")
    tower: TwoStageTower = network.visual.trunk
    _standardise(tower, data)
    spread = (tower.norms[0].running_var + tower.norms[0].eps).sqrt()
    with torch.no_grad():
        network.text_projection.zero_()
        carried = text_projection.to(spread.device) @ to_embedding.to(spread.device) * spread
        network.text_projection[:, : len(spread)] = carried


@torch.no_grad()
def _standardise(tower: TwoStageTower, data: ClipData) -> None:
    """Set the means and variances of pooled features from training photos as they are."""
    photos = data.photos.flatten(0, 1)
    photos = photos[:: max(1, len(photos) // PHOTOS)]
    tower.eval()
    tower.norms.train()
    for norm in tower.norms:
        norm.momentum = None  # the mean over all batches
    for part in photos.split(BATCH):
        tower(normalised(part.permute(0, 3, 1, 2).float() / 255))
    for norm in tower.norms:
        norm.momentum = 0.1
