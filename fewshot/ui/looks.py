"""What a method's answer rests on, as colours over the picture it was asked about."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fewshot.types import Picture
from fewshot.ui.files import thumbnail
from fewshot.ui.markup import escaped, image
from fewshot.ui.results import percent

if TYPE_CHECKING:
    from fewshot.occlusion import Reliance

FOR, AGAINST = (200, 30, 40), (30, 90, 210)
STRONGEST = 190  # opacity of 255, so that the picture shows through
# A fall of the logarithm of the odds below which nothing can be said to have changed.
LEAST = 0.01

LEGEND = (
    "Each part of the picture was covered in turn. <b class='for'>Red</b>: without it the answer "
    "is less sure against the next class. <b class='against'>Blue</b>: surer. A card’s strongest "
    "colour is its own greatest change, so compare colours within one card only."
)


def look_html(look: Reliance, picture: Picture, label: str) -> str:
    """The part of a picture that was looked at under colours, and what they come to in words.

    Args:
        look: of one method.
        picture: the query.
        label: the method's answer to it.
    """
    top, bottom, left, right = look.box
    seen = image(thumbnail(Picture(picture.name, picture.pixels[top:bottom, left:right])), "")
    if look.too_sure:
        said = f"As sure of {escaped(label)} as numbers can be: what it rests on cannot be told."
        return _figure(seen, said)
    said = f"Without any one part, {escaped(label)} is no less sure."
    if np.abs(look.falls).max() < LEAST:
        return _figure(seen, said)
    if look.falls.max() >= LEAST:
        said = _said(look, label)
    return _figure(f"{seen}{image(veil(look.falls), 'The parts it rests on', 'veil')}", said)


def veil(falls: np.ndarray) -> str:
    """``(g, g)`` falls as a ``data:`` URL of so many pixels, which the browser blends.

    The greatest fall or rise is as opaque as any gets.
    """
    strength = np.abs(falls) / np.abs(falls).max()
    pixels = np.empty((*falls.shape, 4), np.uint8)
    pixels[..., :3] = np.where((falls > 0)[..., None], FOR, AGAINST)
    pixels[..., 3] = (STRONGEST * strength).round()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _said(look: Reliance, label: str) -> str:
    share = percent(look.probability)
    if look.label != label:
        return (
            f"Without its most telling part it would say <b>{escaped(look.label)}</b>, and "
            f"{escaped(label)} {share}."
        )
    return f"Without its most telling part: {escaped(label)} {share}."


def _figure(pictures: str, said: str) -> str:
    return f'<div class="look"><div>{pictures}</div><p>{said}</p></div>'
