"""What a training step draws: counts, distinctness, the nearest pairs against a loop, seeds."""

from __future__ import annotations

import itertools

import pytest
import torch

from fewshot.training.samplers import (
    draw_classes,
    draw_grid,
    draw_images,
    draw_pairs,
    step_generator,
)
from fewshot.types import InputError

CPU = torch.device("cpu")
GROUPS = torch.arange(40) // 5 % 8  # eight alphabets of five characters


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# One step's generator


def test_a_step_draws_the_same_numbers_each_time() -> None:
    first = torch.rand(100, generator=step_generator(3, 7, CPU))
    torch.rand(5)  # the global generator has no part in it
    assert torch.equal(first, torch.rand(100, generator=step_generator(3, 7, CPU)))


def test_no_two_seeds_or_steps_draw_the_same() -> None:
    drawn = set()
    for seed, step in itertools.product(range(-2, 12), range(60)):
        generator = step_generator(seed, step, CPU)
        drawn.add(tuple(torch.randint(2**62, (2,), generator=generator).tolist()))
    assert len(drawn) == 14 * 60


def test_draws_of_successive_steps_are_unrelated() -> None:
    x = torch.stack([torch.rand(50, generator=step_generator(0, s, CPU)) for s in range(400)])
    # Means of 400 uniform numbers are 0.5 ± 0.0144; correlations of neighbours 0 ± 0.05.
    assert (x.mean(0) - 0.5).abs().max() < 5 * 0.0144
    standard = (x - x.mean(0)) / x.std(0)
    assert (standard[1:] * standard[:-1]).mean(0).abs().max() < 5 * 0.05


# Images


def test_draw_images_covers_every_class_and_image() -> None:
    classes, numbers = draw_images(6, 4, 600, seeded(0))
    assert classes.shape == numbers.shape == (600,)
    pairs = torch.stack([classes, numbers], 1).unique(dim=0, return_counts=True)
    assert len(pairs[0]) == 24
    assert pairs[0].max(0).values.tolist() == [5, 3]
    # Each of the 24 is drawn 25 ± 4.9 times; five deviations.
    assert (pairs[1] - 25).abs().max() < 25


@pytest.mark.parametrize("seed", range(5))
def test_draw_grid_gives_distinct_images_of_each_class(seed: int) -> None:
    classes = torch.tensor([7, 2, 30])
    labels, numbers = draw_grid(classes, 9, 4, seeded(seed))
    assert labels.tolist() == [7] * 4 + [2] * 4 + [30] * 4
    for row in numbers.view(3, 4).tolist():
        assert len(set(row)) == 4
        assert set(row) <= set(range(9))
    assert len({tuple(row) for row in numbers.view(3, 4).tolist()}) > 1


def test_draw_grid_of_all_images_has_each_once() -> None:
    _, numbers = draw_grid(torch.arange(5), 6, 6, seeded(0))
    assert numbers.view(5, 6).sort(1).values.tolist() == [list(range(6))] * 5


def test_draw_grid_draws_every_image_about_equally_often() -> None:
    _, numbers = draw_grid(torch.arange(500), 10, 3, seeded(0))
    assert (numbers.bincount(minlength=10) - 150).abs().max() < 5 * 10.3  # 150 ± 10.3


def test_draw_grid_refuses_more_images_than_there_are() -> None:
    with pytest.raises(InputError, match=r"takes 4 different drawings .* the data have 2"):
        draw_grid(torch.arange(3), 2, 4, seeded(0))


# Classes


@pytest.mark.parametrize("related", [0.0, 0.3, 0.5, 1.0])
def test_draw_classes_are_distinct(related: float) -> None:
    for seed in range(20):
        classes = draw_classes(GROUPS, 16, related, seeded(seed)).tolist()
        assert len(classes) == len(set(classes)) == 16
        assert set(classes) <= set(range(40))


@pytest.mark.parametrize(("related", "n_related", "alphabets"), [(0.5, 8, 2), (1.0, 16, 4)])
def test_the_related_share_comes_from_as_few_groups_as_supply_it(
    related: float, n_related: int, alphabets: int
) -> None:
    chosen = set()
    for seed in range(30):
        classes = draw_classes(GROUPS, 16, related, seeded(seed))
        groups = GROUPS[classes[:n_related]].unique().tolist()
        assert len(groups) == alphabets
        chosen.update(groups)
    assert chosen == set(range(8))  # not the same alphabets every time


