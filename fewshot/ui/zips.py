"""Zips of class folders that visitors take away: the classes they show, or what was sorted."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import gradio as gr

from fewshot.images import MAX_SET_BYTES, megabytes
from fewshot.types import InputError
from fewshot.ui import files
from fewshot.ui.markup import QUIET

# What some file system takes for something else than a letter of a name.
_RESERVED = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))
# Windows takes these for devices, whatever the letters' case and with any ending.
_DEVICES = {"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10)}
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # always the same, so that the same content is the same file


def zip_of_folders(
    name: str,
    folders: Iterable[tuple[str, Sequence[str]]],
    *,
    most: int = MAX_SET_BYTES,
    anywhere: bool = False,
) -> str:
    """Put files into a zip, a folder for each class, as an import takes it.

    Args:
        name: the zip's own.
        folders: class name and paths of its files; those without a file are left out.
        most: bytes of all files.
        anywhere: "A" and "a" shall be two folders on any machine, too, where one of them then
            has a number; else they keep their names, which this project tells apart.

    Returns:
        Where the zip lies in Gradio's cache.

    Raises:
        InputError: there are more.
    """
    folders = [(label, paths) for label, paths in folders if paths]
    size = sum(Path(path).stat().st_size for _, paths in folders for path in paths)
    if size > most:
        raise InputError(
            f"These pictures have {megabytes(size)} MB and {name} holds at most {megabytes(most)} "
            "MB: take some of them away."
        )

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:  # stored: pictures are compressed already
            labels = _distinct((_folder_name(label) for label, _ in folders), anywhere)
            for folder, (_, paths) in zip(labels, folders, strict=True):
                names = _distinct((Path(path).name for path in paths), True)
                for own, path in zip(names, paths, strict=True):
                    entry = zipfile.ZipInfo(f"{folder}/{own}", _FIRST_DATE)
                    archive.writestr(entry, Path(path).read_bytes())

    return files.kept_stream(name, write)


def hand_out(button: gr.Button, make: Callable[..., str], given: Sequence[Any], file: str) -> None:
    """Wire a button so that its click makes a file and then saves it.

    Args:
        button: that is clicked.
        make: from the values of ``given`` to the file's path.
        given: components.
        file: elem_id of the download button, which no one sees: Gradio's own saves what it was
            given before it was clicked.
    """
    download = gr.DownloadButton(elem_id=file, elem_classes="unseen")
    made = button.click(make, given, download, trigger_mode="once", concurrency_limit=2, **QUIET)
    # Once the page holds the file's address.
    save = f"() => {{ setTimeout(() => document.querySelector('#{file}').click(), 100) }}"
    made.success(None, js=save, api_visibility="private")


def _folder_name(label: str) -> str:
    """The label as near as file systems allow; never hidden, never a path."""
    name = label.translate(_RESERVED).rstrip(". ")
    device = name.partition(".")[0].rstrip().casefold() in _DEVICES
    return f"_{name}" if name.startswith(".") or not name or device else name


def _distinct(names: Iterable[str], more_than_case: bool) -> list[str]:
    """The names, the second of two alike with a number before its ending.

    Args:
        names: as wished for.
        more_than_case: those are alike, too, that differ in nothing else.
    """
    found: dict[str, str] = {}  # as it is told from others -> name
    for name in names:
        path, number, new = Path(name), 1, name
        while (key := new.casefold() if more_than_case else new) in found:
            number += 1
            new = f"{path.stem} ({number}){path.suffix}"
        found[key] = new
    return list(found.values())
