"""What each method minimises, and how it compares two drawings: one class a method."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshot.class_logits import distance_logits, euclidean_distances
from fewshot.encoders.pair_head import PairHead
from fewshot.losses import batch_hard_triplet_loss, contrastive_loss, one_shot_loss, pair_loss
from fewshot.training.drawings_objective import DrawingsObjective, TrainingData
from fewshot.training.objectives_episodic import (
    MatchingObjective,
    PrototypicalObjective,
    RelationObjective,
)
from fewshot.training.samplers import draw_images

# Drawings of each class whose mean a warm start takes for its prototype.
IMPRINTED = 5


class PrototypeObjective(DrawingsObjective):
    """A cosine softmax over the base characters, whose last layer is dropped afterwards.

    Its rows are learned prototypes. Gidaris, Komodakis: Dynamic few-shot visual learning without
    forgetting, CVPR 2018, https://arxiv.org/abs/1804.09458; the margin on the true class's
    cosine is CosFace's (Wang et al., CVPR 2018, https://arxiv.org/abs/1801.09414). Episodes
    after it are 1-shot tasks, as in Snell et al. (NeurIPS 2017, https://arxiv.org/abs/1703.05175),
    with cosines.
    """

    @property
    def _has_rows(self) -> bool:
        """Whether base characters are told apart."""
        return not self.recipe.episodic or bool(self.recipe.base)

    def build(self, n_classes: int) -> None:
        """The softmax's rows."""
        if not self._has_rows:
            return
        self.rows = nn.Parameter(torch.randn(n_classes, self.encoder.config.dim))

    @torch.no_grad()
    def warm_start(self, data: TrainingData) -> None:
        """Begin at the prototypes (Qi, Brown, Lowe, CVPR 2018, https://arxiv.org/abs/1712.07136).

        Rows at random would first tear apart what the encoder knows.
        """
        if not self._has_rows:
            return
        self.eval()
        drawings = data.ink[:, :IMPRINTED].float() / 255  # (classes, IMPRINTED, size, size)
        rows = []
        for copy in range(self.recipe.copies):
            # Mirrored, then turned: as TrainingData.views does.
            is_mirrored, turn = divmod(copy, self.recipe.quarter_turns)
            turned = (drawings.flip(3) if is_mirrored else drawings).rot90(turn, (2, 3))
            for part in turned.split(64):
                x = self.encoder(part.flatten(0, 1).unsqueeze(1))
                rows.append(x.view(*part.shape[:2], -1).mean(1))
        self.rows.copy_(torch.cat(rows))

    def loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Cross-entropy over the base characters, or over a batch's classes."""
        return (
            self._episode_loss(data, generator)
            if self.recipe.episodic
            else self._base_loss(data, generator)
        )

    def _base_loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        recipe = self.recipe
        labels, numbers = draw_images(len(self.rows), data.n_images, recipe.batch, generator)
        x = self.encoder(data.views(labels, numbers, recipe, generator))
        return self._margin_loss(x, labels)

    def _episode_loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Every 1-shot episode that the batch holds, and the base characters if asked for."""
        recipe = self.recipe
        x, labels = self._related_batch(data, generator)
        loss = one_shot_loss(x, labels, recipe.scale, recipe.margin)
        return loss + recipe.base * self._margin_loss(x, labels) if recipe.base else loss

    def _margin_loss(self, x: Tensor, labels: Tensor) -> Tensor:
        recipe = self.recipe
        # Dividing the products, not the rows: those are thousands of long ones, and normalising
        # them took a fifth of a step on a CPU, forth and back.
        cosines = x @ self.rows.T / self.rows.norm(dim=1)
        margins = recipe.margin * F.one_hot(labels, cosines.shape[1])
        logits = recipe.scale * (cosines - margins)
        return F.cross_entropy(logits, labels, label_smoothing=recipe.smoothing)


class SiameseObjective(DrawingsObjective):
    """Binary cross-entropy on pairs, half of them of the same class."""

    has_temperature = False

    def build(self, n_classes: int) -> None:
        """The pair head."""
        self.head = PairHead(self.encoder.config.dim)

    def loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Pair cross-entropy."""
        x1, x2, same = self._pairs(data, generator)
        return pair_loss(self.head(x1, x2), same)

    def similarity(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Pair logits."""
        return self.head(queries.unsqueeze(-2), supports.unsqueeze(-3))

    def kept(self) -> dict[str, nn.Module]:
        """Encoder and head."""
        return {"encoder": self.encoder, "head": self.head}


class ContrastiveObjective(DrawingsObjective):
    """Pairs drawn together, or apart as far as the margin (Hadsell, Chopra, LeCun 2006)."""

    class_logits = staticmethod(distance_logits)

    def loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Contrastive loss of the same pairs as the siamese network's."""
        x1, x2, same = self._pairs(data, generator)
        return contrastive_loss(x1, x2, same, self.recipe.margin)

    def similarity(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Minus the Euclidean distance."""
        return -euclidean_distances(queries, supports)


class TripletObjective(DrawingsObjective):
    """Triplets with the batch's hardest positive and negative."""

    def loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Batch-hard triplet loss."""
        x, labels = self._related_batch(data, generator)
        return batch_hard_triplet_loss(x, labels, self.recipe.margin)


OBJECTIVES = {
    "prototype": PrototypeObjective,
    "siamese": SiameseObjective,
    "siamese-contrastive": ContrastiveObjective,
    "triplet": TripletObjective,
    "matching": MatchingObjective,
    "prototypical": PrototypicalObjective,
    "relation": RelationObjective,
}
