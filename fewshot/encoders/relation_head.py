"""The relation network's second half: how alike a query and a class's prototype are."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fewshot.encoders.pair_head import PairHead

HIDDEN = 128


class RelationHead(nn.Module):
    """A learned comparison: two layers over ``[q, p, |q − p|]``, added to a learned distance.

    Sung, Yang, Zhang, Xiang, Torr, Hospedales: Learning to compare: relation network for few-shot
    learning, CVPR 2018, https://arxiv.org/abs/1711.06025. The paper stacks the feature maps of
    query and class in depth and runs two blocks of convolutions and two fully connected layers
    over them. Here embeddings are vectors, so all layers are fully connected, the difference is
    handed in, and nothing has batch statistics: each pair is judged alone.

    The last layer starts at zero and the distance as :class:`PairHead` does, so that an untrained
    module ranks classes by the L1 distance to their prototypes.
    """

    def __init__(self, dim: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        # One layer over [q, p, |q − p|], in three parts: the first two are computed once for each
        # query and each class, not once for each pair.
        self.query = nn.Linear(dim, hidden)
        self.prototype = nn.Linear(dim, hidden, bias=False)
        self.difference = nn.Linear(dim, hidden, bias=False)
        self.out = nn.Linear(hidden, 1, bias=False)
        self.distance = PairHead(dim)
        nn.init.zeros_(self.out.weight)

    def forward(self, queries: Tensor, prototypes: Tensor) -> Tensor:
        """Logits ``(…)`` of ``(…, d)`` and ``(…, d)``, which may broadcast; a sigmoid scores."""
        parts = self.query(queries) + self.prototype(prototypes)
        hidden = F.relu(parts + self.difference((queries - prototypes).abs()))
        return self.out(hidden).squeeze(-1) + self.distance(queries, prototypes)
