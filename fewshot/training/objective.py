"""What the training loop asks of whatever it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class OnDevice(Protocol):
    """Training data of any kind, held on one device."""

    @property
    def device(self) -> torch.device:
        """Where it is, and so where everything is computed."""


class Objective(nn.Module, ABC):
    """Modules that are trained together, and the loss of one step."""

    @abstractmethod
    def loss(self, data: Any, generator: torch.Generator) -> Tensor:
        """Draw a batch and return its scalar loss; every random number is the generator's."""

    @abstractmethod
    def kept(self) -> dict[str, nn.Module]:
        """The modules a checkpoint holds, by the prefix of their weights' names."""
