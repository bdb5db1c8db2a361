"""What keeps a small picture file from costing Pillow gigabytes or minutes.

Pillow reads how a file is built in Python: segment after segment, and every value of a TIFF or
EXIF directory as bytes of its own, even where thousands of entries point at the same ones. Here
a file is looked over before that, and its reading stopped where it comes in crumbs.
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Iterator

# A progressive JPEG sends its picture in ten or so scans, and each is work for the whole of it.
MAX_JPEG_SCANS = 100
# It has some hundreds; one that is nothing but markers would take seconds to walk through.
MAX_JPEG_MARKERS = 10_000
# One segment of a JPEG holds 64 kB of EXIF. Some programs put what they were asked for there and
# fill several, which Pillow joins one by one, copying all before it.
MAX_EXIF_BYTES = 2**18
MAX_TAGS = 1_000  # of all directories that are read together; a camera writes some hundred
# Pillow makes an object of each, up to 400 bytes large. A picture of 40 megapixels in tiles of
# 16 × 16 has 300,000: where each tile lies and how long it is.
MAX_TAG_NUMBERS = 500_000

# Of a JPEG's markers: below C0 a decoder drops them, and D0 to D7 part what belongs together.
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_APP1, _APP2 = 0xE1, 0xE2
# Pillow reads on right behind these; the reserved ones no decoder knows.
_WITHOUT_LENGTH = {_START_OF_IMAGE, _END_OF_IMAGE, 0xC8, *range(0xF0, 0xFE)}

_EXIF_MARK = b"Exif\0\0"
_EXIF, _GPS, _INTEROP = 34665, 34853, 40965  # tags that point at a directory of their own
# Bytes of one value of each TIFF type, and the types that stay bytes or become one text.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
_TEXTS = {1, 2, 7}
_TOO_MANY_BLOCKS = (
    "is made of so many small blocks that it would take long to read: save it again as PNG or JPEG"
)


class CostlyError(Exception):
    """A file built to cost more than any honest one; says how, as the end of a sentence."""


class PictureStream(io.BytesIO):
    """A picture file that does not let itself be read in crumbs for long.

    Pixels are fetched in large pieces; what is small are the headers of a GIF's blocks, a PNG's
    chunks and a JPEG's segments, each some microseconds of Python. A file of nothing else would
    take seconds, and a long comment in a GIF minutes, as it is copied for each of its blocks.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        # A large PNG may have a chunk for each kilobyte of pixels: two crumbs, and twice to spare.
        # A BMP has its runs of pixels read byte by byte, whoever wrote it.
        self._left = math.inf if data.startswith(b"BM") else 30_000 + len(data) // 256

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        if len(piece) < 256:  # a block of a GIF holds at most 255
            self._left -= 1 + len(piece) // 50
            if self._left < 0:
                raise CostlyError(_TOO_MANY_BLOCKS)
        return piece


def check_build(data: bytes) -> None:
    """Raise CostlyError when a file's scans, notes or tags are too many for Pillow to open it."""
    if data.startswith(b"\xff\xd8"):
        if jpeg_scans(data) > MAX_JPEG_SCANS:
            raise CostlyError(
                f"is a JPEG of more than {MAX_JPEG_SCANS} scans, which would take minutes to read: "
                "save it again"
            )
        exif, index = _jpeg_notes(data)
        overfull = exif_is_overfull(exif) or _is_overfull(index)
    else:
        overfull = _is_overfull(data)
    if overfull:
        raise CostlyError(
            "has notes (EXIF or TIFF tags) that would fill the memory: save it again without them"
        )


def exif_is_overfull(exif: bytes) -> bool:
    """Whether reading the EXIF notes of a picture would cost more than they can be worth."""
    # Pillow drops the mark as often as it stands there, copying what is left each time.
    tiff = exif.removeprefix(_EXIF_MARK).removeprefix(_EXIF_MARK)
    return len(exif) > MAX_EXIF_BYTES or tiff.startswith(_EXIF_MARK) or _is_overfull(tiff)


