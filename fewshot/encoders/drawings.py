"""Encoders for drawings: ink through a small convnet trained on Omniglot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fewshot.content_cache import ContentCache
from fewshot.device import autocast, best_device
from fewshot.encoders.augment import DRAWN, STRONG, augment
from fewshot.encoders.base import Encoder, view_seed
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.encoders.ink import INK_VERSION, find_ink
from fewshot.encoders.pair_head import PairHead
from fewshot.encoders.weights import load_card, load_weights, sha256, without_prefix
from fewshot.metrics import normalise
from fewshot.types import InputError, Picture

BATCH = 256
# The three encoders look at the same ink, which takes longer to find than to embed.
INK = ContentCache(32 * 2**20)
# An embedding is the mean over the drawing and this many views of it. On held-out characters, with
# the pre-trained weights and affine views of STRONG's ranges, 16 views took away a quarter of the
# 20-way 1-shot errors, and 8 a fifth.
AVERAGED = 16
# A view stands for another drawing of the same class.
VIEWS = STRONG


class DrawingsEncoder(Encoder):
    """A checkpoint of this project: unit-norm embeddings of any picture of a drawing."""

    family = "drawings"

    def __init__(self, name: str, path: Path) -> None:
        """Load a checkpoint.

        Args:
            name: in the registry.
            path: weights file, its card beside it.

        Raises:
            InputError: the file or its card is missing, broken, or of another architecture.
        """
        card = load_card(path)
        weights = load_weights(path)
        try:
            config = ConvNetConfig.from_dict(card["architecture"])
            network = ConvNet(config)
            network.load_state_dict(without_prefix("encoder", weights))
            self._head = _pair_head(without_prefix("head", weights), config.dim)
        except (RuntimeError, TypeError) as error:
            raise InputError(f"{path} does not hold the network its card describes.") from error
        self.name = name
        self.dim = config.dim
        self.checkpoint = sha256(path)
        self.digest = f"{self.checkpoint}-ink{INK_VERSION}-mean{AVERAGED}"
        self.source = f"trained on {card['data']['name']}"
        self.licence = card["licence"]
        self.temperature = card.get("temperature", 16.0)
        self._size = config.input_size
        self._device = best_device()
        self._network = network.eval().to(self._device)

    def embed(self, pictures: Sequence[Picture]) -> np.ndarray:
        """See :class:`Encoder`; the normalised mean over the drawing and views of it."""
        ink = self._ink(pictures)
        plain = self._embed([part.unsqueeze(1).float() / 255 for part in ink.split(BATCH)])
        views = self._embed_views(ink, pictures, AVERAGED)
        return normalise(plain + views.sum(1))

    def embed_views(self, pictures: Sequence[Picture], n_views: int) -> np.ndarray:
        """See :class:`Encoder`: random affine and elastic views of the ink."""
        return self._embed_views(self._ink(pictures), pictures, n_views)

    def pair_head(self) -> PairHead:
        """See :class:`Encoder`."""
        return self._head or super().pair_head()

    def _ink(self, pictures: Sequence[Picture]) -> Tensor:
        """``(n, size, size)`` uint8 on the device."""
        keys = [(self._size, picture.digest) for picture in pictures]
        ink = INK.get(keys, lambda new: [find_ink(pictures[i].pixels, self._size) for i in new])
        return torch.from_numpy(np.stack(ink)).to(self._device)

    def _embed_views(self, ink: Tensor, pictures: Sequence[Picture], n_views: int) -> np.ndarray:
        """``(n, size, size)`` ink and its pictures to ``(n, n_views, dim)``."""
        drawn = np.stack([_drawn(picture, n_views) for picture in pictures])
        drawn = torch.from_numpy(drawn).flatten(0, 1).to(self._device)  # (n * v, DRAWN)
        images = ink.repeat_interleave(n_views, 0)
        batches = zip(images.split(BATCH), drawn.split(BATCH), strict=True)
        x = self._embed(augment(part, numbers, VIEWS) for part, numbers in batches)
        return x.reshape(len(pictures), n_views, self.dim)

    @torch.inference_mode()
    def _embed(self, batches: Iterable[Tensor]) -> np.ndarray:
        with autocast(self._device):
            return torch.cat([self._network(batch).cpu() for batch in batches]).numpy()


def _pair_head(weights: dict[str, Tensor], dim: int) -> PairHead | None:
    if not weights:
        return None
    head = PairHead(dim)
    head.load_state_dict(weights)
    return head.eval()


def _drawn(picture: Picture, n_views: int) -> np.ndarray:
    rng = np.random.default_rng(view_seed(picture))
    return rng.random((n_views, DRAWN), dtype=np.float32)
