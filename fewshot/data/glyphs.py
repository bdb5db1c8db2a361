"""Symbols rendered from fonts on the machine: what the embedded CLIP learns drawings from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fewshot.data.symbols import Symbol, fonts
from fewshot.types import InputError

FONT_FOLDERS = (Path("/usr/share/fonts"), Path("~/.local/share/fonts"), Path("/Library/Fonts"))
SIDE = 80
# Share of the canvas that a glyph's longer side takes, as a drawing takes of its sheet.
FILLED = 0.75
# A code point no font has a glyph for: what it renders to is what any missing one renders to.
MISSING = "\U0010fffe"
FEWEST_FONTS = 10


@dataclass(frozen=True)
class Glyphs:
    """Rendered symbols.

    Attributes:
        ink: ``(n, SIDE, SIDE)`` uint8, ink 255.
        symbol: ``(n,)`` int64 which symbol each shows.
        hand: ``(n,)`` bool, whether its font is like handwriting.
    """

    ink: np.ndarray
    symbol: np.ndarray
    hand: np.ndarray


def find_fonts(names: Iterable[str], folders: Iterable[Path] = FONT_FOLDERS) -> dict[str, Path]:
    """Font files by name, of those asked for that are on this machine."""
    wanted, found = set(names), {}
    for folder in folders:
        for path in sorted(folder.expanduser().rglob("*.?tf")):
            if path.name in wanted:
                found.setdefault(path.name, path)
    return found


def render(
    symbols: Iterable[Symbol], kinds: Iterable[str], folders: Iterable[Path] = FONT_FOLDERS
) -> Glyphs:
    """Every character of every symbol in every font that has it.

    Args:
        symbols: what to draw.
        kinds: which fonts, keys of :func:`fewshot.data.symbols.fonts`.
        folders: where fonts are looked for.

    Raises:
        InputError: there are hardly any of the fonts on this machine.
    """
    symbols, hand = tuple(symbols), set(fonts()["hand"])
    wanted = [name for kind in kinds for name in fonts()[kind]]
    found = find_fonts(wanted, folders)
    if len(found) < min(FEWEST_FONTS, len(wanted)):
        raise InputError(
            f"Only {len(found)} of the {len(wanted)} fonts to learn symbols from are on this "
            "machine; the README names the Debian packages that have them."
        )
    ink, numbers, by_hand = [], [], []
    for name, path in sorted(found.items()):
        font = ImageFont.truetype(str(path), SIDE)
        missing = bytes(font.getmask(MISSING))
        for number, symbol in enumerate(symbols):
            for character in symbol.characters:
                glyph = font.getmask(character)
                if not glyph.size[0] or not glyph.size[1] or bytes(glyph) == missing:
                    continue
                ink.append(_drawn(character, font))
                numbers.append(number)
                by_hand.append(name in hand)
    return Glyphs(np.stack(ink), np.array(numbers), np.array(by_hand))


def _drawn(character: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    """``(SIDE, SIDE)`` uint8 with the glyph centred and filling FILLED of the canvas."""
    left, top, right, bottom = font.getbbox(character)
    width, height = right - left, bottom - top
    canvas = Image.new("L", (width + 2, height + 2))
    ImageDraw.Draw(canvas).text((1 - left, 1 - top), character, fill=255, font=font)
    canvas = canvas.crop(canvas.getbbox())
    scale = FILLED * SIDE / max(canvas.size)
    size = [max(1, round(side * scale)) for side in canvas.size]
    small = np.asarray(canvas.resize(size, Image.Resampling.LANCZOS))
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    y, x = (SIDE - small.shape[0]) // 2, (SIDE - small.shape[1]) // 2
    drawn[y : y + small.shape[0], x : x + small.shape[1]] = small
    return drawn
