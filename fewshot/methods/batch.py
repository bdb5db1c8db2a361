"""Many support sets of one shape, to be classified with together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.types import Support


@dataclass(frozen=True)
class SupportBatch:
    """The support sets of ``e`` unrelated tasks as one encoder sees them, on one device.

    Attributes:
        names: class names by id.
        classes: ``(e, n_way)`` class ids, an array on the CPU.
        labels: ``(n,)`` int64 in ``0..n_way-1``, the same for every task.
        embeddings: ``(e, n, d)`` float32.
        views: ``(e, n, v, d)`` float32, or None where none were made.
    """

    names: tuple[str, ...]
    classes: np.ndarray
    labels: Tensor
    embeddings: Tensor
    views: Tensor | None = None

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, number: int) -> Support:
        """One task's support set, on the CPU."""
        return Support(
            tuple(self.names[c] for c in self.classes[number]),
            self.labels.cpu().numpy(),
            self.embeddings[number].cpu().numpy(),
            None if self.views is None else self.views[number].cpu().numpy(),
        )

    @property
    def n_way(self) -> int:
        """Classes of a task."""
        return self.classes.shape[1]

    @property
    def membership(self) -> Tensor:
        """``(n, n_way)``, columns that sum to 1: a product with it is the mean over a class."""
        ones = F.one_hot(self.labels, self.n_way).to(self.embeddings.dtype)
        return ones / ones.sum(0)

    def examples(self) -> tuple[Tensor, Tensor]:
        """Pictures and their views as unit rows ``(e, n * (1 + v), d)``, labels ``(n * (1 + v),)``.

        All pictures come first, then the views of each.
        """
        x, labels = self.embeddings, self.labels
        if self.views is not None:
            x = torch.cat([x, self.views.flatten(1, 2)], 1)
            labels = torch.cat([labels, labels.repeat_interleave(self.views.shape[2])])
        return F.normalize(x, dim=2), labels

    @classmethod
    def of(cls, support: Support, device: torch.device | str = "cpu") -> SupportBatch:
        """A single task as a batch."""

        def batched(values: np.ndarray | None) -> Tensor | None:
            return None if values is None else torch.from_numpy(values)[None].to(device)

        return cls(
            support.classes,
            np.arange(len(support.classes))[None],
            torch.from_numpy(support.labels).to(device),
            batched(support.embeddings),
            batched(support.views),
        )


def examples_up_to(support: Support, most: int) -> tuple[Tensor, Tensor]:
    """One task's examples ``(n * (1 + v), d)`` and their labels, for learning that takes so many.

    Where they would be more than ``most``, without the views; where the pictures alone are, the
    first of each class, as many of one as of another as far as they go.
    """
    n = len(support.labels)
    if support.views is not None and n * (1 + support.views.shape[1]) > most:
        support = replace(support, views=None)
    x, labels = SupportBatch.of(support).examples()
    if n <= most:
        return x[0], labels
    rank = np.empty(n, np.int64)  # of each picture within its class
    for label in np.unique(support.labels):
        own = support.labels == label
        rank[own] = np.arange(own.sum())
    kept = torch.from_numpy(np.sort(np.argsort(rank, kind="stable")[:most])).to(labels.device)
    return x[0].index_select(0, kept), labels.index_select(0, kept)
