"""The embedded CLIP's data, batches and training, on a font and photos made by the test."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageFont

from fewshot.cli import main
from fewshot.data import glyphs as glyphs_module
from fewshot.data.glyphs import Glyphs, render
from fewshot.data.photos import SPLITS, Photos, load_photos, split_photos
from fewshot.data.symbols import Symbol, fonts, symbols
from fewshot.encoders.clip import load_clip
from fewshot.encoders.clip_models import WEIGHTS_FILE, find_clip
from fewshot.encoders.weights import load_weights, sha256
from fewshot.episodes import Protocol, draw_episodes
from fewshot.metrics import normalise
from fewshot.training import clip as clip_training
from fewshot.training.clip import new_clip
from fewshot.training.clip_data import (
    _few_shot_accuracy,
    prompts,
    training_data,
    validation_data,
)
from fewshot.training.clip_objective import (
    _batch,
    _mean_over_positives,
    _text_classes,
    flat_prompts,
)
from fewshot.training.clip_recipe import CLIP_RECIPE, CLIP_RECIPE_ON_CPU, ClipRecipe
from fewshot.training.glyph_views import DRAWN as GLYPH_DRAWN
from fewshot.training.glyph_views import glyph_views
from fewshot.training.loop import begin, train
from fewshot.training.photo_views import DRAWN as PHOTO_DRAWN
from fewshot.training.photo_views import PhotoViews, mixed_in_pairs, photo_views, turned_by
from fewshot.types import InputError, Picture

SIGNS = (
    Symbol(("a", "A"), ("letter a", "a")),
    Symbol(("7",), ("digit 7",)),
    Symbol(("+",), ("plus",)),
)
COLOURS = {"n01": (200, 30, 30), "n02": (30, 180, 40), "n03": (40, 60, 210)}
STILL = PhotoViews(area=1.0, shape=0.0, rotation=0.0, colour=0.0)


@pytest.fixture(scope="module")
def font_folder(tmp_path_factory) -> Path:
    """Pillow's own font under the names of two that are looked for."""
    folder = tmp_path_factory.mktemp("fonts")
    data = ImageFont.load_default(20).path.getvalue()
    for name in (fonts()["hand"][0], fonts()["print"][0]):
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def rendered(font_folder: Path) -> Glyphs:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glyphs_module, "FEWEST_FONTS", 2)
        return render(SIGNS, ("hand", "print"), [font_folder])


@pytest.fixture(scope="module")
def photos() -> Photos:
    """Three classes of plain colours with noise."""
    rng = np.random.default_rng(0)
    images = [rng.normal(c, 12, (12, 64, 64, 3)) for c in COLOURS.values()]
    names = (("ruby", "red stone"), ("emerald",), ("sapphire",))
    return Photos(np.stack(images).clip(0, 255).astype(np.uint8), names)


@pytest.fixture(scope="module")
def tokenizer():
    return open_clip.SimpleTokenizer(context_length=32)


@pytest.fixture(scope="module")
def data(photos: Photos, rendered: Glyphs, tokenizer):
    return training_data(photos, rendered, SIGNS, tokenizer, torch.device("cpu"))


def test_every_symbol_has_names_of_its_own() -> None:
    names = [name for symbol in symbols() for name in symbol.names]
    assert len(names) == len(set(names)) > 400
    assert symbols()[0] == Symbol(("a", "A"), ("letter a", "a", "latin letter a", "the letter a"))
    by_character = {c: symbol.names for symbol in symbols() for c in symbol.characters}
    assert by_character["7"][:3] == ("digit 7", "7", "number 7")
    assert by_character["α"] == ("greek letter alpha", "alpha", "greek small letter alpha")
    assert by_character["→"][0] == "arrow pointing right"
    assert by_character["❤"] == by_character["♥"]


def test_glyphs_are_centred_fill_their_canvas_and_know_what_they_show(rendered: Glyphs) -> None:
    assert rendered.symbol.tolist() == [0, 0, 1, 2] * 2
    assert sorted(rendered.hand.tolist()) == [False] * 4 + [True] * 4
    for glyph in rendered.ink:
        rows, columns = (np.flatnonzero((glyph > 40).any(axis)) for axis in (1, 0))
        sides = [np.ptp(rows) + 1, np.ptp(columns) + 1]
        assert max(sides) == pytest.approx(60, abs=2)  # three quarters of 80
        for places in (rows, columns):
            assert (places[0] + places[-1]) / 2 == pytest.approx(39.5, abs=1.5)
    assert not np.array_equal(rendered.ink[0], rendered.ink[1])  # a and A


