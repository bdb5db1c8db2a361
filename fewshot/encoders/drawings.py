"""Encoders for drawings: ink through a small convnet trained on Omniglot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from fewshot.device import autocast, best_device
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.encoders.ink import INK_VERSION
from fewshot.encoders.ink_encoder import InkEncoder
from fewshot.encoders.ink_views import VIEWS_NAME
from fewshot.encoders.pair_head import PairHead
from fewshot.encoders.relation_head import RelationHead
from fewshot.encoders.weights import load_card, load_weights, sha256, without_prefix
from fewshot.metrics import normalise
from fewshot.types import InputError, Picture

# An embedding is the mean over the drawing and this many views of it. On held-out characters views
# add 0.1 to 0.2 points to what the prototype's encoder knows at one look, and 16 no more than 8.
AVERAGED = 8

Head = TypeVar("Head", bound=nn.Module)


class DrawingsEncoder(InkEncoder):
    """A checkpoint of this project: embeddings of any picture of a drawing.

    They have length 1 unless the card's architecture says that their lengths were learned.
    """

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
            self._head = _head(PairHead(config.dim), without_prefix("head", weights))
            self._relation = _head(RelationHead(config.dim), without_prefix("relation", weights))
        except (RuntimeError, TypeError) as error:
            raise InputError(f"{path} and its card do not fit: copy both anew.") from error
        self.name = name
        self.dim = config.dim
        self.unit_norm = config.unit_norm
        self.checkpoint = sha256(path)
        self.digest = f"{self.checkpoint}-ink{INK_VERSION}-mean{AVERAGED}-{VIEWS_NAME}"
        self.source = f"trained on {card['data']['name']}"
        self.licence = card["licence"]
        self.temperature = card.get("temperature", 16.0)
        self._size = config.input_size
        self._device = best_device()
        self._network = network.eval().to(self._device)

    def embed(self, pictures: Sequence[Picture]) -> np.ndarray:
        """See :class:`Encoder`; the mean over the drawing and views of it, then normalised.

        Where lengths were learned, it is the plain mean.
        """
        ink = self._ink(pictures)
        views = self._embed_views(ink, pictures, AVERAGED)
        mean = (self._embed(self._plain(ink)) + views.sum(1)) / (1 + AVERAGED)
        return normalise(mean) if self.unit_norm else mean

    def pair_head(self) -> PairHead:
        """See :class:`Encoder`."""
        return self._head or super().pair_head()

    def relation_head(self) -> RelationHead:
        """See :class:`Encoder`."""
        return self._relation or super().relation_head()

    @torch.inference_mode()
    def _embed(self, batches: Iterable[Tensor]) -> np.ndarray:
        with autocast(self._device):
            return torch.cat([self._network(batch).cpu() for batch in batches]).numpy()


def _head(head: Head, weights: dict[str, Tensor]) -> Head | None:
    """The head with its weights, or None where the checkpoint holds none."""
    if not weights:
        return None
    head.load_state_dict(weights)
    return head.eval()
