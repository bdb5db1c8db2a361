"""Tuning the last block of CLIP's image tower to a support set; what lies before it stays.

Dhillon et al.: A baseline for few-shot image classification, ICLR 2020,
https://arxiv.org/abs/1909.02729, tune the whole network; the last block alone needs the rest of
the tower only once a picture.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshot.descent import descend
from fewshot.encoders.clip import ClipEncoder
from fewshot.types import InputError, Picture

N_VIEWS = 4
# Of all pictures and their views; what reaches the last block of as many is held in memory.
MOST_EXAMPLES = 1_024


def tune_last_block(
    encoder: ClipEncoder,
    pictures: Sequence[Picture],
    labels: np.ndarray,
    *,
    steps: int,
    learning_rate: float,
) -> ClipEncoder:
    """A copy of an encoder whose image tower's last block has learned from a support set.

    Gradient descent on the cross-entropy of a cosine softmax over the pictures and augmented views
    of them, its rows starting at the prototypes and learned along; they are dropped afterwards.

    Args:
        encoder: stays as it is.
        pictures: the support set's.
        labels: ``(n,)`` int64, every class from 0 on at least once.
        steps, learning_rate: how far to go.

    Raises:
        InputError: the tower's last block is not known, or there are too many pictures.
    """
    if len(pictures) * (1 + N_VIEWS) > MOST_EXAMPLES:
        raise InputError(
            f"{len(pictures)} pictures are too many to tune the image tower's last block: leave it "
            f"as it is, or show at most {MOST_EXAMPLES // (1 + N_VIEWS)}."
        )
    tower = copy.deepcopy(encoder.tower).float().eval()  # small steps need all the digits
    block = last_block(tower)
    images = [*encoder.pixels(pictures), *encoder.view_pixels(pictures, N_VIEWS)]
    targets = torch.from_numpy(np.concatenate([labels, labels.repeat(N_VIEWS)])).to(encoder.device)
    inputs = _reaching(tower, block, images, encoder.device)
    example = images[0][None].to(encoder.device)

    def embedded() -> Tensor:
        return F.normalize(_continued(tower, block, inputs, example).float(), dim=1)

    tower.requires_grad_(False)
    with torch.no_grad():
        members = F.one_hot(targets[: len(labels)]).float()  # (n, n_way)
        rows = F.normalize(members.T @ embedded()[: len(labels)], dim=1)
    rows.requires_grad_()
    block.requires_grad_()

    def loss() -> Tensor:
        logits = encoder.temperature * embedded() @ F.normalize(rows, dim=1).T
        return F.cross_entropy(logits, targets)

    descend([rows, *block.parameters()], loss, steps, learning_rate)
    tower.requires_grad_(False)
    facts = [f"{p.digest}-{label}" for p, label in zip(pictures, labels.tolist(), strict=True)]
    settings = (sorted(facts), steps, learning_rate, encoder.temperature)
    key = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    return encoder.with_tower(tower, key.hexdigest())


def last_block(tower: nn.Module) -> nn.Module:
    """The last block of a tower of open_clip's, or of timm's within it.

    Raises:
        InputError: it is built otherwise.
    """
    if hasattr(tower, "transformer"):
        return tower.transformer.resblocks[-1]
    trunk = getattr(tower, "trunk", tower)
    for name in ("stages", "layers", "blocks"):
        if isinstance(part := getattr(trunk, name, None), nn.Sequential | nn.ModuleList):
            return part[-1]
    if hasattr(trunk, "layer4"):
        return trunk.layer4
    raise InputError(
        "This CLIP model's image tower has no last block that is known here: leave it as it is, or "
        "choose another model."
    )


@torch.no_grad()
def _reaching(
    tower: nn.Module, block: nn.Module, images: Sequence[Tensor], device: torch.device
) -> Tensor:
    """What the block is given for each image."""
    found: list[Tensor] = []
    hook = block.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].detach()))
    try:
        for start in range(0, len(images), 32):
            tower(torch.stack(images[start : start + 32]).to(device))
    finally:
        hook.remove()
    return torch.cat(found)


def _continued(tower: nn.Module, block: nn.Module, inputs: Tensor, example: Tensor) -> Tensor:
    """The tower's output where the block is given ``inputs``.

    Where the block's input is itself part of the output, the tower resumes by its own
    ``from_last_stage``. Else one example image goes through the whole tower, so that whatever
    follows the block runs as its author wrote it, and a hook puts ``inputs`` in its place there.
    """
    if (going_on := getattr(getattr(tower, "trunk", tower), "from_last_stage", None)) is not None:
        return going_on(inputs)
    hook = block.register_forward_pre_hook(lambda _, given: (inputs, *given[1:]))
    try:
        return tower(example)
    finally:
        hook.remove()
