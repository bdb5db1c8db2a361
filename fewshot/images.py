"""The one way in for pictures: the limits, the decoder and the support set.

Everything a person can hand over (an upload, a zip, a drawing, a folder) becomes a ``Picture``
here, or an ``InputError`` whose one sentence can be shown as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from fewshot import image_limits
from fewshot.class_names import class_names, quoted
from fewshot.types import InputError, Picture, SupportSet

MB = 2**20
MAX_PICTURE_BYTES = 20 * MB
MAX_PICTURE_PIXELS = 40_000_000
MAX_SET_PICTURES = 2_000
MAX_SET_BYTES = 300 * MB  # unpacked
# Of files that are decoded whole, as :func:`pixels_to_decode` counts them: two or three minutes
# of work, which a zip of a few megabytes could otherwise stretch to half an hour and more.
MAX_SET_PIXELS = 5_000_000_000
# Longest side of a kept picture. No encoder here looks at more, and 2,000 kept pictures take at
# most 1.5 GB; kept as phones take them, 2,000 photos would take 72 GB.
KEPT_SIDE = 512

# Of 255: what could not be seen on white.
NEARLY_WHITE = 250

# Pillow has forty parsers; a stranger's bytes reach these six only.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")

_Tag = ExifTags.Base
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class SpentError(InputError):
    """There is more to decode than one upload may ask for."""


@dataclass
class Budget:
    """How many pixels may still be decoded of ``pictures``, which is how a message calls them."""

    pictures: str
    left: float

    def take(self, source: bytes | Path) -> None:
        """Before a file is decoded; raises SpentError when it is one too many."""
        if self.left == math.inf:
            return
        self.left -= pixels_to_decode(source)
        if self.left < 0:
            raise SpentError(
                f"{self.pictures} have more than {MAX_SET_PIXELS / 1e9:g} gigapixels in all: "
                "save them smaller, or as JPEG."
            )


def decode(source: bytes | Path, name: str) -> Picture:
    """Decode one picture file: the first frame, upright, on white, in 8-bit RGB.

    White on nothing would be nothing on white, and so is laid on black.

    Limits are checked before the work they limit: the file's size before it is read, the
    picture's size before its pixels are decoded. Colour profiles are ignored.

    Args:
        source: the file's bytes, or where it lies.
        name: what its owner calls it; it becomes the picture's name and stands in messages.

    Returns:
        A picture of ``(height, width, 3)`` uint8, read-only, no side above ``KEPT_SIDE``.

    Raises:
        InputError: the file is missing, empty, too large, of another kind, or damaged.
    """
    data = _read(source, name) if isinstance(source, Path) else source
    check_file_size(len(data), name)
    try:
        with _opened(data) as image:
            pixels = _pixels_of_file(image, name)
    except InputError:
        raise
    # Pillow's parsers let almost anything escape on bad bytes: OSError, SyntaxError, ValueError,
    # struct.error, KeyError, EOFError, zlib.error, MemoryError. What each means is decided once.
    except Exception as error:
        raise _refusal(error, name, data) from error
    return Picture(name, pixels)


def support_set(classes: Sequence[tuple[str, Sequence[Picture]]]) -> SupportSet:
    """Put named pictures together into a support set, in the order given.

    Names are compared after ``class_name`` and with their case, since 'A' and 'a' are two classes
    to whoever shows handwritten letters.

    Args:
        classes: a name and its pictures for each class.

    Returns:
        The support set of all ``n`` pictures, class after class.

    Raises:
        InputError: a bad or repeated name, fewer than 2 classes, a class without a picture, or
            more than ``MAX_SET_PICTURES`` pictures.
    """
    names = class_names([name for name, _ in classes])
    counts = [len(pictures) for _, pictures in classes]
    if 0 in counts:
        empty = quoted(names[counts.index(0)])
        raise InputError(f"The class {empty} has no picture: add at least 1, or remove the class.")
    check_picture_count(sum(counts))
    return SupportSet(
        classes=names,
        pictures=tuple(picture for _, pictures in classes for picture in pictures),
        labels=np.repeat(np.arange(len(names), dtype=np.int64), counts),
    )


def check_picture_count(count: int) -> None:
    """Raise InputError when a support set of ``count`` pictures is too large to take."""
    if count > MAX_SET_PICTURES:
        raise InputError(
            f"A support set of {count:,} pictures is too large: leave out "
            f"{count - MAX_SET_PICTURES:,} to come down to {MAX_SET_PICTURES:,}."
        )


def check_set_size(paths: Sequence[Path]) -> None:
    """Raise InputError when the files of a support set are too large together, or take too long.

    One that is gone is passed over: reading it will say so.
    """
    total = sum(path.stat().st_size for path in paths if path.exists())
    if total > MAX_SET_BYTES:
        raise InputError(
            f"The pictures have {megabytes(total)} MB in all and at most "
            f"{megabytes(MAX_SET_BYTES)} MB are accepted: leave some out or save them smaller."
        )
    check_work(paths)


def check_work(paths: Sequence[Path]) -> None:
    """Raise InputError when decoding these files would occupy the machine for others."""
    budget = Budget("The pictures", MAX_SET_PIXELS)
    for path in paths:
        budget.take(path)


def check_file_size(count: int, name: str) -> None:
    """Raise InputError when a picture file of ``count`` bytes is empty or too large to read."""
    if count == 0:
        raise InputError(f"{quoted(name)} is empty (0 bytes): choose a file that holds a picture.")
    if count > MAX_PICTURE_BYTES:
        raise InputError(
            f"{quoted(name)} has {megabytes(count)} MB and at most "
            f"{megabytes(MAX_PICTURE_BYTES)} MB are accepted for a picture: save it smaller."
        )


def pixels_to_decode(source: bytes | Path) -> int:
    """How many pixels a file's decoder works through, by its header; 0 where it has none.

    A JPEG of one scan is decoded near the kept size, whatever its own, and so counts as that; in
    a progressive one, or another of several, each ten scans count as the whole.
    """
    try:
        if isinstance(source, Path) and source.stat().st_size > MAX_PICTURE_BYTES:
            return 0  # it will be refused unread
        data = source.read_bytes() if isinstance(source, Path) else source
        with _opened(data) as image:
            width, height = image.size
            if image.format == "TIFF":  # decodes whole tiles, which may be far larger
                across, down = (
                    image.tag_v2.get(tag, 1) for tag in (_Tag.TileWidth, _Tag.TileLength)
                )
                return math.ceil(width / across) * across * math.ceil(height / down) * down
            if image.format not in ("JPEG", "MPO"):  # of an MPO's JPEGs the first is read
                return width * height
            scans = image_limits.jpeg_scans(data)
            if scans > 1 or "progression" in image.info:
                return width * height * max(10, scans) // 10
            return math.prod(_kept_size(width, height))
    except Exception:  # decoding will say what is wrong with it
        return 0


def megabytes(count: int) -> str:
    """``count`` bytes in MB, rounded up to a tenth so that over a limit never reads as at it."""
    return f"{math.ceil(count * 10 / MB) / 10:g}"


def _read(path: Path, name: str) -> bytes:
    try:
        check_file_size(path.stat().st_size, name)
        with path.open("rb") as file:
            return file.read(MAX_PICTURE_BYTES + 1)  # it may have grown since
    except OSError as error:
        raise InputError(f"{quoted(name)} cannot be read as a file: choose it again.") from error


def _opened(data: bytes) -> Image.Image:
    """The picture with its header read, by Pillow, unless that alone would cost too much."""
    image_limits.check_build(data)
    return Image.open(image_limits.PictureStream(data), formats=FORMATS)


def _check_pixels(width: int, height: int, name: str) -> None:
    if width * height > MAX_PICTURE_PIXELS:
        raise InputError(
            f"{quoted(name)} is {width} × {height} pixels and at most "
            f"{MAX_PICTURE_PIXELS / 1e6:g} megapixels are accepted: save it smaller."
        )


def _refusal(error: Exception, name: str, data: bytes) -> InputError:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        # Pillow's own limit, raised before the size can be asked for.
        certain = 2 if isinstance(error, Image.DecompressionBombError) else 1
        least = certain * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        most = f"{MAX_PICTURE_PIXELS / 1e6:g}"
        what = f"has more than {least} megapixels and at most {most} are accepted: save it smaller"
    elif isinstance(error, image_limits.CostlyError):
        what = str(error)
    elif isinstance(error, Image.UnidentifiedImageError):
        what = "is not a picture that can be read: give a JPEG, PNG, WebP, BMP, TIFF or GIF file"
        if data[4:8] == b"ftyp":
            what += ", not HEIC, AVIF or a film"
    else:
        what = "is cut short, damaged or of an unusual kind: save it again as PNG or JPEG"
    size = "1 byte" if len(data) == 1 else f"{len(data):,} bytes"
    return InputError(f"{quoted(name)} ({size}) {what}.")


def _pixels_of_file(image: Image.Image, name: str) -> np.ndarray:
    """``(h, w, 3)`` uint8 of an opened file, its limits checked before it is decoded."""
    _check_pixels(*image.size, name)
    # A TIFF decodes whole tiles, and a tile may be far larger than the picture: 250 kB that claim
    # 100 × 100 pixels in one tile of 16000 × 16000 fill 250 MB.
    tags = getattr(image, "tag_v2", {})
    _check_pixels(tags.get(_Tag.TileWidth, 0), tags.get(_Tag.TileLength, 0), name)
    # JPEG can decode straight to 1/2, 1/4 or 1/8; twice the kept size leaves the filter its work.
    width, height = _kept_size(*image.size)
    image.draft(None, (2 * width, 2 * height))
    image.load()
    deep = image.mode == "F" or image.mode.startswith("I")
    flat = _from_deep_grey(image, name) if deep else image
    return _finish(flat, _TURNS.get(_orientation(image)))


def _finish(image: Image.Image, turn: Image.Transpose | None = None) -> np.ndarray:
    """``(h, w, 3)`` uint8, at most ``KEPT_SIDE`` a side, on paper, of any 8-bit image."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    size = _kept_size(*image.size)
    if size != image.size:  # before the rest, which then costs next to nothing
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if mode == "RGBA":
        paper = Image.new("RGBA", image.size, _paper(image))
        image = Image.alpha_composite(paper, image).convert("RGB")
    if turn is not None:
        image = image.transpose(turn)
    return np.asarray(image)


