"""Each picture is embedded once per encoder: a cache keyed by picture content and encoder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.content_cache import ContentCache
from fewshot.encoders.base import Encoder
from fewshot.types import Picture

MAX_BYTES = 256 * 2**20
AT_ONCE = 32  # pictures embedded without a pause


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
    """Embeddings by encoder, picture content and number of views; the least recently used go."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._rows = ContentCache(max_bytes)

    def __len__(self) -> int:
        return len(self._rows)

    def embed(self, encoder: Encoder, pictures: Sequence[Picture], n_views: int = 0) -> Embedded:
        """Embed pictures (or views of them), computing only what is not cached.

        Args:
            encoder: what to embed with.
            pictures: at least one.
            n_views: 0 for the pictures themselves, else how many views of each.
        """

        def compute(positions: list[int]) -> list[np.ndarray]:
            began = time.perf_counter()
            todo = [pictures[i] for i in positions]
            x = encoder.embed_views(todo, n_views) if n_views else encoder.embed(todo)
            share = np.float32((time.perf_counter() - began) * 1000 / len(todo))
            # The time is kept as one more number behind the embedding, so that they go together.
            return [np.append(row.ravel(), share) for row in x]

        keys = _keys(encoder, pictures, n_views)
        rows = np.stack(self._rows.get(keys, compute))
        shape = (len(pictures), n_views, encoder.dim) if n_views else (len(pictures), encoder.dim)
        return Embedded(rows[:, :-1].reshape(shape), rows[:, -1])

    def embedding(
        self, encoder: Encoder, pictures: Sequence[Picture], n_views: int = 0
    ) -> Iterator[float]:
        """Embed what is not cached, pausing before each portion: the share of it that is done."""
        keys = _keys(encoder, pictures, n_views)
        missing = [p for p, key in zip(pictures, keys, strict=True) if key not in self._rows]
        for start in range(0, len(missing), AT_ONCE):
            yield start / len(missing)
            self.embed(encoder, missing[start : start + AT_ONCE], n_views)


def _keys(encoder: Encoder, pictures: Sequence[Picture], n_views: int) -> list[tuple]:
    return [(encoder.digest, n_views, picture.digest) for picture in pictures]
