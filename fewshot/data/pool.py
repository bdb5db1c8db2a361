"""A labelled set of pictures to draw episodes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.types import Picture


@dataclass(frozen=True)
class Pool:
    """Pictures with labels.

    Attributes:
        pictures: ``n`` pictures.
        labels: ``(n,)`` int64 class ids.
        classes: class names by id.
        groups: ``(n_classes,)`` group id of each class (its alphabet), or None.
        group_names: group names by id.
    """

    pictures: Sequence[Picture]
    labels: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray | None = None
    group_names: tuple[str, ...] = ()
