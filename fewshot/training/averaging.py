"""A running mean of a run's weights, kept in place of the newest: these still swing at high rates.

Polyak, Juditsky: Acceleration of stochastic approximation by averaging, SIAM J. Control and
Optimization 1992; with exponential weights, as Tarvainen, Valpola (NeurIPS 2017,
https://arxiv.org/abs/1703.01780) keep them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class RunningMean:
    """The mean over about the last ``1 / (1 - decay)`` steps.

    Attributes:
        decay: share of the mean that a step leaves; early steps leave less, so that the random
            start is soon forgotten.
        values: the means, by name; counters, which have none, are the newest.
    """

    def __init__(self, modules: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in modules.state_dict().items()}

    @torch.no_grad()
    def update(self, modules: nn.Module, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        leaves = min(self.decay, step / (step + 10))
        newest = modules.state_dict()
        real = [name for name, value in newest.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [self.values[name] for name in real], [newest[name] for name in real], 1 - leaves
        )
        for name in newest.keys() - set(real):
            self.values[name].copy_(newest[name])

    @contextlib.contextmanager
    def in_use(self, modules: nn.Module) -> Iterator[None]:
        """Meanwhile the modules have the mean weights."""
        newest: dict[str, Tensor] = {k: v.clone() for k, v in modules.state_dict().items()}
        modules.load_state_dict(self.values)
        try:
            yield
        finally:
            modules.load_state_dict(newest)
