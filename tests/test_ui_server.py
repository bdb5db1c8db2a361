"""The page without a browser: its start, its listeners, and errors that become sentences."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest

from fewshot.types import InputError
from fewshot.ui import errors, markup, server


def test_only_an_input_error_is_told_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def fail(error: Exception):
        raise error

    with pytest.raises(gr.Error) as told:
        errors.shown(fail)(InputError("'<b>' is no picture."))
    assert told.value.message == "&#x27;&lt;b&gt;&#x27; is no picture."
    with pytest.raises(gr.Error) as told:
        errors.told(fail)(InputError("'<b>' is no picture."))
    assert told.value.message == "'<b>' is no picture."
    with pytest.raises(gr.Error) as told:
        errors.shown(fail)(KeyError("/secret/path"))
    assert told.value.message == markup.escaped(errors.UNEXPECTED)
    assert "/secret/path" in caplog.text  # whoever runs the page is told


def test_a_generator_that_fails_is_caught_too() -> None:
    def steps():
        yield 1
        raise InputError("No.")

    running = errors.shown(steps)()
    assert next(running) == 1
    with pytest.raises(gr.Error, match="No"):
        next(running)


def test_building_the_page_imports_no_torch() -> None:
    code = (
        "import sys; from fewshot.ui.page import build_page; build_page(); "
        "sys.exit(sorted({'torch', 'faiss', 'open_clip'} & set(sys.modules)) or 0)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--port", "seven"], {}, "a port is a number from 1 to 65535, not 'seven'"),
        ([], {"GRADIO_SERVER_PORT": "0"}, "a port is a number from 1 to 65535, not '0'"),
        (["--frobnicate"], {}, "unrecognized arguments: --frobnicate"),
        (
            ["--port", "7999"],
            {"FEWSHOT_CHECKPOINTS": "/nowhere"},
            "FEWSHOT_CHECKPOINTS is to name a folder",
        ),
        (["--port", "7999", "--host", "256.0.0.1"], {}, "cannot listen on 256.0.0.1:7999"),
        (["--port", "7999", "--host", "." + "a" * 64], {}, "cannot listen on .a"),
    ],
)
def test_bad_arguments_end_in_one_line(
    arguments: list[str], environment: dict[str, str], sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=Path(__file__).parents[1],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


def test_a_taken_port_is_said_and_no_other_is_tried() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(server.StartError, match=f"cannot listen on 127.0.0.1:{port}"):
            server.run("127.0.0.1", port)


def test_a_space_listens_to_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert server.default_host() == "127.0.0.1"
    monkeypatch.setenv("SPACE_ID", "somebody/something")
    assert server.default_host() == "0.0.0.0"
    monkeypatch.setenv("GRADIO_SERVER_NAME", "10.0.0.1")
    assert server.default_host() == "10.0.0.1"


def test_a_change_asks_the_browser_for_little() -> None:
    """Gradio's reads every input and trigger of each listener, and tells every progress target."""
    from fewshot.ui.page import build_page

    page = build_page()
    listeners = [one for one in page.fns.values() if one.api_visibility == "private"]
    asked = [one for one in listeners if one.fn is not None]
    assert len(asked) > 30
    assert [one.fn for one in asked if one.show_progress_on != []] == []
    assert [one.targets for one in listeners if len(one.targets) > 10] == []

    read = dict.fromkeys(page.blocks, 0)  # inputs that are read when it changes
    for one in listeners:
        for number in (block for block, event in one.targets if event == "change"):
            read[number] += len(one.inputs)
    told_of_many = [page.blocks[number] for number, n in read.items() if n > 2]
    assert len(told_of_many) == 7  # two of each tab, one of the kind of pictures
    assert all(isinstance(one, gr.Textbox) and one.visible is False for one in told_of_many)


def test_a_word_on_a_run_goes_with_the_next_change_alone() -> None:
    """Not with the end of the run, which may come after a change: it would never be seen."""
    from fewshot.ui.page import build_page

    page = build_page()
    (word,) = (one for one in page.blocks.values() if one.elem_id == "problem-said")
    listeners = page.fns.values()
    (clearing,) = (
        one for one in listeners if one.outputs == [word] and "change" in dict(one.targets).values()
    )
    (field,) = dict(clearing.targets)
    tellers = [one for one in listeners if one.outputs == [page.blocks[field]]]
    assert len(tellers) > 30
    assert {event for one in tellers for _, event in one.targets} == {"change"}