def jpeg_scans(data: bytes) -> int:
    """How many scans the first picture in a JPEG has; what follows it, as a film may, is not it.

    Past what is accepted it is not counted on.
    """
    scans = 0
    for kind, _ in _jpeg_segments(data):
        if kind == _END_OF_IMAGE or scans > MAX_JPEG_SCANS:
            break
        scans += kind == _START_OF_SCAN
    return scans


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind and content of each segment; nothing within one's length is a marker."""
    at, markers = 2, 0
    while found := _JPEG_MARKER.search(data, at):
        markers += 1
        if markers > MAX_JPEG_MARKERS:
            raise CostlyError(_TOO_MANY_BLOCKS)
        kind, at = data[found.start() + 1], found.end()
        length = 0 if kind in _WITHOUT_LENGTH else int.from_bytes(data[at : at + 2])
        yield kind, data[at + 2 : at + length]
        at += length


def _jpeg_notes(data: bytes) -> tuple[bytes, bytes]:
    """The EXIF notes of a JPEG, joined, and the index of the pictures in an MPO.

    Looked for as Pillow does: up to the first scan, even behind an end of image.
    """
    exif, index = [], b""
    for kind, content in _jpeg_segments(data):
        if kind == _START_OF_SCAN:
            break
        if kind == _APP1 and content.startswith(_EXIF_MARK):
            exif.append(content.removeprefix(_EXIF_MARK))
        if kind == _APP2 and content.startswith(b"MPF\0"):
            index = content.removeprefix(b"MPF\0")
    return b"".join(exif), index


def _is_overfull(tiff: bytes) -> bool:
    """Whether a TIFF's tags hold far more than it has bytes itself, or are too many.

    No two values share their bytes in an honest file, but a damaged one or two may claim the rest
    of it, which costs little. What is no TIFF at all is not read as one, and not overfull.
    """
    if tiff[:2] not in (b"II", b"MM"):
        return False
    # A BigTIFF says 43 for 42. Pillow takes one of big-endian order for a plain TIFF, libtiff not.
    for big in {tiff[2:3] == b"+", b"+" in tiff[2:4]}:
        size = numbers = 0
        for tags, (kind, value) in enumerate(_tiff_values(tiff, big), 1):
            size += len(value)
            numbers += 0 if kind in _TEXTS else len(value) // _TYPE_BYTES.get(kind, 1)
            if tags > MAX_TAGS or size > 4 * len(tiff) or numbers > MAX_TAG_NUMBERS:
                return True
    return False


def _tiff_values(tiff: bytes, big: bool) -> Iterator[tuple[int, memoryview]]:
    """The type and bytes of every tag's value, in the first directory and those for EXIF in it.

    Later pages are not read, and so not looked at. What lies outside the file is empty.
    """
    data, order = memoryview(tiff), "little" if tiff[:2] == b"II" else "big"
    entry = struct.Struct(("<" if order == "little" else ">") + ("HHQ8s" if big else "HHL4s"))
    word, count_bytes = (8, 8) if big else (4, 2)
    waiting, seen = [int.from_bytes(data[word : 2 * word], order)], set()
    while waiting:
        at = waiting.pop()
        if at in seen:  # directories may point at each other
            continue
        seen.add(at)
        count = int.from_bytes(data[at : at + count_bytes], order)
        table = data[at + count_bytes :][: count * entry.size]
        table = table[: len(table) // entry.size * entry.size]  # it may be cut off
        for tag, kind, length, field in entry.iter_unpack(table):
            size = length * _TYPE_BYTES.get(kind, 0)
            start = int.from_bytes(field, order)
            value = data[start : start + size] if size > word else memoryview(field)[:size]
            if len(value) < size:
                value = value[:0]
            yield kind, value
            if tag in (_EXIF, _GPS, _INTEROP) and value:
                waiting.append(int.from_bytes(value[: _TYPE_BYTES[kind]], order))
