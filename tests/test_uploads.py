"""The folder of visitors' files: private, swept whatever lies in it, and gone at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fewshot.ui import files, uploads


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the page's own, that files are kept in."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with uploads.own_folder() as own:
        yield Path(own)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float, sleep=time.sleep) -> None:
    """Let the sweep believe that so much time has passed."""
    clock = SimpleNamespace(time=lambda: time.time() + seconds, sleep=sleep)
    monkeypatch.setattr(uploads, "time", clock)


def kept(count: int) -> list[Path]:
    """Files of a kilobyte, the oldest first."""
    paths = []
    for i in range(count):
        paths.append(Path(files.kept_file("a.zip", bytes([i]) * 1024)))
        time.sleep(0.02)  # times of files are no finer than that
    return paths


def test_the_folder_is_its_owners_alone_and_ends_with_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "new"))
    with uploads.own_folder() as own:
        assert Path(own).parent == tmp_path / "new"
        assert Path(own).stat().st_mode & 0o777 == 0o700
        assert files.kept_file("a.txt", b"a").startswith(f"{own}/")
    assert list((tmp_path / "new").iterdir()) == []


def test_the_folder_is_chosen_before_gradio_asks_for_it() -> None:
    asked = "import sys, fewshot.ui.server; sys.exit('gradio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=Path(__file__).parents[1])
    assert done.returncode == 0


def test_a_day_later_files_and_their_folders_are_gone(folder: Path, monkeypatch) -> None:
    (folder / "half an upload").write_bytes(b"half")
    (folder / "empty").mkdir()  # of Gradio, which does not make it again
    one, another = kept(2)
    (one.parent / "same content.zip").write_bytes(one.read_bytes())
    later(monkeypatch, uploads.DAY - 60)
    uploads.sweep(folder)
    assert one.exists() and another.exists()
    later(monkeypatch, uploads.DAY + 60)
    uploads.sweep(folder)
    assert list(folder.iterdir()) == [folder / "empty"]


def test_what_is_given_anew_meanwhile_stays(folder: Path, monkeypatch) -> None:
    (path,) = kept(1)
    usage = shutil.disk_usage

    def given_anew(where: Path):  # after all files were looked at, and before one is deleted
        assert files.kept_file("a.zip", path.read_bytes()) == str(path)
        return usage(where)

    time.sleep(0.02)
    later(monkeypatch, uploads.DAY + 60)
    monkeypatch.setattr(uploads.shutil, "disk_usage", given_anew)
    uploads.sweep(folder)
    assert path.is_file()


def test_the_oldest_make_room_but_for_those_in_use(folder: Path, monkeypatch) -> None:
    paths = kept(4)
    monkeypatch.setattr(uploads, "_TINY", 0)
    monkeypatch.setattr(uploads, "MOST_BYTES", 2_500)
    uploads.sweep(folder)
    assert all(path.exists() for path in paths)
    later(monkeypatch, uploads.YOUNG + 60)
    uploads.sweep(folder)
    assert [path.exists() for path in paths] == [False, False, True, True]


def test_a_full_disk_spares_the_newest_and_a_few(folder: Path, monkeypatch) -> None:
    paths = kept(4)
    monkeypatch.setattr(uploads, "_TINY", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    uploads.sweep(folder)
    assert all(path.exists() for path in paths)  # others fill it
    monkeypatch.setattr(uploads, "SPARE_BYTES", 1_500)
    uploads.sweep(folder)
    assert [path.exists() for path in paths] == [False, False, True, True]


def test_what_killed_processes_left_is_deleted(folder: Path) -> None:
    dead, living, foreign = (
        folder.parent / name for name in (f"{uploads._PREFIX}1", f"{uploads._PREFIX}2", "fewshot")
    )
    for other in (dead, living, foreign):
        (other / "a").mkdir(parents=True)
        (other / "a" / "pic.png").touch()
    for other in (dead, foreign, folder):
        os.utime(other, (1, 1))
    uploads.sweep(folder)
    assert folder.exists() and not dead.exists()
    assert (living / "a" / "pic.png").exists() and (foreign / "a" / "pic.png").exists()


def test_no_path_that_a_visitor_names_ends_the_sweeping(folder: Path, monkeypatch) -> None:
    from fewshot.ui.page import build_page

    page = build_page()
    assert not page.delete_cache  # which such a path would end
    path = kept(1)[0]
    noted = page.temp_file_sets[0]
    noted.update([str(path), f"{path}/x", str(path.parent)])
    turns = []

    def sleep(_: float) -> None:
        turns.append(path.exists())
        if len(turns) == 2:
            raise KeyboardInterrupt
        later(monkeypatch, uploads.DAY + 60, sleep)
        monkeypatch.setattr(os, "walk", walk)

    def broken(_: Path) -> None:
        raise OSError("the disk does not answer")

    walk = os.walk
    monkeypatch.setattr(os, "walk", broken)
    later(monkeypatch, 0, sleep)
    with pytest.raises(KeyboardInterrupt):
        uploads.sweep_forever(folder, page.temp_file_sets)
    assert turns == [True, False] and not any(page.temp_file_sets)
