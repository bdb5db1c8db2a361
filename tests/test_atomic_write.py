"""Files written whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fewshot.atomic_write import write_atomically


def test_write_atomically_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "file"
    write_atomically(path, b"first")
    assert path.read_bytes() == b"first"
    write_atomically(path, b"second, longer")
    assert path.read_bytes() == b"second, longer"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failing", ["write", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch, failing: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    class FullDisk:
        def __init__(self, handle: int) -> None:
            self.handle = handle

        def __enter__(self) -> FullDisk:
            return self

        def __exit__(self, *error: object) -> None:
            os.close(self.handle)

        def write(self, data: bytes) -> None:
            os.write(self.handle, data[:2])
            raise OSError("No space left on device")

    def refuse(*args: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        if failing == "write":
            patch.setattr(os, "fdopen", lambda handle, mode: FullDisk(handle))
        else:
            patch.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="No space"):
            write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_told_of_by_its_own_name(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    path.mkdir()  # nothing replaces a folder
    with pytest.raises(IsADirectoryError) as told:
        write_atomically(path, b"new")
    assert told.value.filename == str(path) and told.value.filename2 is None
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    whole = [bytes([letter]) * 200_000 for letter in b"abcd"]
    write_atomically(path, whole[0])

    def keep_writing(data: bytes) -> None:
        for _ in range(20):
            write_atomically(path, data)

    writers = [threading.Thread(target=keep_writing, args=(data,)) for data in whole]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in whole
    assert list(tmp_path.iterdir()) == [path]
