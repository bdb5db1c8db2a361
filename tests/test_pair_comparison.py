"""Comparing pairs in parts: the same numbers as one pair at a time, and never too many at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fewshot.encoders.pair_head import PairHead
from fewshot.encoders.relation_head import RelationHead
from fewshot.methods import pair_comparison
from fewshot.methods.pair_comparison import compared

DIM, TASKS, QUERIES, ROWS = 24, 3, 7, 5


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("head", [PairHead(DIM), RelationHead(DIM)], ids=["pair", "relation"])
# One pair at a time, some queries of a task, one task, two of them, and all.
@pytest.mark.parametrize("at_once", [1, 3 * ROWS, QUERIES * ROWS, 2 * QUERIES * ROWS, 10_000])
def test_every_query_is_compared_with_every_row(
    head: torch.nn.Module, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_comparison, "PAIRS_AT_ONCE", at_once)
    queries, rows = normal(TASKS, QUERIES, DIM, seed=1), normal(TASKS, ROWS, DIM, seed=2)
    sizes: list[int] = []
    hook = head.register_forward_hook(lambda _, given, out: sizes.append(out.numel()))
    with torch.no_grad():
        found = compared(head, queries, rows)
        hook.remove()
        by_hand = [[[head(q, x) for x in task] for q in queries[t]] for t, task in enumerate(rows)]
    torch.testing.assert_close(found, torch.tensor(by_hand), atol=1e-6, rtol=1e-5)
    assert max(sizes) <= max(at_once, ROWS)  # a query meets all its rows together


def test_longer_embeddings_are_compared_fewer_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_comparison, "PAIRS_AT_ONCE", 20)
    head = PairHead(2048)
    sizes: list[int] = []
    head.register_forward_hook(lambda _, given, out: sizes.append(out.numel()))
    with torch.no_grad():
        compared(head, normal(1, 6, 2048, seed=1), normal(1, 5, 2048, seed=2))
    assert sizes == [5] * 6  # 20 × 512 / 2048 pairs
