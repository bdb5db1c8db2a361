"""Each picture is embedded once; the cache stays within its bytes and forgets the oldest."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fewshot.embedding_cache import EmbeddingCache
from fewshot.types import Picture

DIM = 8
ROW = 4 * (DIM + 1)  # bytes of one float32 embedding and what it took


class CountingEncoder:
    """Embeds a picture of one grey value as that value and its digest, and counts."""

    dim = DIM

    def __init__(self, digest: str = "one") -> None:
        self.digest = digest
        self.seen: list[int] = []
        self.calls = 0

    def embed(self, pictures: list[Picture]) -> np.ndarray:
        self.calls += 1
        values = [int(picture.pixels[0, 0, 0]) for picture in pictures]
        self.seen += values
        return np.array([expected(value, self.digest) for value in values])

    def embed_views(self, pictures: list[Picture], n_views: int) -> np.ndarray:
        single = self.embed(pictures)
        return np.stack([single + 1000 * (view + 1) for view in range(n_views)], 1)


def expected(value: int, digest: str = "one") -> np.ndarray:
    return np.arange(DIM, dtype=np.float32) + 10 * value + 0.5 * len(digest)


def picture(value: int, name: str = "") -> Picture:
    return Picture(name or f"{value}.png", np.full((2, 3, 3), value, np.uint8))


def ask(cache: EmbeddingCache, encoder: CountingEncoder, *values: int, n_views: int = 0):
    """What had to be computed for these pictures; checks that the answer is right."""
    already = len(encoder.seen)
    rows = cache.embed(encoder, [picture(value) for value in values], n_views).embeddings
    for row, value in zip(rows, values, strict=True):
        single = expected(value, encoder.digest)
        views = [single + 1000 * (view + 1) for view in range(n_views)]
        np.testing.assert_array_equal(row, np.stack(views) if n_views else single)
    return encoder.seen[already:]


def test_each_picture_is_embedded_once() -> None:
    cache, encoder = EmbeddingCache(), CountingEncoder()
    assert ask(cache, encoder, 1, 2, 3) == [1, 2, 3]
    assert ask(cache, encoder, 3, 1) == []
    assert ask(cache, encoder, 4, 2, 5, 1) == [4, 5]
    assert encoder.calls == 2  # what is missing goes through in one batch
    assert len(cache) == 5


def test_duplicates_in_one_request_are_embedded_once() -> None:
    cache, encoder = EmbeddingCache(), CountingEncoder()
    assert ask(cache, encoder, 7, 7, 2, 7) == [7, 2]
    assert len(cache) == 2


def test_content_counts_and_the_name_does_not() -> None:
    cache, encoder = EmbeddingCache(), CountingEncoder()
    cache.embed(encoder, [picture(1, "a.png"), picture(1, "b.png")])
    assert encoder.seen == [1]
    # The same bytes in another shape are another picture.
    pixels = np.full((3, 2, 3), 1, np.uint8)
    cache.embed(encoder, [Picture("a.png", pixels)])
    assert encoder.seen == [1, 1]


def test_encoders_are_kept_apart() -> None:
    cache, one, other = EmbeddingCache(), CountingEncoder("one"), CountingEncoder("another")
    assert ask(cache, one, 1, 2) == [1, 2]
    assert ask(cache, other, 1, 2) == [1, 2]
    assert ask(cache, CountingEncoder("one"), 1, 2) == []  # known by digest, not by object


def test_views_are_kept_apart_from_pictures_and_by_number() -> None:
    cache, encoder = EmbeddingCache(), CountingEncoder()
    assert ask(cache, encoder, 1, 2) == [1, 2]
    assert ask(cache, encoder, 1, 2, n_views=3) == [1, 2]
    assert ask(cache, encoder, 1, n_views=2) == [1]
    assert ask(cache, encoder, 2, 1, n_views=3) == []
    assert ask(cache, encoder, 2, 1) == []
    assert len(cache) == 5


def test_the_least_recently_used_go_first() -> None:
    cache, encoder = EmbeddingCache(max_bytes=3 * ROW), CountingEncoder()
    ask(cache, encoder, 1, 2, 3)
    assert ask(cache, encoder, 1) == []  # 2 is now the oldest
    assert ask(cache, encoder, 4) == [4]
    assert ask(cache, encoder, 1) == []
    assert ask(cache, encoder, 3, 4) == []
    assert ask(cache, encoder, 2) == [2]  # which drops 1
    assert ask(cache, encoder, 3, 4) == []
    assert ask(cache, encoder, 1) == [1]


@pytest.mark.parametrize("rows", [1, 3, 10])
def test_it_never_holds_more_than_its_bytes(rows: int) -> None:
    cache, encoder = EmbeddingCache(max_bytes=rows * ROW + ROW - 1), CountingEncoder()
    rng = np.random.default_rng(0)
    for _ in range(50):
        ask(cache, encoder, *rng.integers(20, size=rng.integers(1, 6)).tolist())
        assert len(cache) <= rows
    assert len(cache) == rows


def test_views_count_with_all_their_bytes() -> None:
    cache, encoder = EmbeddingCache(max_bytes=2 * 4 * (4 * DIM + 1)), CountingEncoder()
    ask(cache, encoder, 1, 2, n_views=4)
    assert len(cache) == 2
    ask(cache, encoder, 3)  # one row more than fits
    assert len(cache) == 2
    assert ask(cache, encoder, 2, n_views=4) == []
    assert ask(cache, encoder, 1, n_views=4) == [1]


def test_a_request_larger_than_the_cache_is_answered_whole() -> None:
    cache, encoder = EmbeddingCache(max_bytes=2 * ROW), CountingEncoder()
    assert ask(cache, encoder, *range(10)) == list(range(10))
    assert len(cache) == 2
    assert ask(cache, encoder, 9, 8) == []
    assert ask(cache, encoder, 9, 0, 8) == [0]  # 9 and 8 are held while 0 is computed


def test_changing_an_answer_does_not_change_the_cache() -> None:
    cache, encoder = EmbeddingCache(), CountingEncoder()
    pictures = [picture(1), picture(2)]
    cache.embed(encoder, pictures).embeddings[:] = -1
    cache.embed(encoder, pictures).milliseconds[:] = -1
    assert ask(cache, encoder, 1, 2) == []
    assert (cache.embed(encoder, pictures).milliseconds >= 0).all()


def test_milliseconds_are_those_of_the_first_time(monkeypatch) -> None:
    times = iter([1.0, 1.3, 2.0, 2.1])
    monkeypatch.setattr("fewshot.embedding_cache.time.perf_counter", lambda: next(times))
    cache, encoder = EmbeddingCache(), CountingEncoder()
    # 300 ms for three pictures, then 100 ms for one.
    first = cache.embed(encoder, [picture(v) for v in (1, 2, 3)])
    np.testing.assert_allclose(first.milliseconds, [100, 100, 100], rtol=1e-6)
    second = cache.embed(encoder, [picture(v) for v in (4, 3, 4)])
    np.testing.assert_allclose(second.milliseconds, [100, 100, 100], rtol=1e-6)
    times = iter([])
    third = cache.embed(encoder, [picture(1), picture(4)])
    np.testing.assert_allclose(third.milliseconds, [100, 100], rtol=1e-6)


def test_a_failing_encoder_leaves_the_cache_as_it_was() -> None:
    cache, encoder = EmbeddingCache(), CountingEncoder()
    ask(cache, encoder, 1)

    class Failing(CountingEncoder):
        def embed(self, pictures: list[Picture]) -> np.ndarray:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        cache.embed(Failing(), [picture(1), picture(2)])
    assert len(cache) == 1
    assert ask(cache, encoder, 2, 1) == [2]


def test_many_visitors_at_once() -> None:
    cache = EmbeddingCache(max_bytes=5 * ROW)
    failures: list[BaseException] = []

    def visit(seed: int) -> None:
        rng, encoder = np.random.default_rng(seed), CountingEncoder("ab"[seed % 2])
        try:
            for _ in range(150):
                values = rng.integers(12, size=rng.integers(1, 8)).tolist()
                rows = cache.embed(encoder, [picture(v) for v in values]).embeddings
                for row, value in zip(rows, values, strict=True):
                    np.testing.assert_array_equal(row, expected(value, encoder.digest))
        except BaseException as error:
            failures.append(error)

    visitors = [threading.Thread(target=visit, args=(seed,)) for seed in range(8)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert not failures
    assert len(cache) == 5
    # The count of bytes has not drifted: it still holds five, and drops the sixth.
    encoder = CountingEncoder("fresh")
    ask(cache, encoder, 1, 2, 3, 4, 5)
    assert ask(cache, encoder, 1, 2, 3, 4, 5) == []
    assert len(cache) == 5
