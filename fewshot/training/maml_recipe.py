"""What determines a MAML run, and the recipe of the shipped weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from fewshot.encoders.augment import STRONG, Augmentation
from fewshot.encoders.maml_network import InnerLoop
from fewshot.training.recipe import Recipe


@dataclass(frozen=True)
class MamlRecipe(Recipe):
    """A run on tasks; ``batch`` bounds the images of a step, supports and queries together.

    Attributes:
        ways: fewest and most classes of a task; each step draws a number, for all its tasks.
        queries: images asked of each class, after one is shown.
        first_order: take the inner gradients as constants.
        inner: the steps on the support set.
    """

    ways: tuple[int, int] = (5, 20)
    queries: int = 2
    first_order: bool = False
    inner: InnerLoop = field(default_factory=InnerLoop)
    augmentation: Augmentation = STRONG


MAML_RECIPE = MamlRecipe(
    "maml", steps=300, batch=120, learning_rate=1e-4, related=0.8, validate_every=50
)
