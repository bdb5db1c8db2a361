"""Every kind of picture against values worked out by hand, and every refusal with its numbers."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot import image_limits, images
from fewshot.class_names import class_name
from fewshot.images import decode, support_set
from fewshot.types import InputError, Picture

A, B, C, D, E, F = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (0, 255, 255),
    (10, 20, 30),
)
UPRIGHT = [[A, B, C], [D, E, F]]


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def rgb(rows) -> Image.Image:
    return Image.fromarray(np.array(rows, np.uint8))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG by hand; ``rows`` start each with their filter byte."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + chunk(b"IEND", b"")


def tiff(payload: bytes, width: int, bits: int, photometric: int = 1, order: str = "<", **more):
    """A TIFF by hand: one row of grey, uncompressed, in one strip."""
    tags = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: 1}
    tags |= {279: len(payload)} | {int(tag[1:]): value for tag, value in more.items()}
    padded = payload + bytes(len(payload) % 2)
    out = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8 + len(padded)) + padded
    out += struct.pack(order + "H", len(tags))
    for tag, value in sorted(tags.items()):
        out += struct.pack(order + "HHII", tag, 4, 1, value)
    return out + bytes(4)


def greys(data: bytes) -> list[int]:
    """The first row of a decoded grey picture."""
    pixels = decode(data, "grey").pixels
    assert (pixels == pixels[..., :1]).all()
    return pixels[0, :, 0].tolist()


def refusal(data: bytes | Path, name: str) -> str:
    with pytest.raises(InputError) as caught:
        decode(data, name)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and ". " not in message
    return message


# --- formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ],
)
def test_lossless_formats_keep_every_pixel(kind, options):
    picture = decode(encoded(rgb(UPRIGHT), kind, **options), "a.picture")
    assert picture.name == "a.picture"
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.shape == (2, 3, 3)
    assert picture.pixels.tolist() == [[list(colour) for colour in row] for row in UPRIGHT]
    assert picture.pixels.flags.c_contiguous and not picture.pixels.flags.writeable


def test_jpeg_and_the_same_file_from_a_path(tmp_path):
    data = encoded(Image.new("RGB", (32, 16), (200, 30, 60)), "JPEG", quality=95)
    pixels = decode(data, "x.jpg").pixels
    assert pixels.shape == (16, 32, 3)
    assert np.abs(pixels.astype(int) - (200, 30, 60)).max() <= 2
    (tmp_path / "x.jpg").write_bytes(data)
    assert (decode(tmp_path / "x.jpg", "x.jpg").pixels == pixels).all()


def test_first_frame_of_gif_webp_and_mpo():
    frames = [Image.new("RGB", (16, 16), colour) for colour in (A, B)]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert Image.open(io.BytesIO(data)).n_frames == 2
        assert decode(data, "moving").pixels[5, 5].tolist() == list(A)
    photo = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])  # as phones write
    assert np.abs(decode(photo, "photo").pixels[5, 5].astype(int) - A).max() <= 2


def test_grey_one_bit_and_palette():
    grey = Image.fromarray(np.array([[0, 7, 255]], np.uint8))
    assert greys(encoded(grey, "PNG")) == [0, 7, 255]
    assert greys(encoded(Image.fromarray(np.array([[True, False, True]])), "PNG")) == [255, 0, 255]
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("L")
    palette.putpalette([*A, *B, *F])
    for kind in ("PNG", "BMP", "TIFF", "GIF"):
        assert decode(encoded(palette, kind), "p").pixels.tolist() == [[list(A), list(B), list(F)]]


def test_cmyk():
    ink = Image.new("CMYK", (16, 16), (255, 0, 51, 0))  # no red, all green, four fifths of blue
    assert decode(encoded(ink, "TIFF"), "ink").pixels[3, 3].tolist() == [0, 255, 204]
    half = Image.new("CMYK", (16, 16), (0, 0, 0, 128))  # black ink alone: 255 − 128
    assert decode(encoded(half, "TIFF"), "ink").pixels[3, 3].tolist() == [127, 127, 127]
    pixel = decode(encoded(ink, "JPEG", quality=100, subsampling=0), "ink").pixels[3, 3]
    assert np.abs(pixel.astype(int) - (0, 255, 204)).max() <= 3


def test_sixteen_bit_grey_is_scaled_not_clipped():
    values = [0, 128, 129, 257, 1000, 256 * 257 // 2, 65535]
    # value / 257, to the nearest: 128 / 257 is just under a half and 129 / 257 just over
    expected = [0, 0, 1, 1, 4, 128, 255]
    deep = Image.fromarray(np.array([values], np.uint16))
    assert deep.mode == "I;16"
    assert greys(encoded(deep, "PNG")) == expected
    assert greys(encoded(deep, "TIFF")) == expected
    packed = struct.pack(">7H", *values)
    assert greys(tiff(packed, 7, 16, order=">")) == expected
    assert greys(tiff(struct.pack("<7H", *values), 7, 16, 0)) == [255 - v for v in expected]
    assert greys(encoded(Image.fromarray(np.array([values], np.int32)), "TIFF")) == expected


def test_twelve_bit_grey():
    assert greys(tiff(bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x00]), 4, 12)) == [0, 255, 128, 0]


def test_sixteen_bit_colour_keeps_the_high_byte():
    row = b"\0" + struct.pack(">3H", 0x1234, 0xFFFF, 0x0080)
    assert decode(png(1, 1, 16, 2, row), "deep").pixels.tolist() == [[[0x12, 0xFF, 0x00]]]


@pytest.mark.parametrize("values", [[[-1, 5]], [[0, 65536]]])
def test_greys_without_a_defined_white_are_refused(values):
    data = encoded(Image.fromarray(np.array(values, np.int32)), "TIFF")
    assert "'x.tif' has 32-bit" in refusal(data, "x.tif")
    data = encoded(Image.fromarray(np.array(values, np.float32)), "TIFF")
    assert "'x.tif' has 32-bit" in refusal(data, "x.tif")


# --- transparency ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_laid_on_white(kind):
    see = np.array([[[0, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 51], [255, 0, 0, 102]]], np.uint8)
    data = encoded(Image.fromarray(see), kind, **({"lossless": True} if kind == "WEBP" else {}))
    # 255 × (1 − 51/255) = 204 and 255 × (1 − 102/255) = 153
    assert decode(data, "x").pixels.tolist() == [
        [[0, 0, 0], [255, 255, 255], [204, 204, 204], [255, 153, 153]]
    ]


def test_grey_with_alpha_and_grey_with_a_transparent_value():
    both = Image.fromarray(np.array([[[0, 51], [100, 255]]], np.uint8), "LA")
    assert greys(encoded(both, "PNG")) == [204, 100]
    grey = Image.fromarray(np.array([[9, 40]], np.uint8))
    assert greys(encoded(grey, "PNG", transparency=9)) == [255, 40]
    row = b"\0" + struct.pack(">2H", 1000, 0)
    assert greys(png(2, 1, 16, 0, row, chunk(b"tRNS", struct.pack(">H", 1000)))) == [255, 0]


def test_palette_with_transparency():
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    palette.putpalette([*A, 0, 0, 0, *F])
    one = [[[255, 255, 255], [0, 0, 0], list(F)]]
    assert decode(encoded(palette, "PNG", transparency=0), "x").pixels.tolist() == one
    assert decode(encoded(palette, "GIF", transparency=0), "x").pixels.tolist() == one
    several = encoded(palette, "PNG", transparency=bytes([0, 51, 255]))
    assert decode(several, "x").pixels.tolist() == [[[255] * 3, [204] * 3, list(F)]]


def test_transparent_pixels_do_not_bleed_their_colour_when_reduced():
    see = np.zeros((8, 1024, 4), np.uint8)
    see[:, :512] = (255, 0, 0, 0)  # invisible red
    see[:, 512:] = (0, 0, 255, 255)
    pixels = decode(encoded(Image.fromarray(see), "PNG"), "x").pixels.astype(int)
    assert pixels.shape == (4, 512, 3)
    assert pixels[2, 100].tolist() == [255, 255, 255] and pixels[2, 400].tolist() == [0, 0, 255]
    assert (pixels[..., 0] - pixels[..., 1]).max() <= 1  # never redder than green


def test_white_on_nothing_is_laid_on_black():
    see = np.array([[[255, 255, 250, 255], [9, 9, 9, 0], [255, 255, 255, 51]]], np.uint8)
    white = [[[255, 255, 250], [0, 0, 0], [51, 51, 51]]]
    assert decode(encoded(Image.fromarray(see), "PNG"), "x").pixels.tolist() == white
    see[0, 0, 0] = 249  # not white: as ever
    other = [[[249, 255, 250], [255, 255, 255], [255, 255, 255]]]
    assert decode(encoded(Image.fromarray(see), "PNG"), "x").pixels.tolist() == other


# --- orientation -----------------------------------------------------------------------------

# How a camera stores UPRIGHT under each value of the EXIF tag.
STORED = {
    1: [[A, B, C], [D, E, F]],
    2: [[C, B, A], [F, E, D]],
    3: [[F, E, D], [C, B, A]],
    4: [[D, E, F], [A, B, C]],
    5: [[A, D], [B, E], [C, F]],
    6: [[C, F], [B, E], [A, D]],
    7: [[F, C], [E, B], [D, A]],
    8: [[D, A], [E, B], [F, C]],
}


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[274] = orientation
    return tags.tobytes()


@pytest.mark.parametrize("value", STORED)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_every_exif_orientation(kind, value):
    block = 16 if kind == "JPEG" else 1  # a flat block of 16 survives JPEG
    stored = np.kron(np.array(STORED[value]), np.ones((block, block, 1))).astype(np.uint8)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    data = encoded(Image.fromarray(stored), kind, exif=exif(value), **options)
    seen = decode(data, "x").pixels[block // 2 :: block, block // 2 :: block].astype(int)
    assert seen.shape == (2, 3, 3)
    assert np.abs(seen - np.array(UPRIGHT)).max() <= (3 if kind == "JPEG" else 0)


def test_orientation_also_after_reduction():
    stored = np.zeros((1000, 1500, 3), np.uint8)
    stored[:, :750] = 255  # rotated clockwise, the white left half comes to the top
    pixels = decode(encoded(Image.fromarray(stored), "JPEG", exif=exif(6)), "x").pixels
    assert pixels.shape == (512, 341, 3)
    assert pixels[:200].min() >= 250 and pixels[-200:].max() <= 5


@pytest.mark.parametrize("notes", [b"Exif\0\0rubbish", b"Exif\0\0II*\0\xff\xff\xff\xff"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_cost_the_picture(notes):
    data = encoded(rgb(UPRIGHT), "PNG", exif=notes)
    assert decode(data, "x").pixels.tolist() == np.array(UPRIGHT).tolist()
    assert decode(encoded(rgb(UPRIGHT), "PNG", exif=exif(99)), "x").pixels.shape == (2, 3, 3)


# --- size ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((512, 512), (512, 512)),
        ((513, 10), (512, 10)),
        ((1024, 600), (512, 300)),
        ((600, 1024), (300, 512)),
        ((3000, 1), (512, 1)),
        ((100, 50), (100, 50)),
        ((1, 1), (1, 1)),
    ],
)
def test_longest_side_is_kept_at_most_512(size, kept):
    pixels = decode(encoded(Image.new("RGB", size, (9, 99, 199)), "PNG"), "x").pixels
    assert pixels.shape == (kept[1], kept[0], 3)
    assert (pixels == (9, 99, 199)).all()


def test_reduction_averages_rather_than_drops():
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255  # every other column: dropping columns would give black or white
    pixels = decode(encoded(Image.fromarray(stripes), "PNG"), "x").pixels[:, 8:-8]
    assert pixels.min() >= 120 and pixels.max() <= 135


def test_a_large_jpeg_is_never_decoded_whole(monkeypatch):
    decoded = []
    finish = images._finish
    monkeypatch.setattr(
        images, "_finish", lambda image, turn: decoded.append(image.size) or finish(image, turn)
    )
    data = encoded(Image.new("RGB", (4000, 3000), (50, 100, 150)), "JPEG")
    pixels = decode(data, "x").pixels
    assert decoded == [(2000, 1500)]
    assert pixels.shape == (384, 512, 3)
    assert np.abs(pixels.astype(int) - (50, 100, 150)).max() <= 2


# --- refusals --------------------------------------------------------------------------------


def test_empty_and_missing(tmp_path):
    assert refusal(b"", "a.png").startswith("'a.png' is empty (0 bytes)")
    (tmp_path / "e.png").touch()
    assert refusal(tmp_path / "e.png", "e.png").startswith("'e.png' is empty (0 bytes)")
    assert refusal(tmp_path / "none.png", "none.png").startswith("'none.png' cannot be read")
    assert refusal(tmp_path, "folder").startswith("'folder' cannot be read as a file")


def test_too_many_bytes_are_refused_before_they_are_read(tmp_path, monkeypatch):
    assert images.MAX_PICTURE_BYTES == 20 * 2**20
    path = tmp_path / "big.bmp"
    with path.open("wb") as file:
        file.truncate(20 * 2**20 + 1)  # a hole: nothing is written

    def opened(*_):
        raise AssertionError("the file was opened")

    monkeypatch.setattr(Path, "open", opened)
    assert "'big.bmp' has 20.1 MB and at most 20 MB" in refusal(path, "big.bmp")
    assert "'big.bmp' has 20.1 MB and at most 20 MB" in refusal(bytes(20 * 2**20 + 1), "big.bmp")


def test_the_largest_allowed_file_is_read(tmp_path):
    data = encoded(rgb(UPRIGHT), "PNG")
    data += bytes(images.MAX_PICTURE_BYTES - len(data))
    (tmp_path / "x.png").write_bytes(data)
    assert decode(tmp_path / "x.png", "x.png").pixels.tolist() == np.array(UPRIGHT).tolist()


def test_too_many_pixels_are_refused_by_the_header_alone(monkeypatch):
    assert images.MAX_PICTURE_PIXELS == 40_000_000
    hollow = png(7000, 6000, 8, 2, b"")  # no pixels at all: decoding would call it damaged
    message = refusal(hollow, "wide.png")
    assert "'wide.png' is 7000 × 6000 pixels and at most 40 megapixels" in message
    monkeypatch.setattr(images, "MAX_PICTURE_PIXELS", 5)
    assert "is 3 × 2 pixels" in refusal(encoded(rgb(UPRIGHT), "JPEG"), "x.jpg")
    monkeypatch.setattr(images, "MAX_PICTURE_PIXELS", 6)
    assert decode(encoded(rgb(UPRIGHT), "JPEG"), "x.jpg").pixels.shape == (2, 3, 3)


def test_decompression_bombs():
    message = refusal(png(50000, 50000, 8, 2, b""), "bomb.png")
    assert "'bomb.png'" in message and "more than 178 megapixels and at most 40" in message
    with pytest.warns(Image.DecompressionBombWarning):
        assert "12000 × 10000" in refusal(png(12000, 10000, 8, 2, b""), "bomb.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "more than 89 megapixels" in refusal(png(12000, 10000, 8, 2, b""), "bomb.png")


def test_a_tile_larger_than_its_tiff():
    tile = {"t322": 16000, "t323": 16000, "t324": 8, "t325": 4}
    assert "16000 × 16000 pixels" in refusal(tiff(bytes(4), 4, 8, **tile), "tile.tif")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_cut_short(kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    message = refusal(data[: len(data) // 2], "half")
    assert f"'half' ({len(data) // 2:,} bytes) is " in message
    assert refusal(data[:20], "head").startswith("'head' (20 bytes) is ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_a_picture_or_one_sentence(kind):
    chance = np.random.default_rng(1)
    noise = Image.fromarray(chance.integers(0, 256, (24, 24, 3), np.uint8))
    data = np.frombuffer(encoded(noise, kind, exif=exif(6)), np.uint8)
    refused = 0
    for _ in range(150):
        bad = data[: chance.integers(1, len(data) + 1)].copy()
        bad[chance.integers(0, min(len(bad), 200), 3)] = chance.integers(0, 256, 3)
        try:
            assert decode(bad.tobytes(), "bad").pixels.dtype == np.uint8
        except InputError as error:
            refused += 1
            assert str(error).startswith("'bad'")
    assert refused > 20


@pytest.mark.parametrize("kind", ["PPM", "TGA", "ICO", "PCX", "JPEG2000", "PDF", "EPS", "AVIF"])
def test_other_kinds_are_never_parsed(kind):
    data = encoded(Image.new("RGB", (32, 32), A), kind)
    message = refusal(data, "other")
    assert f"'other' ({len(data):,} bytes) is not a picture that can be read" in message
    assert "JPEG, PNG, WebP, BMP, TIFF or GIF" in message


def test_not_pictures_at_all():
    assert "'notes.txt' (5 bytes) is not a picture" in refusal(b"hello", "notes.txt")
    assert "'zero.png'" in refusal(png(0, 5, 8, 2, b""), "zero.png")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    assert "'x.svg' (41 bytes) is not a picture" in refusal(svg, "x.svg")
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    assert refusal(heic, "a.heic").endswith("or GIF file, not HEIC, AVIF or a film.")


def test_names_in_messages_stay_on_one_short_line():
    message = refusal(b"x", "evil\n\u202egnp\x00.exe" + "n" * 500 + "end.png")
    assert message.startswith("'evil gnp.exennn") and "…nnn" in message
    assert "nend.png' (1 byte)" in message and len(message) < 200
    assert refusal(b"x", "\u202e").startswith("'unnamed'")


# --- class names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cat", "cat"),
        ("  big \t\r\n  cat\u00a0 \u3000", "big cat"),
        ("cafe\u0301", "caf\u00e9"),
        ("e\u200b\u0301", "\u00e9"),  # composed after the mark between is gone
        ("猫", "猫"),
        ("кошка", "кошка"),
        ("قطة", "قطة"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian needs the joiner
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("a\u202eb\u2066c\u200fd\ufeffe\x00f\x1bg\ud800h", "abcdefgh"),
        ("one\u2028two", "one two"),
        ("<b>&", "<b>&"),
        ("A", "A"),
        ("x" * 80, "x" * 80),
        ("e\u0301" * 80, "\u00e9" * 80),  # counted after composing
    ],
)
def test_class_names(text, name):
    assert class_name(text) == name
    assert class_name(name) == name


@pytest.mark.parametrize("text", ["", "  \n", "\u200b", "\u202e\x00", "\u200d", "\u0301"])
def test_names_nobody_can_see_are_refused(text):
    with pytest.raises(InputError, match="A class has no name"):
        class_name(text)


def test_long_class_names_are_refused():
    with pytest.raises(InputError, match=r"'x{40}…x{39}' has 81 characters: keep to 80"):
        class_name("x" * 81)


# --- support sets ----------------------------------------------------------------------------


def pictures(*names: str) -> list[Picture]:
    return [Picture(name, np.zeros((1, 1, 3), np.uint8)) for name in names]


def test_support_set_keeps_the_order():
    support = support_set([(" dog ", pictures("d1", "d2")), ("cat", pictures("c1"))])
    assert support.classes == ("dog", "cat")
    assert [picture.name for picture in support.pictures] == ["d1", "d2", "c1"]
    assert support.labels.tolist() == [0, 0, 1] and support.labels.dtype == np.int64


def test_case_makes_two_classes_but_spelling_of_accents_does_not():
    assert support_set([("A", pictures("1")), ("a", pictures("2"))]).classes == ("A", "a")
    twice = [("x", pictures("0")), ("caf\u00e9", pictures("1")), (" cafe\u0301", pictures("2"))]
    with pytest.raises(InputError, match="'caf\u00e9' is given twice"):
        support_set(twice)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([], "at least 2 classes, not 0"),
        ([("cat", pictures("1"))], "at least 2 classes, not 1"),
        ([("cat", pictures("1")), ("dog", [])], "The class 'dog' has no picture"),
        ([("cat", pictures("1")), ("cat\u200b ", pictures("2"))], "'cat' is given twice"),
        ([("cat", pictures("1")), (" ", pictures("2"))], "A class has no name"),
    ],
)
def test_incomplete_support_sets_are_refused(classes, said):
    with pytest.raises(InputError) as caught:
        support_set(classes)
    assert said in str(caught.value)


def test_support_set_limit(monkeypatch):
    assert images.MAX_SET_PICTURES == 2000
    monkeypatch.setattr(images, "MAX_SET_PICTURES", 3)
    assert len(support_set([("a", pictures("1", "2")), ("b", pictures("3"))]).pictures) == 3
    with pytest.raises(InputError, match="of 4 pictures is too large: leave out 1 to come down to"):
        support_set([("a", pictures("1", "2")), ("b", pictures("3", "4"))])


# --- work --------------------------------------------------------------------------------------


def progressive(side: int = 300) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (side, side), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()


def with_more_scans(jpeg: bytes, more: int) -> bytes:
    """Its last scan again and again: a few bytes each, and work for the whole picture."""
    scan = jpeg[jpeg.rfind(b"\xff\xda") : -2]
    return jpeg[:-2] + scan * more + jpeg[-2:]


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded(monkeypatch):
    few = with_more_scans(progressive(), 20)
    assert decode(few, "few.jpg").pixels.shape == (300, 300, 3)
    many = with_more_scans(progressive(), image_limits.MAX_JPEG_SCANS)
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(InputError, match="JPEG of more than 100 scans"):
        decode(many, "many.jpg")


def test_a_jpeg_of_nothing_but_markers_is_not_walked_through():
    empty = b"\xff\xd8" + b"\xff\xe0\x00\x02" * (image_limits.MAX_JPEG_MARKERS + 1)
    with pytest.raises(InputError, match="so many small blocks"):
        decode(empty, "x.jpg")
    assert image_limits.jpeg_scans(empty[: 4 * image_limits.MAX_JPEG_MARKERS]) == 0


def test_a_file_too_large_for_a_picture_is_not_read_to_count_its_pixels(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(progressive())
    assert images.pixels_to_decode(path) == 300 * 300
    monkeypatch.setattr(images, "MAX_PICTURE_BYTES", path.stat().st_size - 1)
    monkeypatch.setattr(Path, "read_bytes", None)
    assert images.pixels_to_decode(path) == 0


def test_what_follows_a_jpeg_is_no_scan_of_it():
    film = b"\xff\xda" * (image_limits.MAX_JPEG_SCANS + 1)  # as a phone puts it behind a photo
    for jpeg in (progressive(), with_more_scans(progressive(), 20)):
        assert image_limits.jpeg_scans(jpeg) == jpeg.count(b"\xff\xda")
        assert image_limits.jpeg_scans(jpeg + film) == image_limits.jpeg_scans(jpeg)
        assert images.decode(jpeg + film, "moving.jpg").pixels.shape == (300, 300, 3)
    # One that no JPEG has is dropped without its length: what it seems to hold counts.
    at = progressive().index(b"\xff\xda")
    odd = progressive()[:at] + b"\xff\x02\xff\xff" + progressive()[at:]
    assert image_limits.jpeg_scans(odd) == image_limits.jpeg_scans(progressive())
    # Nor is what a comment holds.
    commented = progressive()[:2] + b"\xff\xfe\x00\x06\xff\xda\xff\xd9" + progressive()[2:]
    assert image_limits.jpeg_scans(commented) == image_limits.jpeg_scans(progressive())


def test_work_is_counted_as_the_format_has_it():
    buffer = io.BytesIO()
    large = Image.new("RGB", (4000, 3000))
    large.save(buffer, "MPO", save_all=True, append_images=[large])
    assert images.pixels_to_decode(buffer.getvalue()) == 512 * 384
    # tiff() claims 100 × 100 or so; its one tile is what is decoded.
    tile = {"t322": 640, "t323": 320, "t324": 8, "t325": 4}
    assert images.pixels_to_decode(tiff(bytes(4), 4, 8, **tile)) == 640 * 320


def test_scans_are_counted_as_work():
    assert images.pixels_to_decode(progressive()) == 300 * 300
    n_scans = with_more_scans(progressive(), 34).count(b"\xff\xda")
    assert images.pixels_to_decode(with_more_scans(progressive(), 34)) == 9_000 * n_scans
    buffer = io.BytesIO()
    Image.new("RGB", (2000, 1000)).save(buffer, "JPEG")
    assert images.pixels_to_decode(buffer.getvalue()) == 512 * 256  # decoded near the kept size


def test_pictures_that_are_too_much_together_are_refused(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        Image.new("L", (100, 10)).save(path)
    monkeypatch.setattr(images, "MAX_SET_PIXELS", 3_000)
    images.check_set_size([*paths, tmp_path / "gone.png"])
    monkeypatch.setattr(images, "MAX_SET_PIXELS", 2_999)
    with pytest.raises(InputError, match="gigapixels in all"):
        images.check_set_size(paths)
    monkeypatch.setattr(images, "MAX_SET_BYTES", 10)
    with pytest.raises(InputError, match="MB in all and at most"):
        images.check_set_size(paths)
