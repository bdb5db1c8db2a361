"""Weights and cards: written whole, read back equal, refused by sentence when broken."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fewshot.encoders.augment import Augmentation
from fewshot.encoders.convnet import ConvNet, ConvNetConfig
from fewshot.encoders.drawings import AVERAGED, DrawingsEncoder
from fewshot.encoders.ink import find_ink
from fewshot.encoders.pair_head import PairHead
from fewshot.encoders.weights import (
    card_path,
    load_card,
    load_weights,
    plain,
    save_weights,
    sha256,
    with_prefix,
    without_prefix,
)
from fewshot.types import InputError, Picture

CONFIG = ConvNetConfig(input_size=16, stem=4, widths=(8, 8), pooled=(False, True), grid=2, dim=12)
CARD = {
    "architecture": CONFIG.as_dict(),
    "data": {"name": "invented characters"},
    "licence": "MIT",
    "temperature": 9.5,
}


def network(seed: int = 0) -> ConvNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ConvNet(CONFIG)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good checkpoint without a head."""
    save_weights(tmp_path / "w.safetensors", with_prefix("encoder", network().state_dict()), CARD)
    return tmp_path / "w.safetensors"


def pictures(count: int = 3) -> list[Picture]:
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        pixels = np.full((30, 30, 3), 255, np.uint8)
        pixels[8:22, 8:22][rng.random((14, 14)) < 0.4] = 0
        found.append(Picture(f"{i}.png", pixels))
    return found


def one_sentence(refusal: pytest.ExceptionInfo) -> str:
    text = str(refusal.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


# Reading and writing


def test_weights_and_card_come_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.v1.safetensors"
    weights = {
        "a": torch.randn(3, 4, dtype=torch.float64),
        "b": torch.tensor(7),
        "c": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "d": torch.zeros(4, 3).T,
    }
    weights["e"] = weights["a"][1:]  # shares memory, which safetensors itself refuses
    card = {**CARD, "name": "é “x”"}
    save_weights(path, weights, card)
    loaded = load_weights(path)
    assert loaded.keys() == weights.keys()
    for name, value in weights.items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)
    assert load_card(path) == json.loads(json.dumps(card))
    assert {p.name for p in path.parent.iterdir()} == {"model.v1.safetensors", "model.v1.json"}
    assert path.stat().st_mode & 0o777 == 0o644


def test_saved_weights_need_no_gradient_and_are_not_changed() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    saved = plain({"p": parameter})["p"]
    saved += 1
    assert parameter.tolist() == [1, 1]
    assert not saved.requires_grad


