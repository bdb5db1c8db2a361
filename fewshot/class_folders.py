"""Reads labelled pictures laid out as one folder per class, from a directory or a zip.

``cat/1.png, cat/2.png, dog/1.png`` are two classes; folders around them all are looked through.
Nothing of a zip is ever written to disk.
"""

from __future__ import annotations

import math
import re
import stat
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fewshot import images
from fewshot.class_names import class_name, quoted, visible
from fewshot.types import InputError, Picture

# What file managers leave behind; names that start with a dot are passed over as well.
_LITTER = {"__macosx", "thumbs.db", "desktop.ini"}
# The two every zip program writes; LZMA and the rest can be made to claim gigabytes of memory.
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED, _UTF8_NAME = 0x1, 0x800  # bits of an entry's flags
# A folder, a file and a Mac's __MACOSX double are several entries for one picture.
_ENTRIES_PER_PICTURE = 10


@dataclass(frozen=True)
class ClassFolders:
    """What was read.

    Attributes:
        classes: each class name with its pictures, both in natural order (class2 before class10);
            what ``images.support_set`` takes.
        skipped: one sentence for each file or folder that was left out.
    """

    classes: tuple[tuple[str, tuple[Picture, ...]], ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """A file or folder: its path's parts, its bytes, and what fetches it (None for a folder)."""

    parts: tuple[str, ...]
    size: int = 0
    load: Callable[[], bytes | Path] | None = None

    @property
    def name(self) -> str:
        return "/".join(visible(part) for part in self.parts)


class _DamagedZipError(InputError):
    """An entry that cannot be unpacked: it ends the reading, where a bad picture is left out."""


def read_class_folders(path: Path, *, limited: bool = True) -> ClassFolders:
    """Read a directory or a zip that holds one folder of pictures per class.

    A file that is no picture, a loose file, a file deeper than its class folder, a class folder
    without a picture and, in a directory, a symbolic link (never followed) are left out and
    reported, and so is a folder whose name is no class name. Hidden files and what file managers
    leave behind are passed over in silence.

    Args:
        path: the directory or the zip.
        limited: hold to ``MAX_SET_PICTURES``, ``MAX_SET_BYTES`` and ``MAX_SET_PIXELS``, as every
            upload must; False for a data set its owner names on the command line. Each picture's
            limits stay.

    Returns:
        The classes that have a picture. A picture's name is ``class folder/file``.

    Raises:
        InputError: nothing usable in it, over the limits, two folders that give one class name,
            or a zip that is damaged or unsafe (a path that leaves it, a link, an encrypted file).
    """
    *_, found = class_folders_in_steps(path, limited=limited)
    return found


def class_folders_in_steps(path: Path, *, limited: bool = True) -> Iterator[float | ClassFolders]:
    """What :func:`read_class_folders` does, pausing before each file that it decodes.

    Yields:
        The share of the files gone through, and at last what was read.
    """
    path = path.absolute()  # so that "." has a name for messages
    skipped: list[str] = []
    if path.is_dir():
        try:
            found = list(_walk(path, skipped))
        except OSError as error:
            raise InputError(f"{quoted(path.name)} cannot be listed: allow reading it.") from error
        yield from _read(path.name, found, skipped, limited)
        return
    with _open_zip(path, limited) as archive:
        found = [_zip_entry(archive, entry, path.name) for entry in archive.infolist()]
        found = [entry for entry in found if entry.parts and not _is_litter(*entry.parts)]
        yield from _read(path.name, found, skipped, limited)


def _read(
    origin: str, found: list[_Found], skipped: list[str], limited: bool
) -> Iterator[float | ClassFolders]:
    found = _unwrapped(found)
    folders = _by_folder(found, skipped)
    files = [file for folder in folders.values() for file in folder]
    if not files:
        n_files = len([file for file in found if file.load])
        what = "put the pictures of each class into a folder of its name"
        if any(file.load and len(file.parts) > 2 for file in found):
            what = "they lie deeper; put the folders of all classes side by side"
        raise InputError(
            f"{quoted(origin)} has no file in a class folder, of {n_files} in all: {what}; a zip "
            "in it is not opened."
        )
    if limited:
        _check_set_size(origin, files)
    names = _class_names(origin, folders, skipped)
    classes, broken = [], []
    most = images.MAX_SET_PIXELS if limited else math.inf
    budget = images.Budget(f"The pictures in {quoted(origin)}", most)
    shares = (done / len(files) for done in range(len(files)))
    for folder, name in names.items():
        pictures, refusals = yield from _decoded(folders[folder], budget, shares)
        broken += refusals
        skipped += refusals
        if pictures:
            classes.append((name, pictures))
        else:
            skipped.append(f"The folder {quoted(folder)} has no picture and makes no class.")
    if not classes:
        raise InputError(
            f"None of the files in the class folders of {quoted(origin)} is a picture that can be "
            f"used, the first because {(broken or skipped)[0].rstrip('.')}."
        )
    yield ClassFolders(tuple(classes), tuple(skipped))


def _unwrapped(found: list[_Found]) -> list[_Found]:
    """Without the folder, or the folders in each other, that hold all class folders."""
    around, loose = 0, []  # how many folders are looked through, and the files that lie in them
    while True:
        tops = {
            entry.parts[around]
            for entry in found
            if entry.load is None or len(entry.parts) > around + 1
        }
        if len(tops) != 1 or not any(e.load and len(e.parts) > around + 2 for e in found):
            return [replace(entry, parts=entry.parts[around:]) for entry in found] + loose
        # A file that lies in one of them stays named as it is, and loose.
        loose += [
            replace(entry, parts=entry.parts[around:])
            for entry in found
            if entry.parts[around] not in tops
        ]
        found = [e for e in found if e.parts[around] in tops and len(e.parts) > around + 1]
        around += 1


def _by_folder(found: list[_Found], skipped: list[str]) -> dict[str, list[_Found]]:
    folders: dict[str, list[_Found]] = {}
    for entry in sorted(found, key=lambda entry: _natural(entry.parts)):
        if entry.load is None:
            if len(entry.parts) == 1:
                folders.setdefault(entry.parts[0], [])
        elif len(entry.parts) == 1:
            skipped.append(f"{quoted(entry.name)} lies outside the class folders.")
        elif len(entry.parts) == 2:
            folders.setdefault(entry.parts[0], []).append(entry)
        else:
            skipped.append(f"{quoted(entry.name)} lies deeper than its class folder.")
    return folders


def _natural(parts: tuple[str, ...]) -> tuple:
    # Digits compare by length, then digit by digit: a number, without int() and its limits.
    pieces = [re.split(r"(\d+)", part.casefold()) for part in parts]
    for piece in pieces:
        piece[1::2] = [(len(digits), digits) for digits in (d.lstrip("0") for d in piece[1::2])]
    return pieces, parts


def _class_names(
    origin: str, folders: dict[str, list[_Found]], skipped: list[str]
) -> dict[str, str]:
    """Folder -> class name, all distinct; a folder whose name is none is left out."""
    names: dict[str, str] = {}
    for folder in folders:
        try:
            name = class_name(folder)
        except InputError as error:
            skipped.append(f"The folder {quoted(folder)} makes no class: {error}")
            continue
        if name in names.values():
            raise InputError(
                f"{quoted(origin)} has two folders for the class {quoted(name)}: rename one."
            )
        names[folder] = name
    return names


def _check_set_size(origin: str, files: list[_Found]) -> None:
    if len(files) > images.MAX_SET_PICTURES:
        raise InputError(
            f"{quoted(origin)} has {len(files):,} files in class folders and at most "
            f"{images.MAX_SET_PICTURES:,} are accepted: leave some out."
        )
    total = sum(file.size for file in files)
    if total > images.MAX_SET_BYTES:
        raise InputError(
            f"{quoted(origin)} has {images.megabytes(total)} MB of files unpacked and at most "
            f"{images.megabytes(images.MAX_SET_BYTES)} MB are accepted: leave some out."
        )


def _decoded(
    files: list[_Found], budget: images.Budget, shares: Iterator[float]
) -> Generator[float, None, tuple[tuple[Picture, ...], list[str]]]:
    """The pictures, and a sentence for each file that is none; tells of a share before each."""
    pictures, refusals = [], []
    for file in files:
        yield next(shares)
        try:
            images.check_file_size(file.size, file.name)  # before a zip entry is unpacked
            source = file.load()
            budget.take(source)
            pictures.append(images.decode(source, file.name))
        except (_DamagedZipError, images.SpentError):  # these end the reading
            raise
        except InputError as error:
            refusals.append(str(error))
    return tuple(pictures), refusals


def _is_litter(*parts: str) -> bool:
    return any(part.startswith(".") or part.casefold() in _LITTER for part in parts)


def _walk(root: Path, skipped: list[str]) -> Iterator[_Found]:
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        above = waiting.pop()
        for child in root.joinpath(*above).iterdir():
            entry = _Found((*above, child.name))
            if _is_litter(child.name):
                continue
            # A link may lead out of the directory, or round in a circle.
            if child.is_symlink() or not (child.is_dir() or child.is_file()):
                skipped.append(f"{quoted(entry.name)} is a link or no ordinary file.")
            elif child.is_dir():
                waiting.append(entry.parts)
                yield entry
            else:
                yield replace(entry, size=child.stat().st_size, load=partial(Path, child))


def _open_zip(path: Path, limited: bool) -> zipfile.ZipFile:
    try:
        if limited:
            _check_entry_count(path)
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise InputError(f"There is no file or folder {quoted(path.name)}: choose one.") from error
    except InputError:
        raise
    # Bad bytes raise BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error, OSError.
    except Exception as error:
        raise InputError(
            f"{quoted(path.name)} is not a zip file or is damaged: make the zip again."
        ) from error


def _check_entry_count(path: Path) -> None:
    """Count the entries without zipfile, which makes an object of each, be it of millions."""
    most = images.MAX_SET_PICTURES * _ENTRIES_PER_PICTURE
    count, tail = 0, b""
    with path.open("rb") as file:
        while block := file.read(images.MB):
            count += (tail + block).count(b"PK\x01\x02")
            tail = (tail + block)[-3:]
    if count > most:
        raise InputError(
            f"{quoted(path.name)} has {count:,} entries and at most {most:,} are accepted: "
            f"leave some out."
        )


def _zip_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, origin: str) -> _Found:
    """One line of the zip's directory; a single unsafe one refuses the whole zip."""
    path = entry.orig_filename
    if not entry.flag_bits & _UTF8_NAME:  # read as cp437 by the standard, but often UTF-8 in fact
        try:
            path = path.encode("cp437").decode("utf-8")
        except UnicodeError:
            path = entry.orig_filename
    path = path.replace("\\", "/")  # which old Windows programs write
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    kind = stat.S_IFMT(entry.external_attr >> 16)  # of Unix; 0 when the zip does not say
    folder = path.endswith("/") or not parts
    what = None
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in parts or "\0" in path:
        what = "has a path that leaves the zip"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "is a link or no ordinary file"
    elif entry.flag_bits & _ENCRYPTED:
        what = "is encrypted"
    elif not folder and entry.compress_type not in _COMPRESSIONS:
        what = f"is compressed by method {entry.compress_type}, not by the usual deflate"
    if what:
        raise InputError(
            f"{quoted(path)} in {quoted(origin)} {what}: make the zip again from plain files."
        )
    if folder:
        return _Found(parts)
    return _Found(parts, entry.file_size, partial(_unpack, archive, entry, origin))


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, origin: str) -> bytes:
    """The entry's bytes; never more are unpacked than its header says, which has been checked."""
    problem = f"{quoted(entry.filename)} in {quoted(origin)} is damaged: make the zip again."
    try:
        with archive.open(entry) as file:
            data = file.read(entry.file_size + 1)
    # BadZipFile (a wrong checksum too), zlib.error, EOFError, struct.error, UnicodeDecodeError.
    except Exception as error:
        raise _DamagedZipError(problem) from error
    if len(data) != entry.file_size:
        raise _DamagedZipError(problem)
    return data
