"""CLIP through open_clip: a tiny model from a folder, and every way a model cannot be had."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_clip import write_tiny_clip

from fewshot.compare import fit
from fewshot.encoders import clip_models, get_encoder
from fewshot.encoders.clip import PICTURE_SHARE, enlarged, load_clip
from fewshot.encoders.clip_models import (
    CLIP_MODELS,
    CONFIG_FILE,
    EMBEDDED,
    EMBEDDED_FOLDER,
    WEIGHTS_FILE,
    clip_name,
    download_clip,
    find_clip,
)
from fewshot.encoders.last_block import tune_last_block
from fewshot.encoders.weights import load_weights
from fewshot.methods import METHODS, Settings
from fewshot.presets import get_preset
from fewshot.types import InputError, Picture, Support, SupportSet

CLASSES = ("cat", "a big dog", "Ünïcødé class")
TEMPLATES = ("a photo of a {}.", "a sketch of the {}", "{}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder):
    return load_clip(find_clip(str(folder)))


def pictures(n: int, seed: int = 0) -> list[Picture]:
    rng = np.random.default_rng(seed)
    return [
        Picture(f"{i}.png", rng.integers(0, 256, (40 + i, 60, 3), dtype=np.uint8)) for i in range(n)
    ]


def test_zero_shot_equals_open_clips_own(folder, encoder):
    import open_clip

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    weights = open_clip.build_zero_shot_classifier(model, tokenizer, CLASSES, TEMPLATES)  # (d, 3)
    queries = pictures(5)
    with torch.no_grad():
        batch = torch.stack([preprocess(Image.fromarray(q.pixels)) for q in queries])
        images = model.encode_image(batch, normalize=True)
        expected = (model.logit_scale.exp() * images @ weights).softmax(1).numpy()

    nothing = Support(CLASSES, np.zeros(0, int), np.zeros((0, encoder.dim), np.float32))
    method = METHODS["clip"](encoder, Settings(templates=TEMPLATES)).fit(nothing)
    np.testing.assert_allclose(method.prototypes_.T, weights.numpy(), atol=1e-5)
    answer = method.predict(encoder.embed(queries)).probabilities
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_shown_pictures_have_scores_where_they_taught_nothing(encoder):
    shown = pictures(4)
    support = SupportSet(CLASSES[:2], shown, np.array([0, 0, 1, 1]))
    fitted = fit(support, "photos", ("clip", "prototype"), encoder_of=lambda *_: encoder)
    results = fitted.classify(pictures(1, seed=1)).results
    templates = get_preset("photos").settings().templates
    texts = [
        encoder.embed_texts([template.format(name) for template in templates]).mean(0)
        for name in support.classes
    ]
    expected = encoder.embed(shown) @ np.stack([text / np.linalg.norm(text) for text in texts]).T
    np.testing.assert_allclose(results["clip"].shown_scores, expected, atol=1e-5)
    assert results["prototype"].shown_scores is None


def test_embeddings_have_unit_length_and_do_not_depend_on_the_batch(encoder):
    x = encoder.embed(pictures(40))  # more than one batch
    assert x.shape == (40, encoder.dim) and x.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(pictures(40)[7:8])[0], x[7], atol=1e-5)


def test_texts_are_embedded_once(encoder, monkeypatch):
    seen = []
    original = encoder._embed_texts
    monkeypatch.setattr(encoder, "_embed_texts", lambda new: seen.extend(new) or original(new))
    first = encoder.embed_texts(["one", "two", "one"])
    again = encoder.embed_texts(["two", "three"])
    # Each by itself: a view would hold its whole batch where one is kept.
    assert all(row.base is None for row in original(["four", "five"]))
    assert seen == ["one", "two", "three"]
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(first[1], again[0])


def test_no_view_is_a_mirror_image(encoder):
    brighter = np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], (50, 60, 3))
    views = list(encoder.view_pixels([Picture("p", np.ascontiguousarray(brighter))], 16))
    assert len(views) == 16
    for view in views:  # to the right
        assert view[..., -1].mean() > view[..., 0].mean() + 0.5


def test_views_are_seeded_by_content(encoder):
    a, b, c = pictures(3)
    views = encoder.embed_views([a, b, c], 3)
    assert views.shape == (3, 3, encoder.dim)
    other = encoder.embed_views([c, Picture("renamed.png", a.pixels)], 3)
    np.testing.assert_allclose(other[1], views[0], atol=1e-5)
    assert np.abs(views[0][0] - views[0][1]).max() > 1e-4


def test_a_model_that_looks_at_parts_averages_the_whole_and_four_of_them(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "looks")
    (copy / "card.json").write_text('{"crop": 0.5}')
    looking, plain = load_clip(find_clip(str(copy))), load_clip(find_clip(str(folder)))
    rng = np.random.default_rng(2)
    pictures = [Picture(f"{i}.png", rng.integers(0, 256, (80, 80, 3), np.uint8)) for i in range(3)]
    for picture, found in zip(pictures, looking.embed(pictures), strict=True):
        whole = picture.pixels
        parts = [whole, whole, whole, whole[:, ::-1]]
        parts += [whole[:40, :40], whole[40:, :40][:, ::-1]]
        parts += [whole[:40, 40:][:, ::-1], whole[40:, 40:]]
        x = plain.embed([Picture("", np.ascontiguousarray(part)) for part in parts]).mean(0)
        np.testing.assert_allclose(found, x / np.linalg.norm(x), atol=1e-5)
    assert looking.digest != plain.digest  # what is cached of one is not taken for the other's
    for card in ('{"crop": "half"}', '{"crop": 7, "temperature": -1, "enlarge": 99}', "[]"):
        (copy / "card.json").write_text(card)
        found = find_clip(str(copy))  # believes none of it
        assert (found.crop, found.enlarge, found.temperature) == (0, 1, None)
    assert (find_clip("embedded").crop, find_clip("embedded").enlarge) == (0.85, 1.25)


def test_pictures_are_enlarged_as_pillow_does_it():
    image = np.random.default_rng(0).random((16, 12), np.float32)
    larger = Image.fromarray(image).resize((15, 20), Image.Resampling.BICUBIC)
    found = enlarged(torch.from_numpy(image)[None, None], 1.25)[0, 0]
    np.testing.assert_allclose(found.numpy(), np.asarray(larger), atol=1e-5)


def test_the_embedded_model_looks_at_the_enlarged_whole():
    card = find_clip("embedded")
    encoder = load_clip(card)
    picture = pictures(1)[0]
    looks = []
    hook = encoder.tower.register_forward_pre_hook(lambda _, given: looks.extend(given[0]))
    encoder.embed([picture])
    hook.remove()
    sides = sorted(look.shape[-1] for look in looks)
    assert sides == [64, 64, 64, 64, 72, 80]


def test_a_model_whose_card_says_so_has_a_temperature_for_pictures_alone(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "mild")
    (copy / "card.json").write_text('{"temperature": 3.5}')
    mild, plain = load_clip(find_clip(str(copy))), load_clip(find_clip(str(folder)))
    assert mild.temperature == 3.5
    learned = load_weights(folder / "open_clip_model.safetensors")["logit_scale"].exp()
    assert mild.text_temperature == plain.text_temperature == pytest.approx(float(learned))
    assert plain.temperature == pytest.approx(PICTURE_SHARE * float(learned))
    embedded = load_clip(find_clip("embedded"))  # where the share comes from
    assert embedded.temperature / embedded.text_temperature == pytest.approx(
        PICTURE_SHARE, abs=1e-3
    )


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("preprocess_cfg", {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]}),
        ("model_cfg", {"quick_gelu": True}),  # of the same weights
    ],
)
def test_configuration_is_in_the_digest(folder, encoder, tmp_path, part, changed):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert load_clip(find_clip(str(copy))).digest == encoder.digest
    file = copy / "open_clip_config.json"
    config = json.loads(file.read_text())
    config[part] |= changed
    file.write_text(json.dumps(config))
    assert load_clip(find_clip(str(copy))).digest != encoder.digest


@pytest.mark.parametrize(("height", "width"), [(40, 100), (100, 40), (70, 70)])
def test_what_lies_outside_its_region_does_not_count(height: int, width: int) -> None:
    encoder = load_clip(find_clip(str(EMBEDDED_FOLDER)))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    top, bottom, left, right = encoder.region(Picture("p", pixels))
    # In corners of 85 % of the sides the middle square begins at 85 % of where it else does.
    cut = int(0.85 * 30)
    wanted = {100: (0, 40, cut, 100 - cut), 40: (cut, 100 - cut, 0, 40), 70: (0, 70, 0, 70)}
    assert (top, bottom, left, right) == wanted[width]
    seen = np.zeros((height, width), bool)
    seen[top:bottom, left:right] = True
    around, within = pixels.copy(), pixels.copy()
    around[~seen] //= 4
    within[seen] //= 4
    same, at_the_edge, other = encoder.embed([Picture("p", x) for x in (pixels, around, within)])
    assert same @ at_the_edge > 0.99  # resizing blurs the edge by a pixel or two
    assert same @ other < 0.97


def test_the_classes_that_a_model_was_trained_on_come_with_it(tmp_path):
    copy = write_tiny_clip(tmp_path / "copy")
    means = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    save_file({"means": means.half()}, copy / "class_means.safetensors")
    known = load_clip(find_clip(str(copy))).known
    expected = means / means.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(known, expected.numpy(), atol=1e-3)


@pytest.mark.parametrize(
    "means",
    [
        {"means": torch.ones(3, 31)},
        {"means": torch.full((3, 32), torch.nan)},
        {"others": torch.ones(1)},
    ],
)
def test_class_means_of_another_model_are_refused(tmp_path, means):
    copy = write_tiny_clip(tmp_path / "copy")
    save_file(means, copy / "class_means.safetensors")
    with pytest.raises(InputError, match="does not fit the model beside it"):
        load_clip(find_clip(str(copy)))


def test_the_shipped_model_knows_the_classes_of_its_nouns(encoder):
    assert encoder.known is None  # what most models tell
    shipped = load_clip(find_clip(EMBEDDED))
    card = json.loads((EMBEDDED_FOLDER / "card.json").read_text("utf-8"))
    assert shipped.known.shape == (len(card["nouns"]), shipped.dim)
    np.testing.assert_allclose(np.linalg.norm(shipped.known, axis=1), 1, atol=1e-6)


def test_loaded_once_per_process(folder):
    assert get_encoder("clip", str(folder)) is get_encoder("clip", str(folder))


def test_absent_model_is_refused_within_three_seconds(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    began = time.monotonic()
    with pytest.raises(InputError) as refusal:
        find_clip("ViT-B-32")
    assert time.monotonic() - began < 3
    assert "605 MB" in str(refusal.value) and "download" in str(refusal.value)


def test_a_hub_that_hangs_is_not_waited_for(monkeypatch):
    import huggingface_hub

    over = threading.Event()
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: over.wait(60))
    assert clip_models.ANSWER_SECONDS < 3
    monkeypatch.setattr(clip_models, "ANSWER_SECONDS", 0.1)
    began = time.monotonic()
    with pytest.raises(InputError, match="did not answer"):
        download_clip("ViT-B-32")
    assert time.monotonic() - began < 30
    over.set()


@pytest.mark.parametrize("name", ["hf-hub:no such name!", "nonsense", "/no/such/folder"])
def test_names_that_are_no_model(name):
    with pytest.raises(InputError) as refusal:
        find_clip(name)
    assert name.removeprefix("hf-hub:") in str(refusal.value)


def test_folder_without_weights(tmp_path):
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"open_clip_model\.safetensors"):
        find_clip(str(tmp_path))


def test_pickled_weights_are_not_looked_at(folder, tmp_path):
    (tmp_path / "open_clip_config.json").write_bytes(
        (folder / "open_clip_config.json").read_bytes()
    )
    torch.save({}, tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(InputError, match="safetensors"):
        find_clip(str(tmp_path))


@pytest.mark.parametrize("damage", ["truncated", "garbage", "other architecture", "no config"])
def test_broken_models_are_refused_with_a_sentence(folder, tmp_path, damage):
    copy = write_tiny_clip(tmp_path / "copy")
    weights, config = copy / "open_clip_model.safetensors", copy / "open_clip_config.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "garbage":
        weights.write_bytes(b"not weights at all")
    elif damage == "other architecture":
        config.write_text(config.read_text().replace('"width": 64', '"width": 128'))
    else:
        config.write_text("{")
    with pytest.raises(InputError) as refusal:
        load_clip(find_clip(str(copy)))
    assert "cannot be loaded" in str(refusal.value) and "\n" not in str(refusal.value)


def test_chosen_by_environment(monkeypatch):
    monkeypatch.setenv("FEWSHOT_CLIP", "ViT-L-14")
    assert clip_name(None) == "ViT-L-14"
    assert clip_name("ViT-B-16") == "ViT-B-16"
    monkeypatch.delenv("FEWSHOT_CLIP")
    assert clip_name(None) is None


def test_the_list_says_what_a_model_costs_and_can():
    assert list(CLIP_MODELS) == ["ViT-B-32", "ViT-B-16", "MobileCLIP2-S0", "ViT-L-14"]
    for model in CLIP_MODELS.values():
        assert 200 < model.megabytes < 2000 and 60 < model.accuracy < 90 and model.licence


def a_hub_with(cache, repository: str, folder) -> None:
    """A hub's cache that holds a model, as a download leaves it."""
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    for file in folder.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())


