"""Each picture is embedded once per encoder: a bounded cache keyed by content."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.encoders.base import Encoder
from fewshot.types import Picture

MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Embedded:
    """Rows of a cache, as asked for.

    Attributes:
        embeddings: ``(n, d)``, or ``(n, v, d)`` of views, float32.
        milliseconds: ``(n,)`` what embedding each picture took when it was embedded, as its share
            of the batch; so a cached answer still tells what the work costs.
    """

    embeddings: np.ndarray
    milliseconds: np.ndarray


class EmbeddingCache:
    """Embeddings by encoder, picture content and number of views; the least recently used go.

    Holds embeddings and hashes only, nothing of whose pictures they are, so that visitors may
    share it.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._rows: OrderedDict[tuple, tuple[np.ndarray, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def embed(self, encoder: Encoder, pictures: Sequence[Picture], n_views: int = 0) -> Embedded:
        """Embed pictures (or views of them), computing only what is not cached.

        Args:
            encoder: what to embed with.
            pictures: at least one.
            n_views: 0 for the pictures themselves, else how many views of each.
        """
        keys = [(encoder.digest, n_views, picture.digest) for picture in pictures]
        with self._lock:
            rows = {key: self._rows[key] for key in keys if key in self._rows}
        missing = {k: p for k, p in zip(keys, pictures, strict=True) if k not in rows}
        if missing:
            rows |= _computed(encoder, missing, n_views)
        with self._lock:
            for key in keys:
                self._keep(key, rows[key])
        return Embedded(
            np.stack([rows[key][0] for key in keys]), np.array([rows[key][1] for key in keys])
        )

    def _keep(self, key: tuple, row: tuple[np.ndarray, float]) -> None:
        if key not in self._rows:
            self._rows[key] = row
            self._bytes += row[0].nbytes
        self._rows.move_to_end(key)
        while self._bytes > self._max_bytes and len(self._rows) > 1:
            _, (dropped, _) = self._rows.popitem(last=False)
            self._bytes -= dropped.nbytes


def _computed(
    encoder: Encoder, pictures: dict[tuple, Picture], n_views: int
) -> dict[tuple, tuple[np.ndarray, float]]:
    began = time.perf_counter()
    todo = list(pictures.values())
    x = encoder.embed_views(todo, n_views) if n_views else encoder.embed(todo)
    share = (time.perf_counter() - began) * 1000 / len(todo)
    return {key: (row.copy(), share) for key, row in zip(pictures, x, strict=True)}