def _paper(image: Image.Image) -> str:
    """What an RGBA picture is laid on: black where all that is to be seen of it is white."""
    pixels = np.asarray(image)
    seen = pixels[pixels[..., 3] >= 128]  # (n, 4)
    return "black" if len(seen) and seen[:, :3].min() >= NEARLY_WHITE else "white"


def _kept_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, KEPT_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _from_deep_grey(image: Image.Image, name: str) -> Image.Image:
    """8-bit grey of 12-bit and 16-bit grey: scaled so that full white is 255.

    Pillow's own conversion clips at 255, which turns nearly all of a 16-bit picture white.
    """
    grey = np.asarray(image)  # (h, w) uint16, int32 or float32
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    white = 4095 if tags.get(_Tag.BitsPerSample) == (12,) else 65535
    if image.mode == "F" or grey.min() < 0 or grey.max() > white:
        raise InputError(
            f"{quoted(name)} has 32-bit or signed pixels, for which no value is defined as white: "
            f"save it with 8 or 16 bits."
        )
    level = np.arange(white + 1, dtype=np.uint32)
    table = ((level * 255 + white // 2) // white).astype(np.uint8)  # (white + 1,)
    if tags.get(_Tag.PhotometricInterpretation) == 0:  # white is 0; Pillow sees to 8 bits only
        table = table[::-1]
    eight = table[grey]  # (h, w)
    if isinstance(see_through := image.info.get("transparency"), int):
        eight[grey == see_through] = 255
    return Image.fromarray(eight)


def _orientation(image: Image.Image) -> int:
    # Asked for after loading: a PNG may keep its EXIF behind the pixels, and Pillow turns a TIFF
    # upright by itself as it loads and then forgets the tag.
    try:
        notes = image.info.get("exif", b"")
        if not notes and (text := image.info.get("Raw profile type exif")):  # of older PNGs
            notes = bytes.fromhex("".join(text.split("\n")[3:]))
        if image_limits.exif_is_overfull(notes):
            return 1
        return image.getexif().get(_Tag.Orientation, 1)
    except Exception:  # damaged notes raise as variously as damaged pixels; the picture is fine
        return 1
