"""Files built to be slow or to fill the memory are refused; honest ones of the kind are not."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from fewshot import image_limits, images
from fewshot.types import InputError

SMALL = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
PLAIN = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}  # 8 × 8, grey
MANY = 900  # tags, fewer than the limit


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def tiff(shared: int, size: int, order: str = "<", big: bool = False, **pointers: int) -> bytes:
    """``shared`` tags that all have the same ``size`` bytes, which come before the directory."""
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "H", 43 if big else 42)
    if big:
        head += struct.pack(order + "HHQ", 8, 0, 16 + size)
    else:
        head += struct.pack(order + "I", 8 + size)
    count, entry = ("Q", "HHQQ") if big else ("H", "HHII")
    tags = PLAIN | {int(tag[1:]): value for tag, value in pointers.items()}
    shift = 32 if big and order == ">" else 0  # a LONG stands in the first half of its field
    entries = [(tag, 4, 1, value << shift) for tag, value in tags.items()]
    entries += [(1000 + i, 1, size, 8) for i in range(shared)]
    table = b"".join(struct.pack(order + entry, *fields) for fields in entries)
    return head + bytes(size) + struct.pack(order + count, len(entries)) + table + bytes(8)


def segment(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 255, kind, len(content) + 2) + content


def jpeg(*segments: bytes) -> bytes:
    plain = encoded(SMALL, "JPEG")
    return plain[:2] + b"".join(segments) + plain[2:]


def exif_segments(notes: bytes) -> list[bytes]:
    return [
        segment(0xE1, b"Exif\0\0" + notes[at : at + 60_000]) for at in range(0, len(notes), 60_000)
    ]


def png(chunks: bytes, behind: bytes = b"") -> bytes:
    plain = encoded(SMALL, "PNG")
    return plain[:33] + chunks + plain[33:-12] + behind + plain[-12:]


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def gif(blocks: bytes) -> bytes:
    plain = encoded(SMALL.convert("L"), "GIF")
    at = 13 + (3 << (plain[10] & 7) + 1)  # behind the palette
    return plain[:at] + blocks + plain[at:]


def blocks(count: int, size: int = 255) -> bytes:
    return (bytes([size]) + b"a" * size) * count + b"\0"


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        images.decode(data, "x")
    assert images.pixels_to_decode(data) == 0
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and ". " not in message
    return message


def shape(data: bytes) -> tuple[int, ...]:
    return images.decode(data, "x").pixels.shape


# --- notes -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_whose_tags_share_their_bytes_is_refused_unopened(monkeypatch, order, big):
    honest = tiff(1, 10_000, order, big)
    if not (big and order == ">"):  # which Pillow cannot read
        assert shape(honest) == (8, 8, 3)
    assert images.pixels_to_decode(honest) in (64, 0)
    monkeypatch.setattr(Image, "open", None)
    message = refusal(tiff(MANY, 10_000, order, big))
    assert "has notes (EXIF or TIFF tags) that would fill the memory: save it again" in message


def test_a_tiff_of_very_many_tags_is_refused():
    assert shape(tiff(MANY, 5)) == (8, 8, 3)
    assert "has notes" in refusal(tiff(image_limits.MAX_TAGS, 5))


def test_a_tiff_of_very_many_numbers_is_refused(monkeypatch):
    wide = encoded(SMALL, "TIFF", tiffinfo={50_000: tuple(range(1000))})
    assert shape(wide) == (8, 8, 3)
    monkeypatch.setattr(image_limits, "MAX_TAG_NUMBERS", 1000)
    assert "has notes" in refusal(wide)


def test_the_directories_a_tiff_points_at_are_looked_at_too():
    directory = tiff(MANY, 10_000)[8 + 10_000 :]
    for pointer in ("t34665", "t34853", "t40965"):
        behind = len(tiff(0, 10_000, **{pointer: 0}))
        assert "has notes" in refusal(tiff(0, 10_000, **{pointer: behind}) + directory)
    assert shape(tiff(0, 64, t34665=8 + 64)) == (8, 8, 3)  # at the one it stands in


def test_a_tiff_of_many_pages_is_read():
    pages = [Image.new("L", (8, 8))] * 150
    assert shape(encoded(pages[0], "TIFF", save_all=True, append_images=pages)) == (8, 8, 3)


def test_a_jpeg_whose_notes_share_their_bytes_is_refused_unopened(monkeypatch):
    monkeypatch.setattr(Image, "open", None)
    assert "has notes" in refusal(jpeg(*exif_segments(tiff(MANY, 100_000))))
    assert "has notes" in refusal(jpeg(segment(0xE2, b"MPF\0" + tiff(MANY, 30_000))))
    # Where Pillow looks for them though a decoder would not.
    hidden = exif_segments(tiff(MANY, 30_000))
    assert "has notes" in refusal(jpeg(b"\xff\xd9", *hidden))
    assert "has notes" in refusal(jpeg(b"\xff\xf0\xff\xff", *hidden))
    assert "small blocks" in refusal(jpeg(b"\xff\xd9", b"\xff\xd8" * 10_000, *hidden))


def test_large_notes_of_a_jpeg_are_honest(monkeypatch):
    limit = image_limits.MAX_EXIF_BYTES
    assert shape(jpeg(*exif_segments(tiff(1, limit - 1000)))) == (8, 8, 3)
    assert "has notes" in refusal(jpeg(*exif_segments(tiff(1, limit))))
    xmp = segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(60_000))
    assert shape(jpeg(*[xmp] * 10)) == (8, 8, 3)
    phone = encoded(SMALL, "MPO", save_all=True, append_images=[SMALL], icc_profile=bytes(200_000))
    assert shape(phone) == (8, 8, 3)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "old PNG"])
def test_overfull_notes_do_not_cost_the_picture_elsewhere(kind):
    notes = tiff(MANY, 100_000)
    hexed = f"\nexif\n{len(notes)}\n{notes.hex()}".encode()
    data = {
        "PNG": png(b"", chunk(b"eXIf", notes)),
        "WEBP": encoded(SMALL, "WEBP", exif=notes),
        "old PNG": png(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexed))),
    }[kind]
    tracemalloc.start()
    assert shape(data) == (8, 8, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * images.MB  # of 90 MB


def test_the_mark_of_notes_is_not_dropped_without_end():
    assert not image_limits.exif_is_overfull(b"Exif\0\0" * 2 + tiff(1, 100))
    assert image_limits.exif_is_overfull(b"Exif\0\0" * 3 + tiff(1, 100))


# --- small blocks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        gif(b"!\xfe" + blocks(8_000)),
        gif((b"!\xfe" + blocks(1, 1)) * 20_000),
        gif(b"!\xff" + blocks(30_000, 1)),
        gif(bytes(40_000)),
        png(chunk(b"aaAa") * 20_000),
        png(chunk(b"IDAT") * 20_000),
        png(b"", chunk(b"aaAa") * 20_000),
        jpeg(segment(0xE9, b"x") * 9_900),
    ],
    ids=[
        "GIF comment",
        "GIF comments",
        "GIF application",
        "GIF rubbish",
        "PNG before",
        "PNG pixels",
        "PNG behind",
        "JPEG",
    ],
)
def test_files_of_nothing_but_small_blocks_are_refused(data):
    with pytest.raises(InputError, match=r"is made of so many small blocks .*: save it again"):
        images.decode(data, "x")


def test_honest_files_of_many_blocks_are_read():
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000), np.uint8)
    large = Image.fromarray(noise)
    assert shape(encoded(large, "GIF")) == (512, 512, 3)  # a megabyte in blocks of 255 bytes
    frames = [Image.fromarray(noise[i : i + 16, :16]) for i in range(400)]
    for kind in ("GIF", "PNG"):
        film = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert shape(film) == (16, 16, 3)
    profile = b"!\xff\x0bICCRGBG1012" + blocks(2_000)
    assert shape(gif(profile)) == (8, 8, 3)
    rows = b"".join(b"\0" + row.tobytes() for row in noise)
    pixels = zlib.compress(rows)
    cut = [pixels[at : at + 512] for at in range(0, len(pixels), 512)]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1000, 1000, 8, 0, 0, 0, 0))
    body = b"".join(chunk(b"IDAT", piece) for piece in cut)
    assert shape(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND")) == (512, 512, 3)


def test_a_bmp_is_read_run_by_run():
    runs = (b"\1\7" * 200 + b"\0\0") * 200 + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, 200, 200, 1, 8, 1, len(runs), 0, 0, 256, 0)
    palette = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))
    start = 14 + len(header) + len(palette)
    file = b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + palette + runs
    assert (images.decode(file, "x").pixels == 7).all()


# --- work ------------------------------------------------------------------------------------


def test_a_plain_jpeg_of_several_scans_counts_as_whole():
    large = encoded(Image.new("L", (2000, 1000)), "JPEG")
    assert images.pixels_to_decode(large) == 512 * 256
    scan = large[large.rfind(b"\xff\xda") : -2]
    assert images.pixels_to_decode(large[:-2] + scan + large[-2:]) == 2000 * 1000
    assert images.pixels_to_decode(large[:-2] + scan * 29 + large[-2:]) == 3 * 2000 * 1000
