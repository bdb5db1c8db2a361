"""What every objective on drawings has: the data, the encoder, and how it compares."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fewshot.class_logits import cosine_prototype_logits
from fewshot.encoders.augment import augment, draw
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.training.objective import Objective
from fewshot.training.recipe import Recipe
from fewshot.training.samplers import draw_classes, draw_grid, draw_pairs
from fewshot.types import InputError


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

    def groups_of_copies(self, copies: int) -> Tensor:
        """Group ids when each of so many turned or mirrored copies of a class is a class itself."""
        offset = int(self.groups.max()) + 1
        return torch.cat([self.groups + copy * offset for copy in range(copies)])

    def views(
        self, classes: Tensor, numbers: Tensor, recipe: Recipe, generator: torch.Generator
    ) -> Tensor:
        """Augmented images ``(b, 1, size, size)`` of classes that may be turned characters."""
        characters, copies = classes % len(self.ink), classes // len(self.ink)
        ink = self.ink[characters, numbers]
        if recipe.mirrored:
            ink = torch.where((copies >= recipe.quarter_turns).view(-1, 1, 1), ink.flip(2), ink)
        drawn = draw(len(classes), generator)
        return augment(ink, drawn, recipe.augmentation, copies % recipe.quarter_turns)


class DrawingsObjective(Objective):
    """A drawings encoder, what is trained with it, and the loss of one step.

    Attributes:
        unit_norm: whether the method asks for embeddings of length 1.
        has_temperature: whether its probabilities have one; not where a head learned the logits.
        class_logits: what the temperature is chosen for; see :mod:`fewshot.class_logits`.
    """

    unit_norm: bool = True
    has_temperature: bool = True
    class_logits = staticmethod(cosine_prototype_logits)

    def __init__(self, encoder: ConvNet, recipe: Recipe, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.recipe = recipe
        self.build(n_classes * recipe.copies)

    @classmethod
    def configured(cls, config: ConvNetConfig, recipe: Recipe) -> ConvNetConfig:
        """The architecture as this method asks for it.

        Raises:
            InputError: it cannot be had from this one.
        """
        if not (cls.unit_norm or config.projected):
            raise InputError(
                f"{recipe.method} learns the length of embeddings, and those of this encoder have "
                "none: begin with one that has a last linear layer, made without --feature-map."
            )
        config = config.unprojected() if recipe.feature_map else config
        return replace(config, unit_norm=cls.unit_norm)

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
        n_classes = max(2, recipe.batch // recipe.images_per_class)
        groups = data.groups_of_copies(self.recipe.copies)
        drawn = draw_classes(groups, n_classes, recipe.related, generator)
        labels, numbers = draw_grid(drawn, data.n_images, recipe.images_per_class, generator)
        return self.encoder(data.views(labels, numbers, recipe, generator)), labels

    def _pairs(self, data: TrainingData, generator) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings ``(n, d)`` twice and which pairs are of the same class, half of them.

        As many pairs as the batch has images, times its images per class.
        """
        x, labels = self._related_batch(data, generator)
        distances = -(x @ x.T).detach()
        n_pairs = self.recipe.batch * self.recipe.images_per_class
        first, second, same = draw_pairs(labels, n_pairs, generator, distances, self.recipe.hard)
        # On a CPU the gradient of x[first] is summed in any order, that of a selection in one.
        return x.index_select(0, first), x.index_select(0, second), same
