"""Accuracy on characters kept out of training: what early choice looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fewshot.class_logits import grid_membership
from fewshot.data.omniglot import Omniglot
from fewshot.device import autocast
from fewshot.episodes import Episode, Protocol, draw_episodes
from fewshot.training.objectives import DrawingsObjective, TrainingData
from fewshot.training.recipe import HELD_OUT_ALPHABETS

EPISODES = 300
TEMPERATURES = [round(2 ** (i / 4), 2) for i in range(-8, 33)]  # 0.25 to 256
WAYS = 20


@dataclass(frozen=True)
class ValidationSet:
    """Held-out characters and fixed 1-shot episodes over them.

    Attributes:
        data: the characters.
        episodes: by protocol name; each a list of episodes with one query per class.
    """

    data: TrainingData
    episodes: dict[str, list[Episode]]

    def __call__(self, objective: DrawingsObjective) -> dict[str, float]:
        """What the training loop asks: :func:`validate` on this set."""
        return validate(objective, self)


def split_alphabets(groups: np.ndarray, held_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Class ids to train on and to validate on, ``held_out`` whole alphabets apart.

    Args:
        groups: ``(classes,)`` alphabet ids.
        held_out: how many alphabets to keep for validation, fewer than there are.
    """
    alphabets = np.unique(groups)
    if held_out >= len(alphabets):
        raise ValueError(f"{held_out} of {len(alphabets)} alphabets kept out leaves none to train")
    # The same ones whatever a run's seed, so that runs are compared on the same characters.
    chosen = np.random.default_rng(0).permutation(alphabets)[:held_out]
    kept_out = np.isin(groups, chosen)
    return np.flatnonzero(~kept_out), np.flatnonzero(kept_out)


def held_out_characters(data: Omniglot) -> Omniglot:
    """The background characters that the shipped recipes validate on and never train on."""
    return data.select(split_alphabets(data.alphabets, HELD_OUT_ALPHABETS)[1])


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
def embed_all(objective: DrawingsObjective, data: TrainingData, batch: int = 512) -> Tensor:
    """Embeddings ``(classes * images, d)`` of every character as it is, class by class."""
    objective.eval()
    images = data.ink.flatten(0, 1)
    with autocast(images.device):
        parts = [objective.encoder(part[:, None].float() / 255) for part in images.split(batch)]
    return torch.cat(parts)


@torch.no_grad()
def validate(objective: DrawingsObjective, validation: ValidationSet) -> dict[str, float]:
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


@torch.no_grad()
def choose_temperature(objective: DrawingsObjective, validation: ValidationSet) -> float:
    """The temperature that makes the method's probabilities likeliest on held-out characters.

    The least negative log-likelihood over 5-way episodes of 1 and of 5 shots (Guo et al., ICML
    2017, https://arxiv.org/abs/1706.04599).
    """
    n_classes, n_images = validation.data.ink.shape[:2]
    x = embed_all(objective, validation.data).cpu()
    labels = np.arange(n_classes).repeat(n_images)
    losses = torch.zeros(len(TEMPERATURES))
    for seed, shots in enumerate((1, min(5, n_images - 1))):
        protocol = Protocol(min(5, n_classes), shots, 1)
        episodes = list(draw_episodes(labels, protocol, EPISODES, seed=3 + seed))
        supports = x[np.stack([episode.support for episode in episodes])]  # (e, ways * shots, d)
        queries = x[np.stack([episode.queries for episode in episodes])]
        answers = torch.from_numpy(np.stack([episode.query_labels for episode in episodes]))
        membership = grid_membership(protocol.ways, shots)
        for number, temperature in enumerate(TEMPERATURES):
            logits = objective.class_logits(queries, supports, membership, temperature)
            losses[number] += cross_entropy(logits.flatten(0, 1), answers.flatten())
    return TEMPERATURES[int(losses.argmin())]
