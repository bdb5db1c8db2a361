"""The benchmarks' own parts: a ratio is worth what its two sides are."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest
import torch
from omniglot_tree import write_omniglot_tree
from torch.utils.data import DataLoader

from fewshot.bench import classify, evaluation
from fewshot.bench import training as training_bench
from fewshot.bench.timing import alternating_medians, seconds
from fewshot.bench.training import PictureByPicture
from fewshot.encoders.augment import Augmentation
from fewshot.types import InputError


def test_alternating_medians_tell_slow_from_fast():
    calls = []

    def fast():
        calls.append("fast")

    def slow():
        calls.append("slow")
        time.sleep(0.01)

    ours, baseline = alternating_medians(fast, slow, rounds=3)
    assert calls == ["fast", "slow"] * 4  # the first of each warms up
    assert baseline >= 0.01 > ours
    assert seconds(slow) >= 0.01


def test_the_baseline_gives_augmented_ink_as_the_training_module_does(tmp_path):
    source = write_omniglot_tree(tmp_path, alphabets=1, characters=2, drawers=2)
    files = sorted(source.rglob("*.png"))
    still = Augmentation(rotation=0, shear=0, scale=0, translation=0, thickening=0)
    first = PictureByPicture(files, 40, still)[0]
    assert first.shape == (1, 40, 40) and first.dtype == torch.float32
    np.testing.assert_allclose(PictureByPicture(files, 40, still)[len(files)], first)
    assert first.max() > 0.5 and first[0, 0].max() < 0.1  # ink is 1, the border is empty

    moving = PictureByPicture(files, 40, Augmentation())
    batch = next(iter(DataLoader(moving, 16)))
    assert batch.shape == (16, 1, 40, 40)
    assert len({image.sum().item() for image in batch}) > len(files)  # views differ


def test_beside_easyfsl_both_are_as_accurate(monkeypatch):
    pytest.importorskip("easyfsl")
    monkeypatch.setattr(evaluation, "EPISODES", {"prototype": (400, 200), "finetune": (300, 30)})
    monkeypatch.setattr(evaluation, "LONG_RUN", 300)
    figures = evaluation.measure()
    for name in ("prototype", "finetune"):
        (ours, half), (theirs, other) = (
            [float(part) for part in figures[f"{name},{who} accuracy"].rstrip(" %").split(" ± ")]
            for who in ("", " easyfsl,")
        )
        assert 30 < ours < 99  # neither by chance nor too easy to tell them apart
        assert abs(ours - theirs) < half + other
        assert figures[f"{name}, ratio"] > 0


def test_without_easyfsl_its_bench_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "easyfsl", None)
    monkeypatch.setitem(sys.modules, "easyfsl.methods", None)
    with pytest.raises(InputError, match="pip install easyfsl"):
        evaluation.measure()


def test_a_comparison_is_measured_beside_one_forward_pass(monkeypatch):
    monkeypatch.setattr(classify, "ROUNDS", 1)
    monkeypatch.setattr(classify, "MODEL", "ViT-S-32-alt")  # smaller: what it takes is not asked
    told: list[tuple[float, str]] = []
    figures = classify.measure(lambda *part: told.append(part))
    assert told[0][0] == 0 and told == sorted(told) and told[-1][0] < 1
    assert all(value >= 0 for key, value in figures.items() if key != "device")
    ours = figures["comparison of five methods, 5-way 5-shot, one query, ms"]
    raw = figures["one raw open_clip preprocessing and forward, ViT-B/32, ms"]
    assert figures["ratio, comparison to raw forward"] == pytest.approx(ours / raw, rel=0.05)


def test_the_training_module_is_measured_beside_a_data_loader(tmp_path, monkeypatch):
    write_omniglot_tree(tmp_path, alphabets=1, characters=3, drawers=4)
    monkeypatch.setattr(training_bench, "BATCH", 16)
    monkeypatch.setattr(training_bench, "BASELINE_IMAGES", 64)
    monkeypatch.setattr(training_bench, "OUR_BATCHES", 3)
    monkeypatch.setattr(training_bench, "NETWORK_BATCHES", 2)
    figures = training_bench.measure(tmp_path)
    assert all(value > 0 for key, value in figures.items() if "pictures per second" in key)
    assert len(figures) == 8