def test_the_default_is_taken_once_it_is_on_disk_and_the_embedded_one_until_then(
    folder, tmp_path, monkeypatch
):
    # huggingface_hub reads its folder when imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_clip().name == EMBEDDED
    before = get_encoder("clip")
    assert before.source == "open_clip, embedded" and "small embedded" in before.caution
    a_hub_with(tmp_path, CLIP_MODELS["ViT-B-32"].repository, folder)
    assert find_clip().name == "ViT-B-32"
    after = get_encoder("clip")
    assert after.source == "open_clip, ViT-B-32" and not after.caution
    assert get_encoder("clip", EMBEDDED) is before


@pytest.mark.parametrize("missing", [CONFIG_FILE, WEIGHTS_FILE])
def test_half_a_download_is_no_model(folder, tmp_path, monkeypatch, missing):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    a_hub_with(tmp_path, CLIP_MODELS["ViT-B-32"].repository, folder)
    next(tmp_path.rglob(missing)).unlink()
    assert find_clip().name == EMBEDDED
    with pytest.raises(InputError, match="ViT-B-32 is not on this machine: download it"):
        find_clip("ViT-B-32")


def test_nothing_of_clip_is_imported_before_it_is_used():
    code = (
        "import sys, fewshot, fewshot.compare, fewshot.examples as e\n"
        "t = e.example_task('one-shot')\n"
        "fewshot.compare.compare(t.support, t.queries, methods=('prototype',))\n"
        "print('open_clip' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_transformer_in_bf16_is_near_itself_in_fp32(folder, monkeypatch) -> None:
    """Its weights are converted once; its embeddings stay float32 of unit length."""
    rng = np.random.default_rng(3)
    pictures = [Picture(f"{i}.png", rng.integers(0, 256, (80, 90, 3), np.uint8)) for i in range(4)]
    exact = load_clip(find_clip(str(folder)))
    for place in ("fewshot.device", "fewshot.encoders.clip"):
        monkeypatch.setattr(f"{place}.has_fast_bf16", lambda kind: True)
    quick = load_clip(find_clip(str(folder)))
    assert {p.dtype for p in quick.tower.transformer.parameters()} >= {torch.bfloat16}
    for embed in (
        lambda one: one.embed(pictures),
        lambda one: one.embed_texts(["a red house", "seven", "a small dog"]),
    ):
        x, y = embed(exact), embed(quick)
        assert y.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1, atol=1e-5)
        assert ((x * y).sum(1) > 0.999).all()
    tuned = tune_last_block(quick, pictures, np.array([0, 0, 1, 1]), steps=2, learning_rate=0.1)
    assert {p.dtype for p in tuned.tower.parameters()} == {torch.float32}
    assert np.isfinite(tuned.embed(pictures)).all()
