"""The support index against brute force in numpy, through changes, files and broken files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fewshot.index import ENTRIES_FILE, INDEX_FILE, Entry, SupportIndex
from fewshot.types import InputError

DIM, DIGEST = 6, "encoder-1"


def vectors(count: int, seed: int = 0) -> np.ndarray:
    """Rows of very different lengths, which cosine similarity must not see."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-2, 2, (count, 1))
    return (rng.normal(size=(count, DIM)) * scale).astype(np.float32)


def entries(count: int, start: int = 0) -> list[Entry]:
    return [Entry(f"{i}.png", f"class {i % 3}") for i in range(start, start + count)]


class Mirror:
    """An index, and beside it what it should hold as a plain dict."""

    def __init__(self) -> None:
        self.index = SupportIndex(DIM, DIGEST)
        self.held: dict[int, tuple[np.ndarray, Entry]] = {}
        self.given: list[int] = []

    def add(self, x: np.ndarray) -> list[int]:
        new = entries(len(x), len(self.given))
        ids = self.index.add(x, new).tolist()
        assert not set(ids) & set(self.given), "an id was used twice"
        self.given += ids
        self.held |= {i: (row, entry) for i, row, entry in zip(ids, x, new, strict=True)}
        return ids

    def remove(self, ids: list[int]) -> None:
        self.index.remove(ids)
        for i in ids:
            del self.held[i]

    def check(self, k: int = 4) -> None:
        check(self.index, self.held, k)


def check(index: SupportIndex, held: dict[int, tuple[np.ndarray, Entry]], k: int = 4) -> None:
    """Compare with brute force over ``held``."""
    assert len(index) == len(held)
    assert index.entries == {i: entry for i, (_, entry) in held.items()}
    queries = vectors(9, seed=99)
    ids, similarities = index.search(queries, k, DIGEST)
    assert ids.shape == similarities.shape == (9, min(k, len(held)))
    known = np.array(sorted(held))
    rows = np.array([held[i][0] for i in known.tolist()], np.float64)
    rows /= np.sqrt((rows**2).sum(1, keepdims=True))
    for query, own_ids, own_similarities in zip(
        queries.astype(float), ids, similarities, strict=True
    ):
        cosine = rows @ query / np.sqrt((query**2).sum())
        nearest = np.argsort(-cosine)[:k]
        assert own_ids.tolist() == known[nearest].tolist()
        np.testing.assert_allclose(own_similarities, cosine[nearest], atol=1e-6)


