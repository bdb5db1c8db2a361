"""The encoder of MAML: the ink itself, and the network that each task adapts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fewshot.encoders.convnet import ConvNetConfig
from fewshot.encoders.ink import INK_VERSION
from fewshot.encoders.ink_encoder import InkEncoder
from fewshot.encoders.maml_network import AdaptableConvNet, InnerLoop, MamlNetwork
from fewshot.encoders.weights import load_card, load_weights, sha256, without_prefix
from fewshot.types import InputError


class MamlEncoder(InkEncoder):
    """A picture's "embedding" is its ink, 0..1, as a vector: MAML learns from pictures.

    Not of unit length. What makes it an embedding in the usual sense, another one for every task,
    is :meth:`maml_network`.
    """

    unit_norm = False

    def __init__(self, name: str, path: Path) -> None:
        """Load a checkpoint.

        Args:
            name: in the registry.
            path: weights file, its card beside it.

        Raises:
            InputError: the file or its card is missing, broken, or of another architecture.
        """
        card, weights = load_card(path), load_weights(path)
        try:
            config = ConvNetConfig.from_dict(card["architecture"])
            inner = InnerLoop(**card["inner"])
            network = MamlNetwork(AdaptableConvNet(config), config.dim, inner)
            network.load_state_dict(without_prefix("network", weights))
        except (RuntimeError, TypeError, KeyError) as error:
            raise InputError(f"{path} and its card do not fit: copy both anew.") from error
        self.name = name
        self.dim = config.input_size**2
        self.checkpoint = sha256(path)
        self.digest = f"{self.checkpoint}-ink{INK_VERSION}-pictures"
        self.source = f"trained on {card['data']['name']}"
        self.licence = card["licence"]
        self.temperature = card.get("temperature", inner.scale)
        self._size = config.input_size
        network = network.eval().requires_grad_(False)
        self._network = network.to(memory_format=torch.contiguous_format)

    def maml_network(self) -> MamlNetwork:
        """See :class:`Encoder`."""
        return self._network

    def _embed(self, batches: Iterable[Tensor]) -> np.ndarray:
        return torch.cat(list(batches)).flatten(1).numpy()