def test_without_a_related_share_classes_come_from_anywhere() -> None:
    spread = [len(GROUPS[draw_classes(GROUPS, 8, 0.0, seeded(s))].unique()) for s in range(100)]
    # An alphabet is missed with probability (35 choose 8) / (40 choose 8) = 0.306, so 8 characters
    # meet 5.55 of 8 alphabets on average, ± 0.9.
    assert sum(spread) / 100 == pytest.approx(5.55, abs=5 * 0.09)


@pytest.mark.parametrize("related", [0.0, 0.5, 1.0])
def test_every_class_is_drawn_about_equally_often(related: float) -> None:
    drawn = torch.cat([draw_classes(GROUPS, 10, related, seeded(s)) for s in range(800)])
    # 200 ± 12 if classes were independent; alphabets come whole, so allow more.
    assert (drawn.bincount(minlength=40) - 200).abs().max() < 75


def test_more_classes_than_there_are_gives_all() -> None:
    classes = draw_classes(GROUPS, 100, 0.5, seeded(0))
    assert sorted(classes.tolist()) == list(range(40))


# Pairs

LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4])
POINTS = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
DISTANCES = torch.cdist(POINTS, POINTS)


@pytest.mark.parametrize("hard", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("n_pairs", [2, 40, 400])
def test_half_of_the_pairs_are_of_one_class(hard: float, n_pairs: int) -> None:
    first, second, same = draw_pairs(LABELS, n_pairs, seeded(0), DISTANCES, hard)
    assert first.shape == second.shape == same.shape == (n_pairs,)
    assert int(same.sum()) == n_pairs // 2
    for i, j, said in zip(first.tolist(), second.tolist(), same.tolist(), strict=True):
        assert i != j
        assert said == (LABELS[i] == LABELS[j]).item()


def test_all_pairs_are_drawn_and_none_twice_as_often() -> None:
    first, second, _ = draw_pairs(LABELS, 40_000, seeded(0))
    pairs, counts = torch.stack([first, second], 1).unique(dim=0, return_counts=True)
    assert len(pairs) == 12 * 11 // 2
    is_same = LABELS[pairs[:, 0]] == LABELS[pairs[:, 1]]
    # Three classes of three and one of two: 10 same pairs, 56 different ones, 20,000 draws each.
    assert (counts[is_same] - 2000).abs().max() < 5 * 43
    assert (counts[~is_same] - 20_000 / 56).abs().max() < 5 * 19


@pytest.mark.parametrize(("n_pairs", "hard", "n_hard"), [(20, 0.5, 5), (20, 1.0, 10), (28, 0.3, 4)])
def test_hard_pairs_are_the_nearest_different_ones(n_pairs: int, hard: float, n_hard: int) -> None:
    nearest = sorted(
        (DISTANCES[i, j].item(), i, j)
        for i, j in itertools.combinations(range(12), 2)
        if LABELS[i] != LABELS[j]
    )[:n_hard]
    first, second, same = draw_pairs(LABELS, n_pairs, seeded(0), DISTANCES, hard)
    ours = {
        (min(i, j), max(i, j))
        for i, j, said in zip(first.tolist(), second.tolist(), same.tolist(), strict=True)
        if not said
    }
    wanted = {(i, j) for _, i, j in nearest}
    assert wanted <= ours
    if hard == 1:
        assert wanted == ours


def test_hard_pairs_never_outnumber_the_different_pairs_there_are() -> None:
    labels = torch.tensor([0, 0, 0, 1])  # three different pairs
    first, second, same = draw_pairs(labels, 20, seeded(0), torch.rand(4, 4), 1.0)
    assert int(same.sum()) == 10
    assert {*zip(first[~same].tolist(), second[~same].tolist(), strict=True)} == {
        (0, 3),
        (1, 3),
        (2, 3),
    }


def test_the_easy_rest_of_the_different_pairs_is_drawn_at_random() -> None:
    first, second, same = draw_pairs(LABELS, 400, seeded(0), DISTANCES, 0.1)
    different = {*zip(first[~same].tolist(), second[~same].tolist(), strict=True)}
    assert len(different) > 45  # of 56


def test_same_generator_same_pairs() -> None:
    ours = [draw_pairs(LABELS, 50, seeded(s), DISTANCES, 0.5) for s in (1, 1, 2)]
    assert all(torch.equal(a, b) for a, b in zip(ours[0], ours[1], strict=True))
    assert not torch.equal(ours[0][0], ours[2][0])


@pytest.mark.parametrize("labels", [[0, 1, 2], [3, 3, 3], [0]])
def test_a_batch_without_both_kinds_of_pairs_is_refused_with_the_numbers(labels) -> None:
    with pytest.raises(ValueError, match=r"0 (same|different)"):
        draw_pairs(torch.tensor(labels), 10, seeded(0))
