"""Episodes: what every one must hold to, drawing by drawing, and what is refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fewshot.episodes import Episode, Protocol, draw_episodes
from fewshot.types import InputError

# Class ids with gaps, of 2 to 7 pictures each, in no order.
COUNTS = {0: 7, 1: 3, 4: 5, 5: 2, 6: 4, 9: 6, 10: 3, 12: 5}
LABELS = np.random.default_rng(1).permutation(np.repeat(list(COUNTS), list(COUNTS.values())))
GROUPS = np.array([0, 0, 9, 9, 0, 1, 1, 9, 9, 1, 1, 9, 0])  # by class id: two alphabets in use


def drawn(protocol: Protocol, episodes: int = 50, seed: int = 0, **more) -> list[Episode]:
    return list(draw_episodes(LABELS, protocol, episodes, seed, **more))


def as_tuple(episode: Episode) -> tuple:
    return tuple(
        tuple(part.tolist())
        for part in (
            episode.classes,
            episode.support,
            episode.support_labels,
            episode.queries,
            episode.query_labels,
        )
    )


@pytest.mark.parametrize(
    "protocol", [Protocol(2, 1, 1), Protocol(5, 1, 2), Protocol(3, 4, 1), Protocol(7, 2, 1)]
)
def test_every_episode_is_a_fair_task(protocol: Protocol) -> None:
    for episode in drawn(protocol):
        assert len(set(episode.classes.tolist())) == protocol.ways
        for pictures, labels, each in (
            (episode.support, episode.support_labels, protocol.shots),
            (episode.queries, episode.query_labels, protocol.queries),
        ):
            assert labels.tolist() == [way for way in range(protocol.ways) for _ in range(each)]
            # The pool's own label of each picture is the class the episode says it has.
            assert [LABELS[i] for i in pictures] == [episode.classes[way] for way in labels]
        used = [*episode.support.tolist(), *episode.queries.tolist()]
        assert len(used) == len(set(used)) == protocol.ways * (protocol.shots + protocol.queries)


def test_classes_with_too_few_pictures_are_left_out() -> None:
    # Five pictures are needed: classes 0, 4, 9 and 12 have them.
    episodes = drawn(Protocol(4, 3, 2))
    assert all(set(episode.classes.tolist()) == {0, 4, 9, 12} for episode in episodes)
    # In every order, so that no class is always label 0.
    assert len({tuple(episode.classes.tolist()) for episode in episodes}) > 12


def test_every_class_and_every_picture_is_drawn_about_equally_often() -> None:
    episodes = drawn(Protocol(4, 1, 1), 800)
    classes = Counter(c for episode in episodes for c in episode.classes.tolist())
    # 4 of 8 classes: binomial with p = 1/2, so 400 ± 14; five deviations.
    assert classes.keys() == COUNTS.keys()
    assert all(abs(count - 400) < 71 for count in classes.values())
    shown = Counter(i for episode in episodes for i in episode.support.tolist())
    own = [shown[i] for i in np.flatnonzero(LABELS == 0).tolist()]
    # Class 0 appears some 400 times, each of its 7 pictures 57 ± 7 times as support.
    assert all(abs(count - classes[0] / 7) < 36 for count in own)


def test_same_seed_same_episodes_other_seed_others() -> None:
    protocol = Protocol(3, 1, 1)
    first = [as_tuple(episode) for episode in drawn(protocol, 20, seed=5)]
    assert first == [as_tuple(episode) for episode in drawn(protocol, 20, seed=5)]
    other = [as_tuple(episode) for episode in drawn(protocol, 20, seed=6)]
    assert not set(first) & set(other)
    assert len(set(first)) == 20


def test_each_episode_draws_shots_of_its_own() -> None:
    shots = np.array(
        [
            np.bincount(episode.support_labels, minlength=3)
            for episode in drawn(Protocol(3, (1, 2), 1), 200)
        ]
    )
    assert len(np.unique(shots, axis=0)) == 8  # every one of 2 ** 3
    # Neighbours are as independent as any two: each class agrees in half of 199 pairs, 99.5 ± 7.
    assert (abs((shots[1:] == shots[:-1]).sum(0) - 99.5) < 36).all()


@pytest.mark.parametrize("within", [False, True])
def test_a_longer_run_begins_with_the_shorter_ones_episodes(within: bool) -> None:
    protocol = Protocol(2, 1, 1, within_group=within)
    long = [as_tuple(episode) for episode in drawn(protocol, 30, groups=GROUPS)]
    short = [as_tuple(episode) for episode in drawn(protocol, 10, groups=GROUPS)]
    assert long[:10] == short


def test_within_a_group_all_classes_share_it() -> None:
    episodes = drawn(Protocol(3, 1, 1, within_group=True), 400, groups=GROUPS)
    used = [{int(GROUPS[c]) for c in episode.classes} for episode in episodes]
    assert all(len(groups) == 1 for groups in used)
    # Each alphabet weighs the same: 200 ± 10 of 400; five deviations.
    assert abs(sum(groups == {1} for groups in used) - 200) < 50


def test_alphabets_weigh_the_same_whatever_their_size() -> None:
    labels = np.arange(40).repeat(2)
    groups = np.array([0] * 4 + [1] * 36)
    protocol = Protocol(2, 1, 1, within_group=True)
    episodes = list(draw_episodes(labels, protocol, 400, 0, groups))
    assert abs(sum(int(groups[episode.classes[0]]) for episode in episodes) - 200) < 50


def test_without_within_group_alphabets_are_mixed() -> None:
    episodes = drawn(Protocol(4, 1, 1), 50, groups=GROUPS)
    assert sum(len({int(GROUPS[c]) for c in episode.classes}) == 2 for episode in episodes) > 30


def test_alphabets_too_small_for_an_episode_are_left_out() -> None:
    # Of classes with 5 pictures, alphabet 0 has three (0, 4, 12) and alphabet 1 has one (9).
    episodes = drawn(Protocol(2, 4, 1, within_group=True), groups=GROUPS)
    assert all(set(episode.classes.tolist()) <= {0, 4, 12} for episode in episodes)


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        (Protocol(1, 5, 7), ["1 ways", "5 shots", "7 queries"]),
        (Protocol(3, 0, 1), ["3 ways", "0 shots", "1 queries"]),
        (Protocol(3, 1, 0), ["3 ways", "1 shots", "0 queries"]),
        (Protocol(9, 1, 1), ["9-way", "1 shown and 1 asked", "the data set has 8"]),
        (Protocol(5, 4, 1), ["5-way", "4 shown and 1 asked", "the data set has 4"]),
        (Protocol(2, 20, 1), ["2-way", "20 shown and 1 asked", "the data set has 0"]),
        (
            Protocol(5, 1, 1, within_group=True),
            ["5-way", "1 shown and 1 asked", "the largest alphabet has 4"],
        ),
    ],
)
def test_impossible_episodes_are_refused_with_the_numbers(protocol: Protocol, said) -> None:
    with pytest.raises(InputError) as refusal:
        drawn(protocol, groups=GROUPS)
    for words in said:
        assert words in str(refusal.value)


def test_within_alphabets_needs_alphabets() -> None:
    with pytest.raises(InputError, match="alphabets"):
        drawn(Protocol(2, 1, 1, within_group=True))


def test_the_largest_possible_episode_is_drawn() -> None:
    (episode,) = drawn(Protocol(8, 1, 1), 1)
    assert set(episode.classes.tolist()) == set(COUNTS)


def test_batches_are_the_episodes_in_order() -> None:
    protocol = Protocol(3, 2, 1)
    tasks = draw_episodes(LABELS, protocol, 300, 0)
    batches = list(tasks.batches())
    assert len(tasks) == sum(map(len, batches)) == 300 and len(batches) > 1
    rows = [as_tuple(batch[number]) for batch in batches for number in range(len(batch))]
    assert rows == [as_tuple(episode) for episode in tasks]
    assert rows == [as_tuple(episode) for episode in tasks]  # drawn anew, and the same


@pytest.mark.parametrize("spread", [(1, 3), (2, 4)])
def test_unbalanced_shots_lie_in_their_range_and_differ(spread: tuple[int, int]) -> None:
    least, most = spread
    episodes = drawn(Protocol(3, spread, 1), 200)
    counts = [np.bincount(episode.support_labels, minlength=3) for episode in episodes]
    assert {int(n) for shots in counts for n in shots} == set(range(least, most + 1))
    assert sum(len(set(shots.tolist())) > 1 for shots in counts) > 100
    for episode in episodes:
        assert not set(episode.support.tolist()) & set(episode.queries.tolist())
        assert [LABELS[i] for i in episode.support] == [
            episode.classes[way] for way in episode.support_labels
        ]
        # Every class can supply the most shots and a query, whatever it was given.
        assert all(COUNTS[c] >= most + 1 for c in episode.classes.tolist())


def test_supports_and_queries_from_two_domains() -> None:
    asked = np.zeros(len(LABELS), bool)
    for c, count in COUNTS.items():
        asked[np.flatnonzero(c == LABELS)[: count // 2]] = True
    # Shown: 4, 2, 3, 1, 2, 3, 2, 3 of the classes; asked: 3, 1, 2, 1, 2, 3, 1, 2.
    tasks = drawn(Protocol(3, 2, 2), 100, asked=asked)
    for episode in tasks:
        assert not asked[episode.support].any() and asked[episode.queries].all()
        assert set(episode.classes.tolist()) <= {0, 4, 6, 9, 12}
        assert [LABELS[i] for i in episode.queries] == [
            episode.classes[way] for way in episode.query_labels
        ]
    with pytest.raises(
        InputError, match="3-way episodes, 2 shown and 3 asked of each class, need 3 classes"
    ):
        drawn(Protocol(3, 2, 3), asked=asked)


def test_many_pictures_are_drawn_in_smaller_batches(monkeypatch) -> None:
    monkeypatch.setattr("fewshot.episodes.NUMBERS_AT_ONCE", 60)
    batches = list(draw_episodes(LABELS, Protocol(2, 1, 1), 9, 0).batches())
    assert [len(batch) for batch in batches] == [4, 4, 1]  # 2 ways of up to 7 pictures: 14 numbers
