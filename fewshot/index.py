"""The support index: nearest support pictures by cosine similarity, through FAISS.

Douze et al.: The Faiss library, 2024, https://arxiv.org/abs/2401.08281.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import faiss
import numpy as np

from fewshot.atomic_write import write_atomically
from fewshot.metrics import normalise
from fewshot.types import InputError, Support

INDEX_FILE, ENTRIES_FILE = "index.faiss", "entries.json"


@dataclass(frozen=True)
class Entry:
    """One picture of the index: its file name and class."""

    file: str
    label: str


class SupportIndex:
    """One encoder's support embeddings, searched exactly at any size.

    Pictures are known by the ids :meth:`add` gives; an id is never used twice.
    """

    def __init__(self, dim: int, encoder_digest: str) -> None:
        """An empty index.

        Args:
            dim: length of the embeddings.
            encoder_digest: the encoder they come from; queries of another are refused.
        """
        self.encoder_digest = encoder_digest
        self.entries: dict[int, Entry] = {}
        self._next_id = 0
        # A flat index compares with every vector: for as many pictures as a person
        # can show, and twenty times that, that is milliseconds, and the answer is exact.
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def dim(self) -> int:
        """Length of the embeddings."""
        return self._index.d

    def add(self, embeddings: np.ndarray, entries: Sequence[Entry]) -> np.ndarray:
        """Add pictures; those already there are not touched.

        Args:
            embeddings: ``(n, dim)`` float32, scaled to unit length here.
            entries: ``n`` of them.

        Returns:
            ``(n,)`` int64 ids.

        Raises:
            ValueError: shapes do not fit.
        """
        if embeddings.shape != (len(entries), self.dim):
            raise ValueError(
                f"embeddings of shape {embeddings.shape} for {len(entries)} entries of "
                f"dimension {self.dim}"
            )
        ids = np.arange(self._next_id, self._next_id + len(entries), dtype=np.int64)
        self._index.add_with_ids(_rows(embeddings), ids)
        self.entries.update(zip(ids.tolist(), entries, strict=True))
        self._next_id += len(entries)
        return ids

    def remove(self, ids: Sequence[int]) -> None:
        """Remove pictures by id.

        Raises:
            KeyError: an id is not in the index; nothing is removed then.
        """
        unknown = [int(i) for i in ids if int(i) not in self.entries]
        if unknown:
            raise KeyError(f"no picture with the id {unknown[0]}")
        self._index.remove_ids(np.asarray(ids, dtype=np.int64))
        for i in {int(i) for i in ids}:
            del self.entries[i]

    def search(
        self, queries: np.ndarray, k: int, encoder_digest: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ``k`` nearest pictures of each query, or all when there are fewer.

        Args:
            queries: ``(q, dim)`` float32, scaled to unit length here.
            k: how many.
            encoder_digest: the encoder the queries come from.

        Returns:
            Ids ``(q, k)`` int64 and cosine similarities ``(q, k)`` float32, nearest first.

        Raises:
            ValueError: the queries are of another encoder or dimension.
        """
        if encoder_digest != self.encoder_digest:
            raise ValueError(
                f"queries embedded by {encoder_digest} cannot be compared with an index of "
                f"{self.encoder_digest}"
            )
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise ValueError(f"queries of shape {queries.shape} for dimension {self.dim}")
        k = min(k, len(self))
        if k == 0:  # FAISS takes no 0
            return np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32)
        similarities, ids = self._index.search(_rows(queries), k)
        return ids, similarities

    def save(self, folder: Path) -> None:
        """Write FAISS's file and the entries into a folder, each atomically."""
        facts = {
            "encoder_digest": self.encoder_digest,
            "next_id": self._next_id,
            "entries": {str(i): asdict(entry) for i, entry in self.entries.items()},
        }
        write_atomically(folder / INDEX_FILE, faiss.serialize_index(self._index).tobytes())
        write_atomically(folder / ENTRIES_FILE, json.dumps(facts, ensure_ascii=False).encode())

    @classmethod
    def load(cls, folder: Path) -> SupportIndex:
        """Read what :meth:`save` wrote on this machine.

        FAISS's format is not meant for files of strangers, so no page or endpoint offers this.

        Raises:
            InputError: the folder holds no index.
        """
        try:
            facts = json.loads((folder / ENTRIES_FILE).read_text("utf-8"))
            stored = np.frombuffer((folder / INDEX_FILE).read_bytes(), dtype=np.uint8)
            index = faiss.deserialize_index(stored)
            loaded = cls(index.d, facts["encoder_digest"])
            loaded._index = index
            loaded._next_id = int(facts["next_id"])
            loaded.entries = {int(i): Entry(**entry) for i, entry in facts["entries"].items()}
        # A file of another kind fails at any of these steps, and FAISS raises all sorts.
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{folder} holds no support index ({reason}).") from error
        if type(index) is not faiss.IndexIDMap2 or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise InputError(f"{folder} holds a FAISS index of another kind.")
        ids = set(faiss.vector_to_array(index.id_map).tolist())
        if ids != set(loaded.entries) or loaded._next_id <= max(ids, default=-1):
            raise InputError(f"{folder} names {len(loaded.entries)} other pictures than it holds.")
        return loaded


def build_index(support: Support, space: str) -> SupportIndex:
    """The index of a support set, whose ids are the positions in it.

    Args:
        support: its pictures go by their file names, or where it has none by their positions.
        space: digest of what its embeddings come from.
    """
    index = SupportIndex(support.embeddings.shape[1], space)
    files = support.files or tuple(map(str, range(len(support.labels))))
    labels = [support.classes[label] for label in support.labels]
    index.add(support.embeddings, [Entry(f, c) for f, c in zip(files, labels, strict=True)])
    return index


def _rows(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(normalise(x), dtype=np.float32)
