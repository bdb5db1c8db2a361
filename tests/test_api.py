"""The public endpoint, called as its users call it."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import served
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from gradio_client.utils import Status
from PIL import Image

from fewshot.class_folders import read_class_folders
from fewshot.images import decode, support_set
from fewshot.report import as_json


@pytest.fixture(scope="module")
def client(page_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    yield Client(page_url, verbose=False, download_files=str(tmp_path_factory.mktemp("client")))


@pytest.fixture
def letters(zip_of: Callable) -> str:
    return zip_of("letters.zip", n_classes=4, shots=2)


@pytest.fixture
def ask(client: Client) -> Callable[..., dict]:
    """Call the endpoint with files given by their paths."""

    def call(support: str, queries: list[str], **more: str) -> dict:
        files = [handle_file(query) for query in queries]
        return client.predict(handle_file(support), files, api_name="/classify", **more)

    return call


def test_only_classify_is_public(client: Client) -> None:
    described = client.view_api(return_format="dict", print_info=False)
    assert list(described["named_endpoints"]) == ["/classify"]
    assert not described["unnamed_endpoints"]
    parameters = described["named_endpoints"]["/classify"]["parameters"]
    assert [(p["parameter_name"], p["python_type"]["type"]) for p in parameters] == [
        ("support", "filepath"),
        ("queries", "list[filepath]"),
        ("preset", "str"),
    ]


def test_what_lies_elsewhere_is_not_fetched(client: Client, letters: str) -> None:
    address = "https://example.com/picture.png"
    for support, query in ((address, letters), (letters, address)):
        with pytest.raises(AppError, match="Addresses are not fetched here: give the file itself"):
            client.predict(handle_file(support), [handle_file(query)], api_name="/classify")


def test_it_answers_what_the_engine_answers(
    ask: Callable, letters: str, drawings: Callable
) -> None:
    from fewshot.compare import COMPARED, compare

    queries = drawings(2, range(3, 5), "felt")
    answer = ask(letters, queries, preset="drawings")
    expected = as_json(
        compare(
            support_set(read_class_folders(Path(letters)).classes),
            [decode(Path(query), Path(query).name) for query in queries],
            "drawings",
        )
    )
    assert answer["classes"] == expected["classes"]
    assert answer["unavailable"] == expected["unavailable"] == {}
    assert answer["encoders"] == expected["encoders"]
    assert answer["cautions"] == expected["cautions"]
    assert answer["preset"] == "drawings"
    assert len(answer["queries"]) == 2
    for given, wanted in zip(answer["queries"], expected["queries"], strict=True):
        assert given["file"] == wanted["file"]
        assert list(given["predictions"]) == list(COMPARED)
        for method, prediction in wanted["predictions"].items():
            got = given["predictions"][method]
            assert got["label"] == prediction["label"]
            if method not in ("clip", "clip-adapter"):  # who go by the names, which say nothing
                assert got["label"] == "Letter 2"
            assert got["probabilities"] == pytest.approx(prediction["probabilities"], abs=1e-5)
            assert got["milliseconds"] > 0
            assert [n["file"] for n in got["neighbours"]] == [
                n["file"] for n in prediction["neighbours"]
            ]
            assert [n["similarity"] for n in got["neighbours"]] == pytest.approx(
                [n["similarity"] for n in prediction["neighbours"]], abs=1e-5
            )


def test_the_command_line_reports_the_same(
    ask: Callable, letters: str, drawings: Callable, capsys: pytest.CaptureFixture
) -> None:
    from fewshot.cli import main

    (query,) = drawings(1, range(3, 4))
    answer = ask(letters, [query], preset="photos")
    main(["classify", "--support", letters, "--query", query, "--preset", "photos"])
    report = json.loads(capsys.readouterr().out)
    assert list(answer) == list(report)
    for part in ("classes", "encoders", "cautions", "left_out", "preset", "settings"):
        assert answer[part] == report[part]
    assert answer["preset"] == "photos"
    assert answer["settings"]["steps"] is None and answer["settings"]["model"] == "embedded"


def test_the_preset_may_be_left_out(ask: Callable, letters: str, drawings: Callable) -> None:
    answer = ask(letters, drawings(1, range(3, 4)))
    assert answer["queries"][0]["predictions"]["triplet"]["label"] == "Letter 1"


def refusal(call: Callable, *args, **kwargs) -> str:
    with pytest.raises(AppError) as raised:
        call(*args, **kwargs)
    return str(raised.value)


def test_what_is_wrong_is_told_in_a_sentence(
    ask: Callable, letters: str, zip_of: Callable, drawings: Callable, tmp_path: Path
) -> None:
    query = drawings(1, range(3, 4))
    nonsense = tmp_path / "nonsense.zip"
    nonsense.write_bytes(b"nothing of the kind")
    picture = tmp_path / "letter.png"
    picture.write_bytes(b"nothing of the kind")
    single = zip_of("single.zip", n_classes=1, shots=2)
    assert "'nonsense.zip' is not a zip file or is damaged" in refusal(ask, str(nonsense), query)
    assert "needs at least 2 classes, not 1" in refusal(ask, single, query)
    assert "give at least one picture" in refusal(ask, letters, [])
    assert "no preset “sketches”" in refusal(ask, letters, query, preset="sketches")
    assert "'letter.png' (19 bytes) is not a picture" in refusal(ask, letters, [str(picture)])
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(101):
            archive.write(query[0], f"{number}/1.png")
    assert "'many.zip' has 101 classes and at most 100" in refusal(ask, str(many), query)


def test_photos_are_answered_by_the_embedded_clip_which_says_so(
    ask: Callable, letters: str, drawings: Callable
) -> None:
    answer = ask(letters, drawings(1, range(3, 4)), preset="photos")
    assert set(answer["encoders"].values()) == {"open_clip, embedded"}
    assert "small embedded model" in answer["cautions"][0]
    assert "Settings" not in answer["cautions"][0]


def test_photos_taken_for_drawings_are_told_of(ask: Callable, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture, photos = tmp_path / "a.png", tmp_path / "photos.zip"
    few = Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8))
    few.resize((90, 90)).save(picture)
    with zipfile.ZipFile(photos, "w") as archive:
        for name in ("a/1.png", "b/1.png"):
            archive.write(picture, name)
    said = ask(str(photos), [str(picture)])["cautions"][0]
    assert said.startswith("These look like photos") and said.endswith("give the preset “photos”.")


def test_wrong_types_are_told_in_a_sentence(
    client: Client, letters: str, drawings: Callable
) -> None:
    def call(*args):
        return client.predict(*args, api_name="/classify")

    archive, query = handle_file(letters), handle_file(drawings(1, range(3, 4))[0])
    assert "“support” takes uploaded files" in refusal(call, "letters.zip", [query], "drawings")
    assert "“queries” takes uploaded files" in refusal(call, archive, [3], "drawings")
    assert "The queries are a list of files" in refusal(call, archive, query, "drawings")
    assert "The preset is a word" in refusal(call, archive, [query], 3)


@pytest.mark.parametrize("path", ["/etc/hostname", "a\0b"])
def test_a_file_of_the_server_cannot_be_asked_for(
    client: Client, drawings: Callable, path: str
) -> None:
    query = handle_file(drawings(1, range(3, 4))[0])
    sentence = refusal(client.predict, {"path": path}, [query], "drawings", api_name="/classify")
    assert "names a file that was not uploaded" in sentence


def test_a_stop_amid_a_run_is_an_orderly_end(
    zip_of: Callable, drawings: Callable, tmp_path: Path
) -> None:
    many = zip_of("many.zip", n_classes=30, shots=12)
    with served(tmp_path / "log.txt", tmp_path) as (url, server):
        asking = Client(url, verbose=False)
        query = handle_file(drawings(1, range(3, 4))[0])
        job = asking.submit(handle_file(many), [query], api_name="/classify")
        deadline = time.monotonic() + 60
        while job.status().code is not Status.PROCESSING:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)  # into the work, which begins with waking the engine
        assert not job.done()
        server.terminate()
        assert server.wait(30) == 0
    assert list((tmp_path / "gradio").iterdir()) == []
    assert "terminate called" not in (tmp_path / "log.txt").read_text("utf-8")