def test_characters_a_font_lacks_are_left_out(font_folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(glyphs_module, "FEWEST_FONTS", 2)
    some = render((Symbol(("\ue123",), ("nothing",)), SIGNS[1]), ("hand", "print"), [font_folder])
    assert set(some.symbol.tolist()) == {1}


def test_too_few_fonts_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Only 0 of the"):
        render(SIGNS, ("hand", "print"), [tmp_path])


def photo_tree(folder: Path, per_class: int = 4) -> Path:
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for wnid, colour in COLOURS.items():
            for i in range(per_class):
                buffer = io.BytesIO()
                Image.new("RGB", (64, 64), tuple(c + i for c in colour)).save(buffer, "PNG")
                archive.writestr(f"photos/{wnid}/{i}.png", buffer.getvalue())
    with (folder / "classes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["wnid", "names"], ["n03", "sapphire"], ["n01", "ruby, red stone"]])
        writer.writerow(["n02", "emerald"])
    return folder


def test_photos_are_read_in_the_order_of_the_table(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    found = load_photos(photo_tree(tmp_path))
    assert found.names == (("sapphire",), ("ruby", "red stone"), ("emerald",))
    assert found.images.shape == (3, 4, 64, 64, 3)
    assert found.images[1, 2, 5, 5].tolist() == [202, 32, 32]
    monkeypatch.setattr("fewshot.data.photos._decoded", None)  # the second time it is not needed
    assert np.array_equal(load_photos(tmp_path).images, found.images)
    monkeypatch.undo()
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    table = tmp_path / "classes.csv"
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *rows[::-1]]))
    turned = load_photos(tmp_path)
    assert turned.names == found.names[::-1]
    assert np.array_equal(turned.images, found.images[::-1])


