"""A pool of pictures as embeddings, each picture embedded once per encoder."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Generator, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fewshot.atomic_write import write_atomically
from fewshot.data.cache import cache_folder, load_array, make_room
from fewshot.data.pool import Pool
from fewshot.device import best_device, precision_name
from fewshot.embedding_cache import EmbeddingCache
from fewshot.encoders.base import Encoder
from fewshot.episodes import EpisodeBatch, Episodes
from fewshot.methods.batch import SupportBatch
from fewshot.types import Picture

EMBEDDED_AT_ONCE = 512
# Every seed and protocol writes a table of its own; together they may take this much.
ON_DISK_BYTES = 4 * 2**30


class EmbeddedPool:
    """What episodes need of a pool, in the space of any encoder, on the device.

    Only pictures that some episode uses are embedded, and views are made only of those that are
    a support somewhere.
    """

    def __init__(
        self,
        pool: Pool,
        episodes: Sequence[Episodes],
        *,
        on_disk: bool = False,
        cache: EmbeddingCache | None = None,
        at_once: int = EMBEDDED_AT_ONCE,
    ) -> None:
        """Look through the episodes for the pictures they use.

        Args:
            pool: the pictures.
            episodes: sets of indices into it.
            on_disk: keep embeddings that took weights to make in the user's cache, by weights and
                pictures.
            cache: asked first for an embedding, and given what is made.
            at_once: pictures that are embedded without a pause.
        """
        self.pool = pool
        self._on_disk, self._cache, self._at_once = on_disk, cache, at_once
        shown, used = (np.zeros(len(pool.pictures), bool) for _ in range(2))
        for batch in (batch for drawn in episodes for batch in drawn.batches()):
            shown[batch.support] = True
            used[batch.queries] = True
        self._shown, self._used = np.flatnonzero(shown), np.flatnonzero(shown | used)
        self._rows: dict[tuple[str, int], Tensor] = {}

    def embed(self, encoder: Encoder, n_views: int) -> None:
        """Make the embeddings that :meth:`support` and :meth:`queries` give out."""
        for _ in self.embedding(encoder, n_views):
            pass

    def embedding(self, encoder: Encoder, n_views: int) -> Iterator[float]:
        """Do so with a pause before each portion, telling the share of it all that is done."""
        tables = [v for v in dict.fromkeys((0, n_views)) if (encoder.digest, v) not in self._rows]
        for number, views in enumerate(tables):
            wanted = self._shown if views else self._used
            made = yield from _as_part(self._made(encoder, views, wanted), number, len(tables))
            rows = np.zeros((len(self.pool.pictures), *made.shape[1:]), np.float32)
            rows[wanted] = made
            self._rows[encoder.digest, views] = torch.from_numpy(rows).to(best_device())

    def support(self, batch: EpisodeBatch, encoder: Encoder, n_views: int) -> SupportBatch:
        """The episodes' support sets."""
        x = _rows(self._embedded(encoder, 0), batch.support)
        views = _rows(self._embedded(encoder, n_views), batch.support) if n_views else None
        labels = torch.from_numpy(batch.support_labels).to(x.device)
        return SupportBatch(self.pool.classes, batch.classes, labels, x, views)

    def queries(self, batch: EpisodeBatch, encoder: Encoder) -> Tensor:
        """The episodes' queries: ``(e, q, d)``."""
        return _rows(self._embedded(encoder, 0), batch.queries)

    def _embedded(self, encoder: Encoder, n_views: int) -> Tensor:
        """``(n, d)`` or ``(n, v, d)`` for the whole pool; rows that nobody uses are zeros."""
        self.embed(encoder, n_views)
        return self._rows[encoder.digest, n_views]

    def _made(
        self, encoder: Encoder, n_views: int, wanted: np.ndarray
    ) -> Generator[float, None, np.ndarray]:
        """From the user's cache, or made now: ``(len(wanted), …)``."""
        if not self._on_disk or encoder.checkpoint is None:
            return (yield from self._make(encoder, n_views, wanted))
        device = best_device()
        made_by = f"{encoder.digest} {n_views} {device.type} {precision_name(device)}"
        content = hashlib.blake2b(made_by.encode(), digest_size=16)
        for i in wanted:
            content.update(self.pool.pictures[i].digest.encode())
        kept = cache_folder() / f"embeddings-{content.hexdigest()}.npy"
        if (found := load_array(kept)) is not None:
            return found
        made = yield from self._make(encoder, n_views, wanted)
        buffer = io.BytesIO()
        np.save(buffer, made)
        with contextlib.suppress(OSError):  # a full disk, or one to be read alone, costs time only
            make_room("embeddings-*.npy", len(buffer.getbuffer()), ON_DISK_BYTES)
            write_atomically(kept, buffer.getbuffer())
        return made

    def _make(
        self, encoder: Encoder, n_views: int, wanted: np.ndarray
    ) -> Generator[float, None, np.ndarray]:
        shape = (n_views, encoder.dim) if n_views else (encoder.dim,)
        rows = np.empty((len(wanted), *shape), np.float32)
        for start in range(0, len(wanted), self._at_once):
            yield start / len(wanted)
            pictures = [self.pool.pictures[i] for i in wanted[start : start + self._at_once]]
            rows[start : start + len(pictures)] = self._portion(encoder, n_views, pictures)
        return rows

    def _portion(self, encoder: Encoder, n_views: int, pictures: list[Picture]) -> np.ndarray:
        if self._cache is not None:
            return self._cache.embed(encoder, pictures, n_views).embeddings
        return encoder.embed_views(pictures, n_views) if n_views else encoder.embed(pictures)


def _as_part(
    making: Generator[float, None, np.ndarray], number: int, of: int
) -> Generator[float, None, np.ndarray]:
    """What a part makes, its shares told as those of the whole, in which it has a number."""
    while True:
        try:
            share = next(making)
        except StopIteration as end:
            return end.value
        yield (number + share) / of


def _rows(table: Tensor, chosen: np.ndarray) -> Tensor:
    """``table[chosen]``, by the operation that copies whole rows, which is faster."""
    indices = torch.from_numpy(chosen).flatten().to(table.device)
    return table.index_select(0, indices).unflatten(0, chosen.shape)
