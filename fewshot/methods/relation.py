"""The relation network."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from fewshot.methods.batch import SupportBatch
from fewshot.methods.feed_forward import FeedForward

# Pairs of query and class compared at a time: at 512 dimensions, 64 MB of differences.
PAIRS_AT_ONCE = 32_768


class Relation(FeedForward):
    """A learned comparison ``g(q, p_c)`` of the query with each class's mean embedding ``p_c``.

    The score is ``sigmoid(g)`` in 0..1, which training drew to 1 for the class that is shown and
    to 0 for the others; since probabilities have to sum to 1, they are ``softmax(g)``. It ranks
    the classes alike, whatever their number. The module is
    :class:`fewshot.encoders.relation_head.RelationHead`, which says how it differs from the
    paper's; with several pictures the paper adds up feature maps where this takes the mean.

    Sung, Yang, Zhang, Xiang, Torr, Hospedales: Learning to compare: relation network for few-shot
    learning, CVPR 2018, https://arxiv.org/abs/1711.06025. What it learned of comparing holds for
    the kind of pictures it was trained on.
    """

    name = "relation"
    title = "Relation network"

    def logits(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """See :class:`FeedForward`."""
        return self._compared(queries, support.membership.T @ support.embeddings)

    def scores(self, logits: Tensor) -> Tensor:
        """The published relation score, 0 to 1."""
        return logits.sigmoid()

    def evidence(self, queries: Tensor, support: SupportBatch) -> Tensor:
        """The relation score of each picture, as if it were its class alone."""
        return self._compared(queries, support.embeddings).sigmoid()

    def _compared(self, queries: Tensor, rows: Tensor) -> Tensor:
        """``g`` of ``(e, q, d)`` and ``(e, m, d)``: ``(e, q, m)``, a part at a time."""
        head = self.encoder.relation_head()
        if queries.device.type != "cpu":  # the encoder's own stays where it is
            head = copy.deepcopy(head).to(queries.device)
        tasks_at_once = max(1, PAIRS_AT_ONCE // (queries.shape[1] * rows.shape[1]))
        queries_at_once = max(1, PAIRS_AT_ONCE // rows.shape[1])
        parts = []
        for q, p in zip(queries.split(tasks_at_once), rows.split(tasks_at_once), strict=True):
            of_queries = q.split(queries_at_once, dim=1)
            parts.append(torch.cat([head(x.unsqueeze(2), p.unsqueeze(1)) for x in of_queries], 1))
        return torch.cat(parts)
