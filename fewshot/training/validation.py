"""Accuracy on characters kept out of training: what early choice looks at."""

from __future__ import annotations

import typing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fewshot.device import autocast
from fewshot.episodes import Episode, Protocol, draw_episodes
from fewshot.temperature import likeliest_temperature
from fewshot.training.drawings_objective import DrawingsObjective, TrainingData

EPISODES = 300
# Drawings embedded at a time.
BATCH = 512
WAYS = 20


class Compares(typing.Protocol):
    """What is validated here: objectives that embed drawings and compare embeddings."""

    def eval(self) -> object:
        """From now on embed as in use."""

    def encoder(self, ink: Tensor) -> Tensor:
        """Embeddings ``(b, d)`` of ``(b, 1, size, size)`` in 0..1."""

    def similarity(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Likeness of embeddings ``(q, d)`` and ``(n, d)``: ``(q, n)``."""


@dataclass(frozen=True)
class ValidationSet:
    """Held-out characters and fixed 1-shot episodes over them.

    Attributes:
        data: the characters.
        episodes: by protocol name; each a list of episodes with one query per class.
    """

    data: TrainingData
    episodes: dict[str, list[Episode]]

    def __call__(self, objective: Compares) -> dict[str, float]:
        """What the training loop asks: :func:`validate` on this set."""
        return validate(objective, self)


def validation_set(data: TrainingData, episodes: int = EPISODES) -> ValidationSet:
    """Draw the episodes once, so that every validation of every run sees the same ones."""
    n_classes, n_images = data.ink.shape[:2]
    labels = np.arange(n_classes).repeat(n_images)
    groups = data.groups.cpu().numpy()
    largest = int(np.bincount(groups).max())
    anywhere = Protocol(min(WAYS, n_classes), 1, 1)
    within = Protocol(min(WAYS, largest), 1, 1, within_group=True)
    drawn = {"random": list(draw_episodes(labels, anywhere, episodes, seed=1))}
    if largest > 1:
        drawn["within"] = list(draw_episodes(labels, within, episodes, seed=2, groups=groups))
    return ValidationSet(data, drawn)


@torch.no_grad()
def embed_all(objective: Compares, data: TrainingData) -> Tensor:
    """Embeddings ``(classes * images, d)`` of every character as it is, class by class."""
    objective.eval()
    images = data.ink.flatten(0, 1)
    with autocast(images.device):
        parts = [objective.encoder(part[:, None].float() / 255) for part in images.split(BATCH)]
    return torch.cat(parts)


@torch.no_grad()
def validate(objective: Compares, validation: ValidationSet) -> dict[str, float]:
    """1-shot accuracy by protocol name, and their mean as "score"."""
    x = embed_all(objective, validation.data)
    accuracy = {}
    for name, episodes in validation.episodes.items():
        right = total = 0
        for episode in episodes:
            similarity = objective.similarity(x[episode.queries], x[episode.support])
            answers = similarity.argmax(1).cpu().numpy()
            right += int((answers == episode.query_labels).sum())
            total += len(answers)
        accuracy[name] = right / total
    accuracy["score"] = sum(accuracy.values()) / len(accuracy)
    return accuracy


def choose_temperature(objective: DrawingsObjective, validation: ValidationSet) -> float:
    """The temperature that makes the method's probabilities likeliest on held-out characters."""
    x = embed_all(objective, validation.data).cpu()
    return likeliest_temperature(x, len(validation.data.ink), objective.class_logits)
