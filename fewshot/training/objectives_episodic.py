"""Objectives whose batch is episodes: few-shot tasks like those of later use."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshot.class_logits import (
    attention_logits,
    centroid_logits,
    grid_membership,
    minus_squared_distances,
)
from fewshot.encoders.relation_head import RelationHead
from fewshot.losses import relation_loss
from fewshot.training.drawings_objective import DrawingsObjective, TrainingData

# The squared length to which a warm start scales unit rows: -d² then separates two classes as a
# cosine softmax with the factor 20 does, which is what the weights were trained with.
WARM_SQUARED_LENGTH = 10.0
# Drawings whose mean squared length it takes.
MEASURED = 512


@dataclass(frozen=True)
class TrainingEpisodes:
    """Episodes of one shape, as embeddings.

    Attributes:
        queries: ``(e, q, d)``.
        supports: ``(e, n, d)``, class by class.
        membership: ``(n, ways)``, columns that sum to 1.
        labels: ``(q,)`` int64 of the queries, the same for every episode.
    """

    queries: Tensor
    supports: Tensor
    membership: Tensor
    labels: Tensor


class EpisodicObjective(DrawingsObjective):
    """A batch is cut into episodes; some images of each class support it, the others ask."""

    def loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Of all queries of all episodes."""
        return self.episode_loss(self._episodes(data, generator))

    def episode_loss(self, episodes: TrainingEpisodes) -> Tensor:
        """Cross-entropy of the class logits at the recipe's scale and smoothing; a scalar."""
        logits = self.class_logits(
            episodes.queries, episodes.supports, episodes.membership, self.recipe.scale
        ).flatten(0, 1)  # (e * q, ways)
        labels = episodes.labels.repeat(len(episodes.queries))
        return F.cross_entropy(logits, labels, label_smoothing=self.recipe.smoothing)

    def _episodes(self, data: TrainingData, generator: torch.Generator) -> TrainingEpisodes:
        recipe = self.recipe
        x, _ = self._related_batch(data, generator)
        x = x.view(-1, recipe.images_per_class, x.shape[1])  # (classes, images, d)
        ways = min(recipe.ways or len(x), len(x))
        # Neighbours in the batch are related, so the first episodes are the hard ones.
        x = x[: len(x) // ways * ways].unflatten(0, (-1, ways))  # (e, ways, images, d)
        drawn = torch.randint(len(recipe.shots), (1,), generator=generator, device=x.device)
        shots = recipe.shots[int(drawn)]
        labels = torch.arange(ways, device=x.device)
        return TrainingEpisodes(
            x[:, :, shots:].flatten(1, 2),
            x[:, :, :shots].flatten(1, 2),
            grid_membership(ways, shots, x.device),
            labels.repeat_interleave(recipe.images_per_class - shots),
        )


class MatchingObjective(EpisodicObjective):
    """Minus the log of the attention that falls on the true class (Vinyals et al. 2016).

    The recipe's scale is the factor on cosines.
    """

    class_logits = staticmethod(attention_logits)


class PrototypicalObjective(EpisodicObjective):
    """Cross-entropy over squared distances to the classes' means (Snell et al. 2017).

    The published formula where the recipe's scale is 2.
    """

    unit_norm = False
    class_logits = staticmethod(centroid_logits)

    @torch.no_grad()
    def warm_start(self, data: TrainingData) -> None:
        """Give embeddings a length to begin with: their cosines say nothing of it."""
        self.eval()
        drawings = data.ink[:MEASURED, :1]  # one of each character
        x = self.encoder(drawings.float() / 255)
        factor = (WARM_SQUARED_LENGTH / x.square().sum(1).mean()).sqrt()
        for parameter in self.encoder.embed.parameters():
            parameter.mul_(factor)

    def similarity(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Minus the squared Euclidean distance."""
        return minus_squared_distances(queries, supports)


class RelationObjective(EpisodicObjective):
    """Relation scores drawn to 1 for the true class and to 0 for the others (Sung et al. 2018)."""

    has_temperature = False

    def build(self, n_classes: int) -> None:
        """The module that compares."""
        self.relation = RelationHead(self.encoder.config.dim)

    def episode_loss(self, episodes: TrainingEpisodes) -> Tensor:
        """Mean squared error of the scores, as published."""
        prototypes = episodes.membership.T @ episodes.supports  # (e, ways, d)
        return relation_loss(self.similarity(episodes.queries, prototypes), episodes.labels)

    def similarity(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Relation logits."""
        return self.relation(queries.unsqueeze(-2), supports.unsqueeze(-3))

    def kept(self) -> dict[str, nn.Module]:
        """Encoder and relation module."""
        return {"encoder": self.encoder, "relation": self.relation}
