"""The ink of pictures as tensors, and augmented views of it: what drawings' encoders look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fewshot.content_cache import ContentCache
from fewshot.encoders.augment import DRAWN, STRONG, augment
from fewshot.encoders.base import short_hash, view_seed
from fewshot.encoders.ink import find_ink
from fewshot.types import Picture

# Several encoders look at the same ink, which takes longer to find than to embed.
INK = ContentCache(32 * 2**20)
# A view stands for another drawing of the same class.
VIEWS = STRONG
# In the digests of encoders whose embeddings have views in them, or are asked for some.
VIEWS_NAME = f"views{short_hash(repr(VIEWS))}"


def ink_of(pictures: Sequence[Picture], size: int) -> Tensor:
    """What :func:`fewshot.encoders.ink.find_ink` finds: ``(n, size, size)`` uint8."""
    keys = [(size, picture.digest) for picture in pictures]
    ink = INK.get(keys, lambda new: [find_ink(pictures[i].pixels, size) for i in new])
    return torch.from_numpy(np.stack(ink))


def view_numbers(pictures: Sequence[Picture], n_views: int) -> Tensor:
    """What makes the views of each picture, by its seed: ``(n * n_views, DRAWN)`` in 0..1."""
    generators = [np.random.default_rng(view_seed(picture)) for picture in pictures]
    drawn = [rng.random((n_views, DRAWN), dtype=np.float32) for rng in generators]
    return torch.from_numpy(np.concatenate(drawn))


def views_of(
    ink: Tensor, pictures: Sequence[Picture], n_views: int, batch: int
) -> Iterator[Tensor]:
    """Random affine and elastic views, picture by picture.

    Args:
        ink: ``(n, size, size)`` uint8, the pictures' own, on the device to compute on.
        pictures: ``n`` of them.
        n_views: of each.
        batch: views at a time.

    Yields:
        ``(b, 1, size, size)`` float32 in 0..1, ``n * n_views`` in all.
    """
    drawn = view_numbers(pictures, n_views).to(ink.device)
    images = ink.repeat_interleave(n_views, 0)
    for part, numbers in zip(images.split(batch), drawn.split(batch), strict=True):
        yield augment(part, numbers, VIEWS)
