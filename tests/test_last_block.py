"""Tuning the last block of CLIP's image tower: only it changes, and it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from tiny_clip import write_tiny_clip

from fewshot.compare import compare, fit
from fewshot.embedding_cache import EmbeddingCache
from fewshot.encoders.clip import load_clip
from fewshot.encoders.clip_models import EMBEDDED_FOLDER, find_clip
from fewshot.encoders.last_block import (
    N_VIEWS,
    _continued,
    _reaching,
    last_block,
    tune_last_block,
)
from fewshot.examples import example_task
from fewshot.methods import Settings
from fewshot.metrics import normalise, softmax
from fewshot.types import InputError, Picture, SupportSet


def sharp_tiny_clip(folder: Path) -> Path:
    """At whose temperature a few steps show, although its weights are random."""
    write_tiny_clip(folder)
    (folder / "card.json").write_text('{"temperature": 14.0}')
    return folder


@pytest.fixture(scope="module", params=["transformer", "embedded"])
def encoder(request, tmp_path_factory):
    if request.param == "embedded":
        return load_clip(find_clip(str(EMBEDDED_FOLDER)))
    return load_clip(find_clip(str(sharp_tiny_clip(tmp_path_factory.mktemp("clip")))))


@pytest.fixture(scope="module")
def task():
    return example_task("alphabet")


def test_going_on_from_the_block_gives_the_towers_own_output(encoder, task):
    images = list(encoder.pixels(task.queries))
    with torch.no_grad():
        block = last_block(encoder.tower)
        inputs = _reaching(encoder.tower, block, images, encoder.device)
        whole = encoder.tower(torch.stack(images))
        parts = _continued(encoder.tower, block, inputs, images[0][None])
    torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-4)
    assert not block._forward_pre_hooks


def test_only_the_last_block_changes_and_the_original_stays(encoder, task):
    pictures, labels = task.support.pictures[:10], task.support.labels[:10]
    before = {k: v.clone() for k, v in encoder.tower.state_dict().items()}
    seen = encoder.embed(task.queries)
    tuned = tune_last_block(encoder, pictures, labels, steps=3, learning_rate=0.01)
    np.testing.assert_array_equal(encoder.embed(task.queries), seen)
    for name, value in encoder.tower.state_dict().items():
        assert torch.equal(value, before[name]), name
    block = {id(p) for p in last_block(tuned.tower).parameters()}
    named = dict(encoder.tower.named_parameters())
    changed = [n for n, p in tuned.tower.named_parameters() if not torch.equal(p, named[n])]
    inside = [n for n, p in tuned.tower.named_parameters() if id(p) in block]
    assert changed and set(changed) <= set(inside)
    assert tuned.digest != encoder.digest and "tuned" in tuned.source
    assert np.abs(tuned.embed(task.queries) - seen).max() > 1e-4
    again = tune_last_block(encoder, pictures, labels, steps=3, learning_rate=0.01)
    assert again.digest == tuned.digest
    np.testing.assert_allclose(again.embed(task.queries), tuned.embed(task.queries), atol=1e-6)


def test_no_steps_change_nothing(encoder, task):
    pictures, labels = task.support.pictures[:10], task.support.labels[:10]
    seen = encoder.embed(task.queries)
    still = tune_last_block(encoder, pictures, labels, steps=0, learning_rate=0.01)
    np.testing.assert_allclose(still.embed(task.queries), seen, atol=1e-6)


def test_it_learns_to_tell_the_support(encoder, task):
    pictures, labels = task.support.pictures, task.support.labels

    def loss(which) -> float:
        """Cross-entropy of the support pictures and their views, as they are learned from."""
        x = which._embed([*which.pixels(pictures), *which.view_pixels(pictures, N_VIEWS)])
        targets = np.concatenate([labels, labels.repeat(N_VIEWS)])
        means = normalise(np.stack([x[: len(labels)][labels == c].mean(0) for c in range(5)]))
        p = softmax(which.temperature * x @ means.T)
        return float(-np.log(p[np.arange(len(targets)), targets]).mean())

    tuned = tune_last_block(encoder, pictures, labels, steps=24, learning_rate=0.01)
    assert loss(tuned) < loss(encoder) - 5e-5


def test_too_many_pictures_are_told(encoder):
    picture = Picture("a", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="300 pictures are too many"):
        tune_last_block(encoder, [picture] * 300, np.arange(300) % 2, steps=1, learning_rate=0.1)


def test_blocks_of_other_towers_are_found_or_told():
    resnet = open_clip.model._build_vision_tower(
        32, {"layers": [1, 1, 1, 1], "width": 8, "head_width": 8}
    )
    assert last_block(resnet) is resnet.layer4
    with pytest.raises(InputError, match="no last block"):
        last_block(torch.nn.Linear(2, 2))


def test_in_a_comparison_it_is_finetunes_alone(task, tmp_path):
    model = str(sharp_tiny_clip(tmp_path))
    methods = ("finetune", "prototype")
    plain = compare(task.support, task.queries, "photos", methods, model=model)
    fitted = fit(
        task.support, "photos", methods, Settings(last_block=True), model=model,
        cache=EmbeddingCache(),
    )  # fmt: skip
    tuned = fitted.classify(task.queries)
    assert "tuned" in tuned.sources["finetune"] and "tuned" not in tuned.sources["prototype"]
    probabilities = {
        name: [c.results[name].prediction.probabilities for c in (plain, tuned)] for name in methods
    }
    np.testing.assert_allclose(*probabilities["prototype"], atol=1e-5)
    assert np.abs(np.subtract(*probabilities["finetune"])).max() > 1e-5


def test_at_no_steps_the_tower_stays_too(task):
    settings = Settings(steps=0, last_block=True)
    results = compare(
        task.support,
        task.queries[:3],
        "photos",
        ("finetune", "prototype"),
        settings,
        model="embedded",
    ).results
    np.testing.assert_array_equal(
        results["finetune"].prediction.probabilities, results["prototype"].prediction.probabilities
    )


def test_too_many_pictures_leave_the_other_methods_their_answers(task):
    support = SupportSet(("a", "b"), task.support.pictures[:1] * 206, np.arange(206) % 2)
    fitted = fit(
        support, "photos", ("prototype", "finetune"), Settings(last_block=True), model="embedded"
    )
    assert list(fitted.methods) == ["prototype"]
    assert "too many to tune" in fitted.unavailable["finetune"]