def test_search_equals_brute_force() -> None:
    mirror = Mirror()
    mirror.add(vectors(200))
    for k in (1, 7, 200, 500):
        mirror.check(k)
    ids, similarities = mirror.index.search(vectors(2), 3, DIGEST)
    assert (ids.dtype, similarities.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_search_equals_brute_force_after_any_changes(seed: int) -> None:
    rng, mirror = np.random.default_rng(seed), Mirror()
    mirror.add(vectors(5, seed))
    for turn in range(25):
        if rng.random() < 0.5 or len(mirror.held) < 4:
            mirror.add(vectors(int(rng.integers(1, 6)), 1000 * seed + turn))
        else:
            count = int(rng.integers(1, 4))
            mirror.remove(rng.permutation(list(mirror.held))[:count].tolist())
        mirror.check()


@pytest.mark.parametrize("removed", [[0], [9], [0, 9], [4, 3], list(range(9)), [9, 0, 5]])
def test_removing_first_last_and_nearly_all(removed: list[int]) -> None:
    mirror = Mirror()
    mirror.add(vectors(10))
    mirror.remove(removed)
    mirror.check()
    mirror.add(vectors(3, seed=5))
    mirror.check()


def test_ids_are_never_used_twice_even_when_all_are_gone() -> None:
    mirror = Mirror()
    first = mirror.add(vectors(3))
    mirror.remove(first)
    assert len(mirror.index) == 0
    assert not set(mirror.add(vectors(3))) & set(first)
    mirror.check()


def test_adding_none_and_asking_none() -> None:
    mirror = Mirror()
    mirror.add(vectors(3))
    assert mirror.index.add(np.zeros((0, DIM), np.float32), []).tolist() == []
    mirror.index.remove([])
    mirror.check()
    ids, similarities = mirror.index.search(np.zeros((0, DIM), np.float32), 2, DIGEST)
    assert ids.shape == similarities.shape == (0, 2)


@pytest.mark.parametrize("emptied", [False, True])
def test_an_empty_index_has_no_neighbours(emptied: bool) -> None:
    index = SupportIndex(DIM, DIGEST)
    if emptied:
        index.remove(index.add(vectors(2), entries(2)))
    ids, similarities = index.search(vectors(3), 5, DIGEST)
    assert ids.shape == similarities.shape == (3, 0)


def test_a_zero_vector_is_like_nothing() -> None:
    index = SupportIndex(DIM, DIGEST)
    index.add(vectors(4), entries(4))
    _, similarities = index.search(np.zeros((1, DIM), np.float32), 4, DIGEST)
    assert similarities.tolist() == [[0, 0, 0, 0]]


def test_what_was_added_is_not_changed() -> None:
    x, index = vectors(4), SupportIndex(DIM, DIGEST)
    index.add(x, entries(4))
    np.testing.assert_array_equal(x, vectors(4))


def test_queries_of_another_encoder_are_refused() -> None:
    index = SupportIndex(DIM, DIGEST)
    index.add(vectors(4), entries(4))
    with pytest.raises(ValueError, match=r"encoder-2.*encoder-1"):
        index.search(vectors(1), 2, "encoder-2")


def test_other_shapes_are_refused() -> None:
    index = SupportIndex(DIM, DIGEST)
    with pytest.raises(ValueError, match="2 entries"):
        index.add(vectors(3), entries(2))
    with pytest.raises(ValueError, match="dimension 6"):
        index.add(vectors(3)[:, :5], entries(3))
    index.add(vectors(3), entries(3))
    for queries in (vectors(1)[:, :5], vectors(1)[0]):
        with pytest.raises(ValueError, match="dimension 6"):
            index.search(queries, 1, DIGEST)


def test_removing_an_unknown_id_removes_nothing() -> None:
    mirror = Mirror()
    mirror.add(vectors(4))
    with pytest.raises(KeyError, match="17"):
        mirror.index.remove([1, 17])
    mirror.check()


def test_an_id_named_twice_is_removed_once() -> None:
    mirror = Mirror()
    mirror.add(vectors(4))
    mirror.index.remove([1, 1])
    del mirror.held[1]
    mirror.check()


# Files


def saved(folder: Path) -> Mirror:
    mirror = Mirror()
    mirror.add(vectors(10))
    mirror.remove([3, 9])
    mirror.index.save(folder)
    return mirror


def test_save_and_load(tmp_path: Path) -> None:
    mirror = saved(tmp_path / "new" / "folder")
    loaded = SupportIndex.load(tmp_path / "new" / "folder")
    assert (loaded.dim, loaded.encoder_digest) == (DIM, DIGEST)
    check(loaded, mirror.held)
    # It goes on where the saved one was: the highest id was removed and stays spent.
    mirror.index = loaded
    mirror.add(vectors(3, seed=4))
    mirror.remove([0])
    mirror.check()
    mirror.index.save(tmp_path / "new" / "folder")
    check(SupportIndex.load(tmp_path / "new" / "folder"), mirror.held)
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {
        INDEX_FILE,
        ENTRIES_FILE,
    }


def test_names_in_any_script_survive(tmp_path: Path) -> None:
    index = SupportIndex(DIM, DIGEST)
    names = [Entry("猫 “1”.png", "кошка"), Entry("a\nb.png", "é")]
    index.add(vectors(2), names)
    index.save(tmp_path)
    assert list(SupportIndex.load(tmp_path).entries.values()) == names


def test_an_empty_index_survives(tmp_path: Path) -> None:
    SupportIndex(DIM, DIGEST).save(tmp_path)
    loaded = SupportIndex.load(tmp_path)
    assert (len(loaded), loaded.dim) == (0, DIM)
    assert loaded.add(vectors(1), entries(1)).tolist() == [0]


@pytest.mark.parametrize("missing", [INDEX_FILE, ENTRIES_FILE])
def test_a_missing_file_is_told(tmp_path: Path, missing: str) -> None:
    saved(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match="no support index"):
        SupportIndex.load(tmp_path)


BROKEN = {
    "empty": lambda facts: "",
    "cut": lambda facts: json.dumps(facts)[:60],
    "list": lambda facts: "[]",
    "number": lambda facts: "3",
    "nothing": lambda facts: "null",
    "no facts": lambda facts: "{}",
    "next_id missing": lambda facts: json.dumps({k: facts[k] for k in facts if k != "next_id"}),
    "next_id no number": lambda facts: json.dumps({**facts, "next_id": "x"}),
    "next_id in use": lambda facts: json.dumps({**facts, "next_id": 0}),
    "next_id the last in use": lambda facts: json.dumps(
        {**facts, "next_id": max(map(int, facts["entries"]))}
    ),
    "entries a list": lambda facts: json.dumps({**facts, "entries": []}),
    "ids no numbers": lambda facts: json.dumps({**facts, "entries": {"a": {}}}),
    "entry too few": lambda facts: json.dumps({**facts, "entries": {"0": facts["entries"]["0"]}}),
    "entry of another kind": lambda facts: json.dumps(
        {**facts, "entries": {i: {"name": "x"} for i in facts["entries"]}}
    ),
    "other ids": lambda facts: json.dumps(
        {**facts, "entries": {str(50 + int(i)): e for i, e in facts["entries"].items()}}
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_entries_are_told(tmp_path: Path, how: str) -> None:
    saved(tmp_path)
    facts = json.loads((tmp_path / ENTRIES_FILE).read_text("utf-8"))
    (tmp_path / ENTRIES_FILE).write_text(BROKEN[how](facts), "utf-8")
    with pytest.raises(InputError):
        SupportIndex.load(tmp_path)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / ENTRIES_FILE).write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(InputError):
        SupportIndex.load(tmp_path)


# In a process of its own: a fault inside FAISS would end this one.
BREAK_INDEX = """
import sys
from pathlib import Path
import faiss
import numpy as np
from fewshot.index import INDEX_FILE, SupportIndex
from fewshot.types import InputError

folder = Path(sys.argv[1])
whole = (folder / INDEX_FILE).read_bytes()
rng = np.random.default_rng(0)
flat = faiss.IndexFlatIP(6)
flat.add(np.ones((8, 6), np.float32))
euclidean = faiss.IndexIDMap2(faiss.IndexFlatL2(6))
euclidean.add_with_ids(np.ones((8, 6), np.float32), np.array([0, 1, 2, 4, 5, 6, 7, 8]))
broken = {f"cut to {n}": whole[:n] for n in range(len(whole))}
broken |= {f"{n} random bytes": rng.bytes(n) for n in (1, 3, 4, 8, 50, 300, 5000)}
broken |= {"zeros": bytes(500), "ones": b"\\xff" * 500}
broken |= {"right start": whole[:30] + rng.bytes(300)}
broken |= {"no ids": faiss.serialize_index(flat).tobytes()}
broken |= {"other measure": faiss.serialize_index(euclidean).tobytes()}
for name, data in broken.items():
    (folder / INDEX_FILE).write_bytes(data)
    try:
        SupportIndex.load(folder)
    except InputError:
        continue
    except Exception as error:
        print(name, repr(error))
        continue
    print(name, "was loaded")
print("end", len(broken))
"""


def test_broken_faiss_files_are_told_and_crash_nothing(tmp_path: Path) -> None:
    saved(tmp_path)
    size = (tmp_path / INDEX_FILE).stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", BREAK_INDEX, str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == [f"end {size + 12}"], done.stdout + done.stderr
    assert done.returncode == 0