def test_missing_or_odd_photo_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no photos\.zip"):
        load_photos(tmp_path)
    photo_tree(tmp_path)
    (tmp_path / "classes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="wnid and names"):
        load_photos(tmp_path)
    (tmp_path / "classes.csv").write_text("names,wnid\ngoldfish\n")
    with pytest.raises(InputError, match="in every row"):
        load_photos(tmp_path)
    (tmp_path / "classes.csv").write_bytes("wnid,names\nn1,Käse\n".encode("latin-1"))
    with pytest.raises(InputError, match="not CSV in UTF-8"):
        load_photos(tmp_path)
    (tmp_path / "classes.csv").write_text("wnid,names\n")
    with pytest.raises(InputError, match="lists no class"):
        load_photos(tmp_path)


def test_splits_share_no_picture_and_held_out_classes_are_whole() -> None:
    numbered = np.arange(150 * 60).reshape(150, 60, 1, 1, 1)
    everything = Photos(numbered, tuple((str(i),) for i in range(150)))
    parts = {name: split_photos(everything, name) for name in SPLITS}
    assert [p.images.shape[:2] for p in parts.values()] == [
        (120, 10), (10, 60), (20, 60), (120, 25), (120, 25),
    ]  # fmt: skip
    seen = np.concatenate([p.images.ravel() for p in parts.values()])
    assert np.array_equal(np.sort(seen), numbered.ravel())
    kept_out = {n for name in ("validation", "evaluation") for n in parts[name].names}
    assert not kept_out & set(parts["training"].names)
    assert parts["unseen"].names == parts["training"].names
    for part in parts.values():  # a class keeps its name
        assert all(
            str(p[0, 0, 0, 0] // 60) == n[0] for p, n in zip(part.images, part.names, strict=True)
        )


def test_too_few_photos_to_part_are_refused() -> None:
    few = Photos(np.zeros((31, 50, 1, 1, 1)), tuple((str(i),) for i in range(31)))
    for split in ("training", "unseen", "unseen-validation"):
        with pytest.raises(InputError, match="There are 50 photos of each class"):
            split_photos(few, split)
    assert len(split_photos(few, "evaluation").names) == 20
    with pytest.raises(InputError, match="The photos have 30 classes"):
        split_photos(Photos(few.images[:30], few.names[:30]), "evaluation")


def test_a_macs_doubles_of_photos_are_left_aside(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    photo_tree(tmp_path)
    with zipfile.ZipFile(tmp_path / "photos.zip", "a") as archive:
        archive.writestr("__MACOSX/photos/n01/._0.png", b"no picture")
        archive.writestr("photos/n01/.DS_Store", b"no picture")
    assert load_photos(tmp_path).images.shape == (3, 4, 64, 64, 3)


def test_a_view_without_ranges_is_the_photo_or_its_mirror_image() -> None:
    photo = torch.randint(256, (1, 64, 64, 3), dtype=torch.uint8)
    drawn = torch.full((1, PHOTO_DRAWN), 0.5)
    expected = photo.permute(0, 3, 1, 2).float() / 255
    torch.testing.assert_close(photo_views(photo, drawn, STILL, 64), expected, atol=1e-4, rtol=0)
    drawn[0, 4] = 0.1
    mirrored = photo_views(photo, drawn, STILL, 64)
    torch.testing.assert_close(mirrored, expected.flip(3), atol=1e-4, rtol=0)
    halved = photo_views(photo, torch.full((1, PHOTO_DRAWN), 0.5), STILL, 32)
    torch.testing.assert_close(halved, F.avg_pool2d(expected, 2), atol=1e-4, rtol=0)


def test_a_view_of_a_quarter_of_the_area_is_the_middle_at_twice_the_size() -> None:
    photo = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    photo[:, 16:48, 16:48] = 255
    drawn = torch.full((1, PHOTO_DRAWN), 0.5)
    drawn[0, 0] = 0.0
    view = photo_views(photo, drawn, PhotoViews(area=0.25, shape=0, rotation=0, colour=0), 64)
    assert view[..., 1:-1, 1:-1].min() > 0.99


def test_colours_by_hand() -> None:
    photo = torch.tensor([100, 150, 50], dtype=torch.uint8).expand(1, 8, 8, 3)
    drawn = torch.full((1, PHOTO_DRAWN), 0.5)
    drawn[0, 6] = 1.0  # brightness up by all of 0.2
    ranges = PhotoViews(area=1.0, shape=0.0, rotation=0.0, colour=0.2)
    view = photo_views(photo.contiguous(), drawn, ranges, 8)[0, :, 4, 4]
    np.testing.assert_allclose(view, np.array([100, 150, 50]) / 255 * 1.2, atol=1e-3)
    drawn[0, 6], drawn[0, 8] = 0.5, 0.0  # saturation down by 0.2
    view = photo_views(photo.contiguous(), drawn, ranges, 8)[0, :, 4, 4]
    grey = 0.299 * 100 + 0.587 * 150 + 0.114 * 50
    expected = (grey + 0.8 * (np.array([100, 150, 50]) - grey)) / 255
    np.testing.assert_allclose(view, expected, atol=1e-3)


def test_turned_photos_are_numpys() -> None:
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    turns = torch.tensor([0, 1, 2, 3, 3, 1])
    for image, turn, got in zip(images, turns, turned_by(images, turns), strict=True):
        assert np.array_equal(got.numpy(), np.rot90(image.numpy(), int(turn), (1, 2)))


def test_mixed_photos_have_a_rectangle_of_their_partner_and_its_share() -> None:
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 40, 40)  # each of one grey
    shares = set()
    for seed in range(5):
        mixed, kept = mixed_in_pairs(images, torch.Generator().manual_seed(seed))
        for number, (image, share) in enumerate(zip(mixed[:, 0].numpy(), kept, strict=True)):
            partner = image == 7 - number
            assert ((image == number) | partner).all()
            assert float(share) == pytest.approx(1 - partner.mean(), abs=1e-6)
            rows, columns = partner.any(1), partner.any(0)
            assert np.array_equal(partner, np.outer(rows, columns))
            for side in (rows, columns):  # without gaps
                assert np.abs(np.diff(np.pad(side.astype(int), 1))).sum() <= 2
            shares.add(round(float(share), 1))
    assert min(shares) < 0.5 and max(shares) > 0.9


def test_a_batch_has_turned_then_mixed_then_plain_photos_then_glyphs(data) -> None:
    recipe = ClipRecipe(batch=40, glyphs=0.2, turned=0.25, mixed=0.5, views=STILL)
    pictures, targets, turns = _batch(data, recipe, 64, torch.Generator().manual_seed(0))
    assert pictures.shape == (40, 3, 64, 64) and len(turns) == 8  # of 32 photos; 12 are mixed
    torch.testing.assert_close(targets.sum(1), torch.ones(40))
    assert ((targets > 0).sum(1) > 1)[8:20].any()
    certain = torch.cat([targets[:8], targets[20:]])
    assert (certain.amax(1) == 1).all() and (targets[32:, : data.n_nouns] == 0).all()


def test_glyphs_become_pictures_of_two_colours_and_follow_their_numbers(rendered: Glyphs) -> None:
    ink = torch.from_numpy(rendered.ink)
    drawn = torch.rand(len(ink), GLYPH_DRAWN, generator=torch.Generator().manual_seed(1))
    views = [glyph_views(ink, drawn, 64, torch.Generator().manual_seed(2)) for _ in range(2)]
    assert torch.equal(*views)
    assert views[0].shape == (8, 3, 64, 64) and views[0].min() >= 0 and views[0].max() <= 1
    for view in views[0]:  # something is drawn: strokes stand out from the paper at the corners
        paper = view[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(1)
        assert ((view - paper[:, None, None]).abs().amax(0) > 0.2).float().mean() > 0.01


def test_prompts_are_every_name_in_every_template() -> None:
    texts = prompts(["x", "y"], ["plain", "close-up"])
    assert texts[:2] == ["x", "a close-up photo of a x."] and len(texts) == 8
    flat, first = flat_prompts([["a", "b"], ["c"]])
    assert flat == ["a", "b", "c"] and first.tolist() == [0, 2, 3]


def test_each_symbol_is_as_likely_and_handwriting_counts_more(data, rendered: Glyphs) -> None:
    chances = data.chances.double().numpy()
    totals = np.bincount(rendered.symbol, chances)
    np.testing.assert_allclose(totals, 1.0, atol=1e-6)
    ratio = chances[rendered.hand].sum() / chances[~rendered.hand].sum()
    assert ratio == pytest.approx(3.0, rel=1e-5)


def test_texts_are_all_nouns_and_the_batchs_symbols(data) -> None:
    targets = torch.eye(6)[[0, 1, 5]]  # symbol 2, as class 5
    for seed in range(20):
        chosen = _text_classes(data, targets, 1, torch.Generator().manual_seed(seed)).tolist()
        assert sorted(chosen) == [0, 1, 2, 5]
    more = torch.eye(6)[[3, 5]]  # of which one alone was asked for
    chosen = _text_classes(data, more, 1, torch.Generator().manual_seed(0)).tolist()
    assert sorted(chosen) == [0, 1, 2, 3, 5]


def test_the_loss_over_several_positives_by_hand() -> None:
    logits = torch.tensor([[2.0, 1.0, -1.0], [0.0, 0.5, 3.0], [1.0, 1.0, 1.0]])
    same = torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    log_p = torch.log_softmax(logits, 1)
    # Shares of 2 to 1; the third has no positive.
    expected = -((2 * log_p[0, 0] + log_p[0, 1]) / 3 + log_p[1, 2]) / 2
    assert _mean_over_positives(logits, same).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("shots", [1, 5])
def test_few_shot_accuracy_equals_a_plain_loop(shots: int) -> None:
    labels = np.arange(7).repeat(12)
    rng = np.random.default_rng(0)
    x = normalise(rng.normal(size=(7, 8))[labels] + 1.5 * rng.normal(size=(len(labels), 8)))
    episodes = list(draw_episodes(labels, Protocol(5, shots, 3), 40, seed=0))
    hits = []
    for episode in episodes:
        means = [x[episode.support[episode.support_labels == c]].mean(0) for c in range(5)]
        for query, label in zip(episode.queries, episode.query_labels, strict=True):
            cosines = [x[query] @ mean / np.linalg.norm(mean) for mean in means]
            hits.append(int(np.argmax(cosines)) == label)
    found = _few_shot_accuracy(torch.from_numpy(x).float(), episodes)
    assert found == pytest.approx(np.mean(hits)) and 0.3 < found < 0.95


def test_sides_follow_their_shares() -> None:
    recipe = ClipRecipe(steps=100, sides=((0.5, 32), (0.3, 48), (0.2, 64)))
    sides = [recipe.side_at(step) for step in (0, 49, 50, 79, 80, 99, 150)]
    assert sides == [32, 32, 48, 48, 64, 64, 64]


@pytest.fixture(scope="module")
def trained(data, photos: Photos, rendered: Glyphs, tokenizer):
    """A few steps, all small, and the validation they end with."""
    recipe = ClipRecipe(
        steps=24,
        batch=24,
        learning_rate=2e-3,
        validate_every=24,
        averaging=0.5,
        glyphs=0.25,
        sides=((1.0, 32),),
    )
    few = Photos(np.tile(photos.images, (2, 9, 1, 1, 1)), photos.names * 2)
    validation = validation_data(photos, few, rendered, SIGNS, tokenizer, torch.device("cpu"))
    run = begin(new_clip(recipe, data.n_classes, data.device), recipe, {})
    losses = []
    train(run, recipe, data, validation, on_progress=lambda p: losses.append(p.loss))
    return run, recipe, validation, losses


def test_training_learns_the_colours_and_is_centred(trained, data) -> None:
    run, _, validation, losses = trained
    assert losses[-1] < losses[0]
    assert run.validation["nouns"] == 1.0
    assert set(run.validation) == {"nouns", "symbols", "letters", "1-shot", "5-shot", "score"}
    mean = np.mean([v for k, v in run.validation.items() if k != "score"])
    assert run.validation["score"] == pytest.approx(mean)
    with run.mean.in_use(run.objective):
        assert validation(run.objective)["score"] == pytest.approx(mean)


def test_a_warm_start_begins_at_each_classs_first_text(data) -> None:
    recipe = ClipRecipe(steps=1)
    objective = new_clip(recipe, data.n_classes, data.device)
    objective.warm_start(data)
    with torch.no_grad():
        for c, row in enumerate(objective.rows):
            first = int(data.first[c])
            text = objective.network.encode_text(data.tokens[first : first + 1])[0]
            torch.testing.assert_close(row, text[: objective.width])
            assert row.abs().max() > 0


def test_the_same_seed_gives_the_same_weights(trained, data) -> None:
    _, recipe, _, _ = trained
    again = begin(new_clip(recipe, data.n_classes, data.device), recipe, {})
    train(
        again, recipe, data, lambda objective: {"score": 0.0}, should_stop=lambda: again.step == 3
    )
    once_more = begin(new_clip(recipe, data.n_classes, data.device), recipe, {})
    train(
        once_more, recipe, data, lambda objective: {"score": 0.0},
        should_stop=lambda: once_more.step == 3,
    )  # fmt: skip
    for name, value in again.objective.state_dict().items():
        assert torch.equal(value, once_more.objective.state_dict()[name]), name


def test_train_clip_writes_a_folder_that_open_clip_loads(
    tmp_path: Path, monkeypatch, font_folder: Path, capsys
) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(glyphs_module, "FEWEST_FONTS", 0)
    monkeypatch.setattr(glyphs_module.render, "__defaults__", ([font_folder],))
    (font_folder / fonts()["held_out"][0]).write_bytes(
        (font_folder / fonts()["print"][0]).read_bytes()
    )
    monkeypatch.setattr("fewshot.data.photos.VALIDATION_CLASSES", 5)
    monkeypatch.setattr("fewshot.data.photos.EVALUATION_CLASSES", 1)
    monkeypatch.setattr("fewshot.data.photos.VALIDATION_PICTURES", 2)
    monkeypatch.setattr("fewshot.data.photos.EVALUATION_PICTURES", 2)
    for i in range(4, 10):
        COLOURS_MORE[f"n{i:02d}"] = (20 * i, 100, 250 - 20 * i)
    monkeypatch.setattr("test_clip_training.COLOURS", COLOURS | COLOURS_MORE)
    # As many as an episode of five shots needs, and hardly more signs than letters.
    folder = photo_tree(tmp_path, per_class=8)
    monkeypatch.setattr("fewshot.training.clip_data.symbols", lambda: symbols()[:30])
    with (folder / "classes.csv").open("a", newline="") as file:
        csv.writer(file).writerows([[wnid, f"colour {wnid}"] for wnid in COLOURS_MORE])
    # Called as the shipped model is, which is not to be taken for it.
    monkeypatch.chdir(tmp_path)
    output, loaded = tmp_path / "embedded", []
    monkeypatch.setattr(
        clip_training, "load_clip", lambda found: loaded.append(found.path) or load_clip(found)
    )
    command = ["train", "clip", "--data", str(folder), "--output", output.name, "--batch", "8"]
    assert main([*command, "--steps", "2"]) == 0
    assert loaded == [output]
    files = {file.name for file in output.iterdir()}
    assert files == {
        "open_clip_config.json", "open_clip_model.safetensors", "card.json",
        "class_means.safetensors",
    }  # fmt: skip
    assert sum(file.stat().st_size for file in output.iterdir()) < 10_000_000
    encoder = load_clip(find_clip(str(output)))
    texts = encoder.embed_texts(["a photo of a ruby."])
    # As the written model sees unseen photos of each class that it was trained on.
    shown = split_photos(load_photos(folder), "unseen-validation").images
    for mean, photos in zip(encoder.known, shown, strict=True):
        x = encoder.embed([Picture("", photo) for photo in photos]).mean(0)
        np.testing.assert_allclose(mean, x / np.linalg.norm(x), atol=2e-3)  # kept as fp16
    assert texts.shape == (1, 464) and math.isclose(np.linalg.norm(texts), 1, abs_tol=1e-4)
    assert not texts[:, 256:].any()  # likeness to the earlier stage's part is not trained
    picture = Picture("red", np.full((80, 120, 3), (200, 30, 30), np.uint8))
    assert np.linalg.norm(encoder.embed([picture])) == pytest.approx(1, abs=1e-4)
    assert main([*command, "--steps", "2", "--resume"]) == 0

    # Going on from it: at a rate of nearly nothing the weights stay, and the card tells the start.
    later = tmp_path / "later"
    command = [*command[:-4], "--output", str(later), "--batch", "8", "--steps", "1"]
    command += ["--init", str(output), "--learning-rate", "1e-12"]
    assert main(command) == 0
    before, after = (load_weights(f / WEIGHTS_FILE) for f in (output, later))
    kept = "token_embedding.weight"
    np.testing.assert_allclose(after[kept], before[kept], atol=1e-5)
    # Whitened anew: what the text tower makes is the same but for the mixing.
    np.testing.assert_allclose(_unmixed(after), _unmixed(before), atol=5e-3)
    card = json.loads((later / "card.json").read_text("utf-8"))
    assert card["warm_start"]["sha256"] == sha256(output / WEIGHTS_FILE)
    assert card["warm_start"]["steps_done"] == 2
    assert card["temperature"] == load_clip(find_clip(str(later))).temperature

    assert main(command) == 2
    assert "later is there already" in capsys.readouterr().err
    command += ["--overwrite"]
    (output / "card.json").write_text("{}")
    assert main(command) == 2
    assert "card of train clip" in capsys.readouterr().err
    (output / WEIGHTS_FILE).write_bytes(b"no weights")
    assert main(command) == 2
    assert "not a safetensors file" in capsys.readouterr().err


COLOURS_MORE: dict[str, tuple[int, int, int]] = {}


def _unmixed(weights: dict[str, torch.Tensor]) -> np.ndarray:
    """The text tower's last matrix, as it was before the pictures' features were whitened."""
    mixings = [weights[f"visual.trunk.norms.{n}.whitening"].double() for n in (0, 1)]
    return (weights["text_projection"].double() @ torch.block_diag(*mixings)).numpy()


@pytest.mark.parametrize("recipe", [CLIP_RECIPE, CLIP_RECIPE_ON_CPU])
def test_a_run_ends_at_the_size_that_the_model_takes(recipe: ClipRecipe) -> None:
    assert sum(share for share, _ in recipe.sides) == pytest.approx(1.0)
    assert recipe.sides[-1][1] == recipe.side_at(recipe.steps - 1) == 64
