"""The encoder over Koch's network, whose checkpoint is too large to come with the project."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fewshot.data.cache import cache_folder
from fewshot.device import autocast, best_device
from fewshot.encoders.ink import INK_VERSION
from fewshot.encoders.ink_encoder import InkEncoder
from fewshot.encoders.ink_views import VIEWS_NAME
from fewshot.encoders.koch import SIDE, UNITS, Koch
from fewshot.encoders.pair_head import PairHead
from fewshot.encoders.weights import load_card, load_weights, sha256, without_prefix
from fewshot.types import InputError

# Names the weights file, where it lies elsewhere than in the cache.
VARIABLE = "FEWSHOT_KOCH"


def find_koch() -> Path:
    """The weights file: ``$FEWSHOT_KOCH``, else ``koch.safetensors`` in the user's cache.

    Raises:
        InputError: it is not there; says how to make it.
    """
    path = Path(os.environ.get(VARIABLE) or cache_folder() / "koch.safetensors")
    if not path.is_file():
        raise InputError(
            "Koch's network of 39 million parameters does not come with the project: make its "
            "checkpoint with “python -m fewshot train koch --output FILE”, and set "
            f"{VARIABLE}=FILE."
        )
    return path


class KochEncoder(InkEncoder):
    """The 4096 sigmoid units of :class:`fewshot.encoders.koch.Koch`: each 0..1, of any length."""

    name = "koch"
    dim = UNITS
    unit_norm = False
    temperature = 1.0
    _size = SIDE
    _batch = 32  # the first layer makes 2.4 MB of each

    def __init__(self, path: Path) -> None:
        """Load a checkpoint of ``train koch``.

        Args:
            path: weights file, its card beside it.

        Raises:
            InputError: the file or its card is missing, broken, or of another architecture.
        """
        card, weights = load_card(path), without_prefix("network", load_weights(path))
        network = Koch()
        try:
            network.load_state_dict({name: value.float() for name, value in weights.items()})
        except RuntimeError as error:
            raise InputError(f"{path} does not hold Koch's network.") from error
        self.checkpoint = sha256(path)
        self.digest = f"{self.checkpoint}-ink{INK_VERSION}-{VIEWS_NAME}"
        self.source = f"trained on {card['data']['name']}"
        self.licence = card["licence"]
        self._device = best_device()
        # Another one: methods compare on the CPU, wherever the network goes.
        self._head = copy.deepcopy(network.head).eval()
        self._network = network.eval().to(self._device, memory_format=torch.channels_last)

    def pair_head(self) -> PairHead:
        """The network's own."""
        return self._head

    @torch.inference_mode()
    def _embed(self, batches: Iterable[Tensor]) -> np.ndarray:
        with autocast(self._device):
            rows = [self._network.embed(batch).float().cpu() for batch in batches]
        return torch.cat(rows).numpy()
