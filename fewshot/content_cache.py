"""A bounded cache of what is keyed by content, safe to share between threads and visitors."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter
from typing import Any


class ContentCache:
    """Arrays by key; the least recently used go first when there are too many bytes.

    Keys are hashes of content, so a cache tells nobody whose content it was.

    Args:
        max_bytes: of all.
        size: bytes of one; for what is no array itself, but holds some.
    """

    def __init__(self, max_bytes: int, size: Callable[[Any], int] = attrgetter("nbytes")) -> None:
        self._max_bytes = max_bytes
        self._size = size
        self._bytes = 0
        self._rows: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._rows

    def get(
        self, keys: Sequence[Hashable], compute: Callable[[list[int]], Sequence[Any]]
    ) -> list[Any]:
        """The arrays of some keys, computing those that are missing, each once.

        Args:
            keys: may repeat.
            compute: given the positions in ``keys`` to compute, returns their arrays.
        """
        with self._lock:
            known = {key: self._rows[key] for key in keys if key in self._rows}
        missing: dict[Hashable, int] = {}
        for position, key in enumerate(keys):
            if key not in known:
                missing.setdefault(key, position)
        positions = list(missing.values())
        if positions:
            # Outside the lock: two visitors may compute the same row, nobody waits for the other.
            for position, row in zip(positions, compute(positions), strict=True):
                known[keys[position]] = row
        with self._lock:
            for key in keys:
                self._keep(key, known[key])
        return [known[key] for key in keys]

    def find(self, key: Hashable) -> Any:
        """What is kept under a key, or None."""
        with self._lock:
            if key in self._rows:
                self._rows.move_to_end(key)
            return self._rows.get(key)

    def keep(self, key: Hashable, row: Any) -> None:
        """Keep what was computed elsewhere."""
        with self._lock:
            self._keep(key, row)

    def _keep(self, key: Hashable, row: Any) -> None:
        if key not in self._rows:
            self._rows[key] = row
            self._bytes += self._size(row)
        self._rows.move_to_end(key)
        while self._bytes > self._max_bytes and len(self._rows) > 1:
            _, dropped = self._rows.popitem(last=False)
            self._bytes -= self._size(dropped)
