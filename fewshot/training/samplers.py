"""What a training step looks at, drawn on the device as index tensors: pure functions."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.types import InputError


def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The source of every random number of one step.

    It depends on the seed and the step alone, so a resumed run draws what an uninterrupted one
    would have drawn, with no generator state to save.
    """
    generator = torch.Generator(device=device)
    # Two odd constants spread (seed, step) over 63 bits; torch's generator on a CPU takes 32 of
    # them, which are still others at each step, as the step's constant is odd.
    return generator.manual_seed((seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03) % 2**63)


def draw_images(
    n_classes: int, n_per_class: int, batch: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Independent images: class ids and image numbers within the class, ``(batch,)`` each."""
    device = generator.device
    classes = torch.randint(n_classes, (batch,), generator=generator, device=device)
    numbers = torch.randint(n_per_class, (batch,), generator=generator, device=device)
    return classes, numbers


def draw_classes(
    groups: Tensor, n_drawn: int, related: float, generator: torch.Generator
) -> Tensor:
    """Distinct classes, a share of them from few groups so that look-alikes meet in a batch.

    Args:
        groups: ``(n_classes,)`` group (alphabet and rotation) of every class.
        n_drawn: how many classes.
        related: share of them drawn from as few groups as supply them; the rest are drawn from
            all classes.

    Returns:
        ``(n_drawn,)`` class ids.
    """
    device = generator.device
    n_classes = len(groups)
    order = torch.rand(n_classes, generator=generator, device=device).argsort()
    n_related = int(n_drawn * related)
    if n_related:
        # Rank whole groups at random: sorting by the rank puts their classes side by side.
        rank = torch.rand(int(groups.max()) + 1, generator=generator, device=device)
        by_group = order[rank[groups[order]].argsort(stable=True)]
        first = by_group[:n_related]
        rest = order[~torch.isin(order, first)]
        order = torch.cat([first, rest])
    return order[:n_drawn]


def draw_grid(
    classes: Tensor, n_per_class: int, n_images: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``n_images`` distinct images of each class: ids and image numbers ``(n * n_images,)``."""
    if n_images > n_per_class:
        raise InputError(
            f"Training takes {n_images} different drawings of each class at a time, and the data "
            f"have {n_per_class}: give more of each."
        )
    device = generator.device
    scores = torch.rand(len(classes), n_per_class, generator=generator, device=device)
    numbers = scores.argsort(1)[:, :n_images]
    return classes.repeat_interleave(n_images), numbers.flatten()


def draw_pairs(
    labels: Tensor,
    n_pairs: int,
    generator: torch.Generator,
    distances: Tensor | None = None,
    hard: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of positions in a batch, half of the same class and half of different ones.

    Args:
        labels: ``(b,)`` class ids; some class must occur twice, and two must differ.
        n_pairs: how many, an even number.
        distances: ``(b, b)``, needed by ``hard``.
        hard: share of the different pairs taken from the nearest ones in ``distances``.

    Returns:
        ``first (n_pairs,)``, ``second (n_pairs,)`` and ``same (n_pairs,)`` bool.
    """
    i, j = torch.triu_indices(len(labels), len(labels), offset=1, device=labels.device)
    is_same = labels[i] == labels[j]
    positives, negatives = is_same.nonzero().squeeze(1), (~is_same).nonzero().squeeze(1)
    if not len(positives) or not len(negatives):
        raise ValueError(f"{len(positives)} same and {len(negatives)} different pairs to draw from")
    half = n_pairs // 2
    n_hard = min(int(half * hard), len(negatives))
    drawn = [_choose(positives, half, generator)]
    if n_hard:
        nearest = distances[i[negatives], j[negatives]].topk(n_hard, largest=False).indices
        drawn.append(negatives[nearest])
    drawn.append(_choose(negatives, half - n_hard, generator))
    pairs = torch.cat(drawn)
    return i[pairs], j[pairs], is_same[pairs]


def _choose(values: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` entries, with replacement."""
    return values[torch.randint(len(values), (count,), generator=generator, device=values.device)]
