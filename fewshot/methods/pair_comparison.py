"""A learned comparison of every query with every row, a bounded number of pairs at a time."""

from __future__ import annotations

import copy

from torch import Tensor, nn

# Pairs compared at a time: at 512 dimensions, 64 MB of differences.
PAIRS_AT_ONCE = 32_768
AT_DIMENSIONS = 512


def compared(head: nn.Module, queries: Tensor, rows: Tensor) -> Tensor:
    """What a head says of each pair within each task.

    Args:
        head: takes ``(…, d)`` twice and gives ``(…)``; it stays where it is.
        queries: ``(e, q, d)`` of ``e`` tasks.
        rows: ``(e, m, d)``.

    Returns:
        ``(e, q, m)``.
    """
    if queries.device.type != "cpu":  # an encoder's own head stays on the CPU
        head = copy.deepcopy(head).to(queries.device)
    at_once = PAIRS_AT_ONCE * AT_DIMENSIONS // max(AT_DIMENSIONS, queries.shape[2])
    tasks_at_once = max(1, at_once // (queries.shape[1] * rows.shape[1]))
    queries_at_once = max(1, at_once // rows.shape[1])
    # Made once and filled in: small results kept between large differences scatter the heap, which
    # then grew to 4 GB.
    found = queries.new_empty(len(queries), queries.shape[1], rows.shape[1])
    for task in range(0, len(queries), tasks_at_once):
        tasks = slice(task, task + tasks_at_once)
        for query in range(0, queries.shape[1], queries_at_once):
            some = slice(query, query + queries_at_once)
            found[tasks, some] = head(queries[tasks, some].unsqueeze(2), rows[tasks].unsqueeze(1))
    return found
