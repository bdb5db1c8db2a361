"""A bounded cache of arrays keyed by content, safe to share between threads and visitors."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import numpy as np


class ContentCache:
    """Arrays by key; the least recently used go first when there are too many bytes.

    Keys are hashes of content, so a cache tells nobody whose content it was.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._rows: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._rows

    def get(
        self, keys: Sequence[Hashable], compute: Callable[[list[int]], Sequence[np.ndarray]]
    ) -> list[np.ndarray]:
        """The arrays of some keys, computing those that are missing, each once.

        Args:
            keys: may repeat.
            compute: given the positions in ``keys`` to compute, returns their arrays.
        """
        with self._lock:
            known = {key: self._rows[key] for key in keys if key in self._rows}
        missing = {key: i for i, key in reversed(list(enumerate(keys))) if key not in known}
        positions = sorted(missing.values())
        if positions:
            # Outside the lock: two visitors may compute the same row, nobody waits for the other.
            for position, row in zip(positions, compute(positions), strict=True):
                known[keys[position]] = row
        with self._lock:
            for key in keys:
                self._keep(key, known[key])
        return [known[key] for key in keys]

    def _keep(self, key: Hashable, row: np.ndarray) -> None:
        if key not in self._rows:
            self._rows[key] = row
            self._bytes += row.nbytes
        self._rows.move_to_end(key)
        while self._bytes > self._max_bytes and len(self._rows) > 1:
            _, dropped = self._rows.popitem(last=False)
            self._bytes -= dropped.nbytes