def test_the_same_weights_make_the_same_file(tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        path = tmp_path / f"{name}.safetensors"
        save_weights(path, network().state_dict(), CARD)
        digests.add(sha256(path))
        assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(digests) == 1


def test_prefixes() -> None:
    weights = {"a": torch.zeros(1), "a.b": torch.ones(1)}
    named = with_prefix("x", weights)
    assert list(named) == ["x.a", "x.a.b"]
    assert without_prefix("x", named | {"xy.c": torch.zeros(1), "y.x.a": torch.zeros(1)}) == weights


def test_the_card_is_never_missing_beside_weights(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "w.safetensors"
    real = Path.replace

    def full(source: Path, target: Path) -> Path:
        if target == card_path(path):
            raise OSError("No space left on device")
        return real(source, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        save_weights(path, {"a": torch.zeros(1)}, CARD)
    assert not list(tmp_path.iterdir())


# Broken files


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100, 1000, -1])
def test_cut_weights_are_told(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    for read in (load_weights, lambda p: DrawingsEncoder("x", p)):
        with pytest.raises(InputError, match="safetensors") as refusal:
            read(path)
        assert path.name in one_sentence(refusal)


@pytest.mark.parametrize("data", [b"\0" * 500, b"\xff" * 500, b"PK\x03\x04" + b"x" * 300])
def test_other_files_are_told(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a safetensors file"):
        load_weights(path)


def test_a_pickle_is_never_opened(path: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save(Trap(), path)
    with pytest.raises(InputError):
        DrawingsEncoder("x", path)
    assert not (tmp_path / "sprung").exists()


def test_missing_files_are_told(path: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.safetensors"
    with pytest.raises(InputError, match=r"no checkpoint at .*nowhere\.safetensors"):
        load_weights(nowhere)
    with pytest.raises(InputError, match=r"no checkpoint card at .*nowhere\.json"):
        DrawingsEncoder("x", nowhere)
    path.unlink()
    with pytest.raises(InputError, match=r"no checkpoint at .*w\.safetensors"):
        DrawingsEncoder("x", path)


def test_a_folder_in_place_of_a_file_is_told(path: Path) -> None:
    for file in (path, card_path(path)):
        file.unlink()
        file.mkdir()
        with pytest.raises(InputError) as refusal:
            DrawingsEncoder("x", path)
        assert file.name in one_sentence(refusal)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"x"', "{}", '{"architecture": 3}'])
def test_a_file_that_is_no_card_is_told(path: Path, text: str) -> None:
    card_path(path).write_text(text)
    with pytest.raises(InputError, match="not a card") as refusal:
        load_card(path)
    assert "w.json" in one_sentence(refusal)
    card_path(path).write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not a card"):
        load_card(path)


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize(
    "changed",
    [
        {"dim": 13},
        {"widths": [8, 9]},
        {"widths": [8]},
        {"dim": -1},
        {"widths": 8},
        {"stem": "many"},
        {"depth": 4},
        {"grid": 0},
    ],
)
def test_a_card_of_another_architecture_is_told(path: Path, changed: dict) -> None:
    card = {**CARD, "architecture": CONFIG.as_dict() | changed}
    card_path(path).write_text(json.dumps(card))
    with pytest.raises(InputError, match="do not fit"):
        DrawingsEncoder("x", path)


@pytest.mark.parametrize("without", ["data", "licence"])
def test_a_card_without_provenance_is_told(path: Path, without: str) -> None:
    card_path(path).write_text(json.dumps({k: v for k, v in CARD.items() if k != without}))
    with pytest.raises(InputError, match="not a card"):
        DrawingsEncoder("x", path)


def test_weights_without_an_encoder_or_with_another_head_are_told(tmp_path: Path) -> None:
    path, good = tmp_path / "w.safetensors", with_prefix("encoder", network().state_dict())
    one_less = dict(list(good.items())[1:])
    other_head = good | with_prefix("head", PairHead(CONFIG.dim + 1).state_dict())
    half_head = good | {"head.linear.weight": torch.zeros(1, CONFIG.dim)}
    for weights in ({"x": torch.zeros(1)}, one_less, other_head, half_head):
        save_weights(path, weights, CARD)
        with pytest.raises(InputError, match="do not fit"):
            DrawingsEncoder("x", path)


# The encoder made of them


def test_the_encoder_is_the_network_on_the_ink_and_its_views(path: Path) -> None:
    encoder = DrawingsEncoder("mine", path)
    ink = torch.from_numpy(np.stack([find_ink(p.pixels, 16) for p in pictures()]))
    with torch.no_grad():
        plain_ink = network().eval()(ink[:, None].float() / 255).numpy()
    expected = plain_ink + encoder.embed_views(pictures(), AVERAGED).sum(1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(expected - plain_ink).max() > 0.01
    ours = encoder.embed(pictures())
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert (encoder.name, encoder.dim, encoder.unit_norm) == ("mine", 12, True)
    assert (encoder.licence, encoder.temperature) == ("MIT", 9.5)
    assert "invented characters" in encoder.source


def test_the_digest_follows_the_weights(path: Path, tmp_path: Path) -> None:
    one = DrawingsEncoder("a", path).digest
    assert DrawingsEncoder("b", path).digest == one
    other = tmp_path / "other.safetensors"
    save_weights(other, with_prefix("encoder", network(1).state_dict()), CARD)
    assert DrawingsEncoder("a", other).digest != one
    assert sha256(path) in one


def test_a_picture_embeds_the_same_in_any_company(path: Path) -> None:
    encoder = DrawingsEncoder("x", path)
    many = pictures(5)
    together = encoder.embed(many)
    for i in (0, 4):
        np.testing.assert_allclose(encoder.embed(many[i : i + 1])[0], together[i], atol=1e-5)
    np.testing.assert_allclose(encoder.embed(many[::-1]), together[::-1], atol=1e-5)


def test_views_are_the_network_on_augmented_ink(path: Path, monkeypatch) -> None:
    monkeypatch.setattr("fewshot.encoders.ink_views.VIEWS", Augmentation(0, 0, 0, 0, 0, 0))
    encoder = DrawingsEncoder("mine", path)
    ink = torch.from_numpy(np.stack([find_ink(p.pixels, 16) for p in pictures()]))
    with torch.no_grad():
        plain_ink = network().eval()(ink[:, None].float() / 255).numpy()
    # Where nothing may change, each view is the picture, and so is their mean.
    views = encoder.embed_views(pictures(), 4)
    for i in range(4):
        np.testing.assert_allclose(views[:, i], plain_ink, atol=1e-4)
    np.testing.assert_allclose(encoder.embed(pictures()), plain_ink, atol=1e-4)


def test_views_are_seeded_by_content(path: Path) -> None:
    encoder = DrawingsEncoder("x", path)
    many = pictures(4)
    views = encoder.embed_views(many, 6)
    assert views.shape == (4, 6, 12)
    np.testing.assert_allclose(np.linalg.norm(views, axis=2), 1, atol=1e-5)
    np.testing.assert_array_equal(views, DrawingsEncoder("y", path).embed_views(many, 6))
    order = [2, 0, 3, 1]
    shuffled = encoder.embed_views([many[i] for i in order], 6)
    np.testing.assert_allclose(shuffled, views[order], atol=1e-5)
    renamed = Picture("another name", many[0].pixels.copy())
    np.testing.assert_allclose(encoder.embed_views([renamed], 6)[0], views[0], atol=1e-5)
    # The first views are the same however many are asked for; no two of them are alike.
    np.testing.assert_allclose(encoder.embed_views(many, 2), views[:, :2], atol=1e-5)
    assert len(np.unique(views.reshape(24, 12).round(4), axis=0)) == 24


def test_large_requests_are_split_without_a_trace(path: Path, monkeypatch) -> None:
    encoder = DrawingsEncoder("x", path)
    many = pictures(5)
    whole, views = encoder.embed(many), encoder.embed_views(many, 3)
    monkeypatch.setattr(encoder, "_batch", 2)
    np.testing.assert_allclose(encoder.embed(many), whole, atol=1e-5)
    np.testing.assert_allclose(encoder.embed_views(many, 3), views, atol=1e-5)


def test_the_pair_head_is_the_trained_one_or_a_plain_distance(path: Path, tmp_path: Path) -> None:
    x, y = torch.randn(2, 20, 12)
    untrained = DrawingsEncoder("x", path).pair_head()
    with torch.no_grad():
        logits = untrained(x, y)
    order = (x - y).abs().sum(1).argsort()
    assert (logits[order].diff() <= 0).all()
    head = PairHead(12)
    torch.nn.init.normal_(head.linear.weight)
    trained = tmp_path / "trained.safetensors"
    weights = with_prefix("encoder", network().state_dict()) | with_prefix(
        "head", head.state_dict()
    )
    save_weights(trained, weights, CARD)
    ours = DrawingsEncoder("x", trained).pair_head()
    assert torch.equal(ours.linear.weight, head.linear.weight)
    assert torch.equal(ours(x, y), ours(y, x))


@pytest.mark.parametrize("name", ["siamese", "triplet", "prototype"])
def test_the_shipped_checkpoints_load_and_are_small(name: str) -> None:
    folder = Path(__file__).parents[1] / "assets" / "checkpoints"
    path = folder / f"drawings-{name}.safetensors"
    assert path.stat().st_size <= 10_000_000
    encoder = DrawingsEncoder(f"drawings-{name}", path)
    config = ConvNetConfig.from_dict(load_card(path)["architecture"])
    assert 1e6 <= sum(p.numel() for p in ConvNet(config).parameters()) <= 3e6
    norms = np.linalg.norm(encoder.embed(pictures()), axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-3)
    assert load_card(path)["method"] == name
    assert encoder.licence == "MIT"
