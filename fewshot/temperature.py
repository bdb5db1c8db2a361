"""The temperature under which a method's probabilities are likeliest on classes not trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fewshot.class_logits import grid_membership
from fewshot.episodes import Protocol, draw_episodes

TEMPERATURES = [round(2 ** (i / 4), 2) for i in range(-8, 33)]  # 0.25 to 256
EPISODES = 300
WAYS, MOST_SHOTS = 5, 5

# See fewshot.class_logits: queries, supports, membership, temperature.
ClassLogits = Callable[[Tensor, Tensor, Tensor, float], Tensor]


@torch.no_grad()
def likeliest_temperature(x: Tensor, n_classes: int, class_logits: ClassLogits) -> float:
    """The least negative log-likelihood over 5-way episodes of 1 and of 5 shots.

    Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks, ICML 2017,
    https://arxiv.org/abs/1706.04599.

    Args:
        x: ``(n_classes * images, d)`` embeddings, class by class.
        n_classes: of them, each with as many images.
        class_logits: the method.
    """
    n_images = len(x) // n_classes
    labels = np.arange(n_classes).repeat(n_images)
    losses = torch.zeros(len(TEMPERATURES))
    for seed, shots in enumerate((1, min(MOST_SHOTS, n_images - 1))):
        protocol = Protocol(min(WAYS, n_classes), shots, 1)
        episodes = list(draw_episodes(labels, protocol, EPISODES, seed=3 + seed))
        supports = x[np.stack([episode.support for episode in episodes])]  # (e, ways * shots, d)
        queries = x[np.stack([episode.queries for episode in episodes])]
        answers = torch.from_numpy(np.stack([episode.query_labels for episode in episodes]))
        membership = grid_membership(protocol.ways, shots)
        for number, temperature in enumerate(TEMPERATURES):
            logits = class_logits(queries, supports, membership, temperature)
            losses[number] += cross_entropy(logits.flatten(0, 1), answers.flatten())
    return TEMPERATURES[int(losses.argmin())]
