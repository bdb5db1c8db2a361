"""What each method minimises, and how it compares two drawings: one class a method."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshot.encoders.augment import augment, draw
from fewshot.encoders.convnet import ConvNet
from fewshot.encoders.pair_head import PairHead
from fewshot.losses import batch_hard_triplet_loss, pair_loss
from fewshot.training.objective import Objective
from fewshot.training.recipe import Recipe
from fewshot.training.samplers import draw_classes, draw_grid, draw_images, draw_pairs

# Drawings of each class whose mean a warm start takes for its prototype.
IMPRINTED = 5


@dataclass(frozen=True)
class TrainingData:
    """The training characters, on the device.

    Attributes:
        ink: ``(classes, images, size, size)`` uint8, as the encoder's preprocessing gives it.
        groups: ``(classes,)`` int64 alphabet ids.
    """

    ink: Tensor
    groups: Tensor

    @property
    def device(self) -> torch.device:
        """Where it is, and so where everything is computed."""
        return self.ink.device

    @property
    def n_images(self) -> int:
        """Images per class."""
        return self.ink.shape[1]

    def turned_groups(self, turns: int) -> Tensor:
        """Group ids when each of ``turns`` rotations of a class is a class of its own."""
        offset = int(self.groups.max()) + 1
        return torch.cat([self.groups + turn * offset for turn in range(turns)])

    def views(
        self, classes: Tensor, numbers: Tensor, recipe: Recipe, generator: torch.Generator
    ) -> Tensor:
        """Augmented images ``(b, 1, size, size)`` of classes that may be turned characters."""
        characters, turns = classes % len(self.ink), classes // len(self.ink)
        drawn = draw(len(classes), generator)
        return augment(self.ink[characters, numbers], drawn, recipe.augmentation, turns)


class DrawingsObjective(Objective):
    """A drawings encoder, what is trained with it, and the loss of one step."""

    def __init__(self, encoder: ConvNet, recipe: Recipe, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.recipe = recipe
        self.turns = 4 if recipe.rotations else 1
        self.build(n_classes * self.turns)

    def build(self, n_classes: int) -> None:
        """Create the modules trained beside the encoder."""

    def warm_start(self, data: TrainingData) -> None:
        """Fit what is trained beside the encoder to an encoder that is trained already."""

    def similarity(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Likeness of embeddings ``(..., q, d)`` and ``(..., n, d)``: ``(..., q, n)``."""
        return queries @ supports.transpose(-1, -2)

    def kept(self) -> dict[str, nn.Module]:
        """The modules a checkpoint holds, by the prefix of their weights' names."""
        return {"encoder": self.encoder}

    def _related_batch(self, data: TrainingData, generator) -> tuple[Tensor, Tensor]:
        """Embeddings and labels of a batch of a few images of each of some related classes."""
        recipe = self.recipe
        n_classes = recipe.batch // recipe.images_per_class
        groups = data.turned_groups(self.turns)
        drawn = draw_classes(groups, n_classes, recipe.related, generator)
        labels, numbers = draw_grid(drawn, data.n_images, recipe.images_per_class, generator)
        return self.encoder(data.views(labels, numbers, recipe, generator)), labels


class PrototypeObjective(DrawingsObjective):
    """A cosine softmax over the base characters, whose last layer is dropped afterwards.

    Its rows are learned prototypes. Gidaris, Komodakis: Dynamic few-shot visual learning without
    forgetting, CVPR 2018, https://arxiv.org/abs/1804.09458; the margin on the true class's
    cosine is CosFace's (Wang et al., CVPR 2018, https://arxiv.org/abs/1801.09414). Episodes
    after it are those of Snell et al. (NeurIPS 2017, https://arxiv.org/abs/1703.05175), with
    cosines.
    """

    def build(self, n_classes: int) -> None:
        """The softmax's rows."""
        self.rows = nn.Parameter(torch.randn(n_classes, self.encoder.config.dim))

    @torch.no_grad()
    def warm_start(self, data: TrainingData) -> None:
        """Begin at the prototypes (Qi, Brown, Lowe, CVPR 2018, https://arxiv.org/abs/1712.07136).

        Rows at random would first tear apart what the encoder knows.
        """
        self.eval()
        drawings = data.ink[:, :IMPRINTED].float() / 255  # (classes, IMPRINTED, size, size)
        rows = []
        for turn in range(self.turns):
            turned = drawings.rot90(turn, (2, 3))
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
        return self._margin_loss(x @ F.normalize(self.rows, dim=1).T, labels)

    def _episode_loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """One 1-shot episode: an image of each class is its support, the others are queries."""
        x, _ = self._related_batch(data, generator)
        x = x.view(-1, self.recipe.images_per_class, x.shape[1])  # (ways, images, d)
        queries = x[:, 1:].flatten(0, 1)
        labels = torch.arange(len(x), device=x.device).repeat_interleave(x.shape[1] - 1)
        return self._margin_loss(queries @ x[:, 0].T, labels)

    def _margin_loss(self, cosines: Tensor, labels: Tensor) -> Tensor:
        recipe = self.recipe
        margins = recipe.margin * F.one_hot(labels, cosines.shape[1])
        logits = recipe.scale * (cosines - margins)
        return F.cross_entropy(logits, labels, label_smoothing=recipe.smoothing)


class SiameseObjective(DrawingsObjective):
    """Binary cross-entropy on pairs, half of them of the same class."""

    def build(self, n_classes: int) -> None:
        """The pair head."""
        self.head = PairHead(self.encoder.config.dim)

    def loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Loss of as many pairs as the batch has images, times its images per class."""
        x, labels = self._related_batch(data, generator)
        distances = -(x @ x.T).detach()
        n_pairs = self.recipe.batch * self.recipe.images_per_class
        first, second, same = draw_pairs(labels, n_pairs, generator, distances, self.recipe.hard)
        return pair_loss(self.head(x[first], x[second]), same)

    def similarity(self, queries: Tensor, supports: Tensor) -> Tensor:
        """Pair logits."""
        return self.head(queries.unsqueeze(-2), supports.unsqueeze(-3))

    def kept(self) -> dict[str, nn.Module]:
        """Encoder and head."""
        return {"encoder": self.encoder, "head": self.head}


class TripletObjective(DrawingsObjective):
    """Triplets with the batch's hardest positive and negative."""

    def loss(self, data: TrainingData, generator: torch.Generator) -> Tensor:
        """Batch-hard triplet loss."""
        x, labels = self._related_batch(data, generator)
        return batch_hard_triplet_loss(x, labels, self.recipe.margin)


OBJECTIVES = {
    "prototype": PrototypeObjective,
    "siamese": SiameseObjective,
    "triplet": TripletObjective,
}
