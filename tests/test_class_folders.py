"""Folders and zips of classes: what is read, what is left out, and what is refused whole."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot import images
from fewshot.class_folders import ClassFolders, class_folders_in_steps, read_class_folders
from fewshot.images import support_set
from fewshot.types import InputError


def dot(value: int) -> bytes:
    """A PNG of one grey pixel: every picture of a test is told apart by its value."""
    stream = io.BytesIO()
    Image.new("RGB", (1, 1), (value, value, value)).save(stream, "PNG")
    return stream.getvalue()


PLAIN = {"cat/1.png": dot(1), "cat/2.png": dot(2), "dog/1.png": dot(3)}


def make_zip(path: Path, files: dict, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_folder(path: Path, files: dict) -> Path:
    for name, data in files.items():
        target = path / name
        if name.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    return path


@pytest.fixture(params=["zip", "folder"])
def make(request, tmp_path):
    """Lays files out as a zip and as a directory, so that both are held to the same."""
    if request.param == "zip":
        return lambda files: make_zip(tmp_path / "set.zip", files)
    return lambda files: make_folder(tmp_path / "set", files)


@pytest.fixture
def zipped(tmp_path):
    return lambda files, **options: make_zip(tmp_path / "set.zip", files, **options)


def contents(read: ClassFolders) -> dict[str, dict[str, int]]:
    """Class -> picture name -> grey value, in the order read."""
    return {
        name: {picture.name: int(picture.pixels[0, 0, 0]) for picture in pictures}
        for name, pictures in read.classes
    }


def refusal(path: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        read_class_folders(path, **options)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and ". " not in message
    return message


# --- what is read ----------------------------------------------------------------------------


def test_one_folder_per_class(make):
    read = read_class_folders(make(PLAIN))
    assert contents(read) == {"cat": {"cat/1.png": 1, "cat/2.png": 2}, "dog": {"dog/1.png": 3}}
    assert read.skipped == ()
    support = support_set(read.classes)
    assert support.classes == ("cat", "dog") and support.labels.tolist() == [0, 0, 1]


def test_reading_pauses_before_each_file_and_can_end_there(make, monkeypatch):
    path = make({f"{name}/{i}.png": dot(i) for name in ("cat", "dog") for i in range(2)})
    *shares, read = class_folders_in_steps(path)
    assert shares == [0, 0.25, 0.5, 0.75] and contents(read) == contents(read_class_folders(path))
    decoded, decode = [], images.decode
    monkeypatch.setattr(images, "decode", lambda *given: decoded.append(1) or decode(*given))
    reading = class_folders_in_steps(path)
    assert [next(reading), next(reading)] == [0, 0.25]
    reading.close()
    assert len(decoded) == 1


def test_natural_order(make):
    names = ["class10/1.png", "class2/x10.png", "class2/x9.png", "class2/X1.png", "Class1/007.png"]
    names += ["class2/x" + "9" * 200 + ".png", "class2/x.png", "Class1/10.png"]
    read = read_class_folders(make({name: dot(value) for value, name in enumerate(names)}))
    assert [name for name, _ in read.classes] == ["Class1", "class2", "class10"]
    values = [list(pictures.values()) for pictures in contents(read).values()]
    assert values == [[4, 7], [3, 2, 1, 5, 6], [0]]


def test_one_folder_around_all_is_looked_through(make):
    read = read_class_folders(make({"my set/" + name: data for name, data in PLAIN.items()}))
    assert contents(read) == {"cat": {"cat/1.png": 1, "cat/2.png": 2}, "dog": {"dog/1.png": 3}}
    assert read.skipped == ()


def test_loose_files_beside_and_within_the_folder_around_all(make):
    files = {"READ ME.txt": b"hello", "root/list.csv": b"1,2", "root/cat/1.png": dot(1)}
    read = read_class_folders(make(files))
    assert contents(read) == {"cat": {"cat/1.png": 1}}
    assert read.skipped == (
        "'list.csv' lies outside the class folders.",
        "'READ ME.txt' lies outside the class folders.",
    )


def test_folders_in_each_other_around_all_are_looked_through(make):
    files = {"a/b/c/" + name: data for name, data in PLAIN.items()}
    assert contents(read_class_folders(make(files))) == contents(read_class_folders(make(PLAIN)))


def test_a_thousand_folders_around_all_are_looked_through(zipped):
    around = "a/" * 1500
    files = {around + f"cat/{i}.png": dot(1) for i in range(20)} | {around + "dog/1.png": dot(3)}
    read = read_class_folders(zipped(files | {"a/loose.txt": b"x"}))
    assert [(name, len(pictures)) for name, pictures in read.classes] == [("cat", 20), ("dog", 1)]
    assert read.skipped == ("'loose.txt' lies outside the class folders.",)


def test_two_folders_around_some_are_too_many(make):
    message = refusal(make({f"{top}/cat/1.png": dot(i) for i, top in enumerate("ab")}))
    assert "has no file in a class folder, of 2 in all: they lie deeper; put the folders" in message


def test_deeper_files_are_left_out(make):
    files = PLAIN | {"cat/more/9.png": dot(9), "cat/more/still/8.png": dot(8)}
    read = read_class_folders(make(files))
    assert contents(read)["cat"] == {"cat/1.png": 1, "cat/2.png": 2}
    assert read.skipped == (
        "'cat/more/9.png' lies deeper than its class folder.",
        "'cat/more/still/8.png' lies deeper than its class folder.",
    )


def test_litter_is_passed_over_in_silence(make):
    litter = [".DS_Store", "cat/.DS_Store", "cat/._1.png", "cat/Thumbs.db", "dog/desktop.ini"]
    litter += ["__MACOSX/cat/._1.png", "__MACOSX/cat/1.png", ".git/objects/x", "dog/.hidden/1.png"]
    read = read_class_folders(make(PLAIN | dict.fromkeys(litter, b"rubbish")))
    assert list(contents(read)) == ["cat", "dog"]
    assert read.skipped == ()


def test_litter_does_not_hide_the_folder_around_all(make):
    files = {"root/cat/1.png": dot(1), "__MACOSX/root/cat/._1.png": b"x", ".DS_Store": b"x"}
    assert contents(read_class_folders(make(files))) == {"cat": {"cat/1.png": 1}}


def test_a_broken_picture_costs_only_itself(make):
    files = PLAIN | {"cat/3.png": dot(1)[:43], "dog/notes.txt": b"woof", "dog/0.png": b""}
    read = read_class_folders(make(files))
    assert contents(read) == {"cat": {"cat/1.png": 1, "cat/2.png": 2}, "dog": {"dog/1.png": 3}}
    assert len(read.skipped) == 3
    assert read.skipped[0].startswith("'cat/3.png' (43 bytes) is cut short, damaged")
    assert read.skipped[1].startswith("'dog/0.png' is empty (0 bytes)")
    assert read.skipped[2].startswith("'dog/notes.txt' (4 bytes) is not a picture")


def test_a_class_without_a_picture_is_reported(make):
    read = read_class_folders(make(PLAIN | {"empty/": b"", "text/a.txt": b"hello"}))
    assert list(contents(read)) == ["cat", "dog"]
    assert read.skipped[0] == "The folder 'empty' has no picture and makes no class."
    assert read.skipped[1].startswith("'text/a.txt' (5 bytes) is not a picture")
    assert read.skipped[2] == "The folder 'text' has no picture and makes no class."


def test_class_names_of_any_script_are_tidied(make):
    read = read_class_folders(
        make({"猫/1.png": dot(1), " cafe\u0301  noir /1.png": dot(2), "кот/x\u202ey.png": dot(3)})
    )
    assert contents(read) == {
        "caf\u00e9 noir": {"caf\u00e9 noir/1.png": 2},
        "кот": {"кот/xy.png": 3},
        "猫": {"猫/1.png": 1},
    }


def test_two_folders_of_one_class_name(make):
    assert "two folders for the class 'cat': rename one" in refusal(
        make({"cat/1.png": dot(1), "cat /1.png": dot(2)})
    )


@pytest.mark.parametrize(
    ("folder", "said"),
    [("x" * 81, "has 81 characters: keep to 80"), ("\u200b", "A class has no name")],
)
def test_bad_class_names(make, folder, said):
    read = read_class_folders(make(PLAIN | {f"{folder}/1.png": dot(1)}))
    assert [name for name, _ in read.classes] == ["cat", "dog"]
    (skipped,) = read.skipped
    assert "makes no class: " in skipped and said in skipped


# --- nothing to read -------------------------------------------------------------------------


def test_nothing_in_it(make):
    assert "has no file in a class folder, of 0 in all" in refusal(make({"cat/": b""}))


def test_loose_pictures(make):
    path = make({"1.png": dot(1), "2.png": dot(2)})
    message = refusal(path)
    assert message.startswith(f"'{path.name}' has no file in a class folder, of 2 in all")
    assert "put the pictures of each class into a folder" in message


def test_no_picture_among_the_files(make):
    message = refusal(make({"a/1.txt": b"one", "b/2.txt": b"two"}))
    assert message.startswith("None of the files in the class folders of")
    assert "'a/1.txt' (3 bytes) is not a picture" in message
    # What is told first is of a file in a class folder.
    assert "'a/1.txt'" in refusal(make({"read.me": b"", "empty/": b"", "a/1.txt": b"one"}))


def test_no_such_path(tmp_path):
    assert "no file or folder 'gone.zip'" in refusal(tmp_path / "gone.zip")
    assert "no file or folder 'gone.zip'" in refusal(tmp_path / "gone.zip", limited=False)


# --- limits ----------------------------------------------------------------------------------


def test_too_many_pictures(make, monkeypatch):
    path = make(PLAIN | {"loose.txt": b"not counted", "cat/.hidden": b"nor this"})
    monkeypatch.setattr(images, "MAX_SET_PICTURES", 3)
    assert len(contents(read_class_folders(path))) == 2
    monkeypatch.setattr(images, "MAX_SET_PICTURES", 2)
    assert "has 3 files in class folders and at most 2 are accepted" in refusal(path)
    assert len(contents(read_class_folders(path, limited=False))) == 2


def test_too_many_bytes(make, monkeypatch):
    path = make(PLAIN | {"cat/big.bin": bytes(images.MB)})
    total = sum(map(len, PLAIN.values())) + images.MB
    monkeypatch.setattr(images, "MAX_SET_BYTES", total)
    assert len(read_class_folders(path).skipped) == 1
    monkeypatch.setattr(images, "MAX_SET_BYTES", images.MB)
    assert "has 1.1 MB of files unpacked and at most 1 MB are accepted" in refusal(path)
    assert len(read_class_folders(path, limited=False).skipped) == 1


def test_the_limits_are_checked_before_anything_is_decoded(make, monkeypatch):
    def decode(*_):
        raise AssertionError("decoded")

    path = make(PLAIN)
    monkeypatch.setattr(images, "decode", decode)
    monkeypatch.setattr(images, "MAX_SET_PICTURES", 2)
    assert "at most 2" in refusal(path)


def encoded(side: int, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_too_many_pixels_in_all(make, monkeypatch, kind):
    pictures = {f"{name}/{i}.bin": encoded(40, kind) for name in ("cat", "dog") for i in range(2)}
    path = make(pictures | {"cat/notes.txt": b"no picture costs no pixels"})
    monkeypatch.setattr(images, "MAX_SET_PIXELS", 4 * 40 * 40)
    assert [len(found) for _, found in read_class_folders(path).classes] == [2, 2]
    monkeypatch.setattr(images, "MAX_SET_PIXELS", 4 * 40 * 40 - 1)
    assert "gigapixels in all: save them smaller, or as JPEG" in refusal(path)
    assert len(read_class_folders(path, limited=False).classes) == 2


def test_a_jpeg_counts_as_large_as_it_is_decoded(make, monkeypatch):
    monkeypatch.setattr(images, "KEPT_SIDE", 8)
    path = make({"cat/1.jpg": encoded(40, "JPEG"), "dog/1.jpg": encoded(40, "JPEG")})
    monkeypatch.setattr(images, "MAX_SET_PIXELS", 2 * 8 * 8)
    assert len(read_class_folders(path).classes) == 2


def claim(path: Path, name: str, size: int) -> Path:
    """Make both headers of an entry say that it unpacks to ``size`` bytes."""
    data = bytearray(path.read_bytes())
    for signature, at, name_at in ((b"PK\x01\x02", 24, 46), (b"PK\x03\x04", 22, 30)):
        start = data.find(signature)
        while data[start + name_at : start + name_at + len(name)] != name.encode():
            start = data.find(signature, start + 1)
            assert start >= 0
        struct.pack_into("<I", data, start + at, size)
    path.write_bytes(data)
    return path


def test_declared_size_is_refused_before_unpacking(zipped, monkeypatch):
    path = claim(zipped(PLAIN), "cat/2.png", 301 * images.MB)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # opening an entry would fail
    message = refusal(path)
    assert "'set.zip' has 301.1 MB of files unpacked and at most 300 MB" in message


def test_declared_size_of_one_picture(zipped):
    read = read_class_folders(claim(zipped(PLAIN), "cat/2.png", 21 * images.MB))
    assert contents(read)["cat"] == {"cat/1.png": 1}
    assert read.skipped[0].startswith("'cat/2.png' has 21 MB and at most 20 MB")


def test_a_header_that_lies_about_a_bomb(zipped):
    path = zipped(PLAIN | {"cat/bomb.png": bytes(64 * images.MB)})
    claim(path, "cat/bomb.png", 1000)
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "'cat/bomb.png' in 'set.zip' is damaged" in message
    assert peak < 4 * images.MB  # the 64 MB were never unpacked


def test_a_header_that_claims_more_than_there_is(zipped):
    path = claim(zipped(PLAIN), "cat/2.png", 5000)
    assert "'cat/2.png' in 'set.zip' is damaged" in refusal(path)


def test_too_many_entries_are_refused_before_they_are_listed(zipped, monkeypatch):
    path = zipped({f"e/{number}/": b"" for number in range(21)})
    monkeypatch.setattr(images, "MAX_SET_PICTURES", 2)
    monkeypatch.setattr(images, "MB", 64)  # many blocks, so that some cut a signature in two
    assert "has 21 entries and at most 20 are accepted" in refusal(path)
    assert "of 0 in all" in refusal(path, limited=False)


def test_picture_limits_stay_without_set_limits(make, monkeypatch):
    path = make(PLAIN | {"dog/big.png": bytes(500)})
    monkeypatch.setattr(images, "MAX_PICTURE_BYTES", 400)
    read = read_class_folders(path, limited=False)
    assert len(read.skipped) == 1 and read.skipped[0].startswith("'dog/big.png' has 0.1 MB")


# --- unsafe and damaged zips -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../1.png",
        "cat/../../1.png",
        "cat/../dog/1.png",
        "/etc/1.png",
        "C:/cat/1.png",
        "c:1.png",
        "..\\1.png",
        "cat\\..\\..\\1.png",
        "\\\\host\\1.png",
        "\\1.png",
        "__MACOSX/../../1.png",
    ],
)
def test_paths_that_leave_the_zip(zipped, name):
    message = refusal(zipped(PLAIN | {name: dot(9)}))
    assert "in 'set.zip' has a path that leaves the zip" in message
    assert f"'{name.replace(chr(92), '/')}'" in message


def test_a_nul_in_a_name(zipped):
    path = zipped(PLAIN | {"cat/a#b.png": dot(9)})
    path.write_bytes(path.read_bytes().replace(b"cat/a#b.png", b"cat/a\0b.png"))
    assert "has a path that leaves the zip" in refusal(path)


def test_backslashes_separate_and_dots_are_nothing(zipped):
    read = read_class_folders(zipped({"cat\\1.png": dot(1), "./dog//2.png": dot(2), "./": b""}))
    assert contents(read) == {"cat": {"cat/1.png": 1}, "dog": {"dog/2.png": 2}}


@pytest.mark.parametrize("kind", [0o120777, 0o010644, 0o020644])  # link, pipe, device
def test_links_and_devices_in_a_zip(zipped, kind):
    path = zipped(PLAIN)
    entry = zipfile.ZipInfo("cat/passwd.png")
    entry.create_system, entry.external_attr = 3, kind << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert "'cat/passwd.png' in 'set.zip' is a link or no ordinary file" in refusal(path)


def test_an_encrypted_entry(zipped):
    path = zipped(PLAIN)
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1  # the last entry, dog/1.png
    path.write_bytes(data)
    assert "'dog/1.png' in 'set.zip' is encrypted" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_unusual_compression(zipped, method):
    message = refusal(zipped(PLAIN, compression=method))
    assert f"'cat/1.png' in 'set.zip' is compressed by method {method}" in message


def test_stored_entries_are_read(zipped):
    assert len(read_class_folders(zipped(PLAIN, compression=zipfile.ZIP_STORED)).classes) == 2


def test_bad_checksum(zipped):
    path = zipped(PLAIN, compression=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.find(dot(2)) + 20] ^= 1
    path.write_bytes(data)
    assert "'cat/2.png' in 'set.zip' is damaged" in refusal(path)


def test_damaged_compressed_data(zipped):
    path = zipped(PLAIN)
    data = bytearray(path.read_bytes())
    start = data.find(b"cat/2.png") + len("cat/2.png")
    data[start : start + 10] = b"\xff" * 10
    path.write_bytes(data)
    assert "'cat/2.png' in 'set.zip' is damaged" in refusal(path)


def test_not_a_zip(tmp_path, zipped):
    (tmp_path / "notes.zip").write_text("hello")
    assert "'notes.zip' is not a zip file or is damaged" in refusal(tmp_path / "notes.zip")
    (tmp_path / "none.zip").touch()
    assert "'none.zip' is not a zip file or is damaged" in refusal(tmp_path / "none.zip")
    path = zipped(PLAIN)
    path.write_bytes(path.read_bytes()[:-40])
    assert "'set.zip' is not a zip file or is damaged" in refusal(path)


def test_damaged_bytes_give_classes_or_one_sentence(zipped):
    path = zipped(PLAIN)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    chance = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        bad = data.copy()
        bad[chance.integers(0, len(bad), 2)] = chance.integers(0, 256, 2)
        path.write_bytes(bad.tobytes())
        try:
            assert read_class_folders(path).classes
        except InputError:
            refused += 1
    assert refused > 20


def test_nothing_is_written_to_disk(zipped, tmp_path):
    path = zipped(PLAIN)
    read_class_folders(path)
    assert list(tmp_path.iterdir()) == [path]


# --- names in zips ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("été".encode(), "été"),  # UTF-8 without its flag, as many Unix programs write it
        (b"\x82t\x82", "été"),  # cp437, which the standard asks for without the flag
    ],
)
def test_names_not_flagged_as_utf8(zipped, stored, name):
    path = zipped(PLAIN | {"#" * len(stored) + "/1.png": dot(7)})
    path.write_bytes(path.read_bytes().replace(b"#" * len(stored), stored))
    assert contents(read_class_folders(path))[name] == {f"{name}/1.png": 7}


# --- directories -----------------------------------------------------------------------------


def test_links_in_directories_are_not_followed(tmp_path):
    make_folder(tmp_path / "elsewhere", {"secret/1.png": dot(9)})
    root = make_folder(tmp_path / "set", PLAIN)
    (root / "cat/3.png").symlink_to(tmp_path / "elsewhere/secret/1.png")
    (root / "fox").symlink_to(tmp_path / "elsewhere/secret")
    (root / "cat/loop").symlink_to(root)
    read = read_class_folders(root)
    assert contents(read) == {"cat": {"cat/1.png": 1, "cat/2.png": 2}, "dog": {"dog/1.png": 3}}
    assert sorted(read.skipped) == [
        "'cat/3.png' is a link or no ordinary file.",
        "'cat/loop' is a link or no ordinary file.",
        "'fox' is a link or no ordinary file.",
    ]


def test_the_current_directory_is_named_in_messages(tmp_path, monkeypatch):
    monkeypatch.chdir(make_folder(tmp_path / "set", {"1.png": dot(1)}))
    assert refusal(Path()).startswith("'set' has no file in a class folder, of 1 in all")


def test_a_file_name_that_is_no_text(tmp_path):
    root = make_folder(tmp_path / "set", PLAIN)
    (root / "cat/3\udcff.png").write_bytes(dot(9))  # the byte 0xff on disk
    names = contents(read_class_folders(root))["cat"]
    assert names == {"cat/1.png": 1, "cat/2.png": 2, "cat/3.png": 9}
