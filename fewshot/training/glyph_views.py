"""Rendered glyphs made to look drawn: bent, of any pen, ink and paper, anywhere on the sheet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshot.encoders.augment import DRAWN as BENDING
from fewshot.encoders.augment import Augmentation, affine_matrices, dilated, sampling_grid

# Pen, paper's grey, contrast, three tints each of ink and paper, light in x and y, noise.
DRAWN = BENDING + 12
RANGES = Augmentation(rotation=12.0, shear=0.2, scale=0.2, translation=0.12, elastic=0.045)
# Drawings may be small on their sheet; this much larger than the frame is how far one looks.
LARGEST_SHEET = 1.5
NOISE = 0.04


def glyph_views(ink: Tensor, drawn: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """One drawing of each glyph.

    Args:
        ink: ``(b, h, w)`` uint8, ink 255.
        drawn: ``(b, DRAWN)`` in 0..1.
        side: of the result.
        generator: of the paper's grain.

    Returns:
        ``(b, 3, side, side)`` float32 in 0..1.
    """
    with torch.autocast(ink.device.type, enabled=False):
        bending, look = drawn[:, :BENDING], drawn[:, BENDING:]
        strokes = _with_pen(ink.unsqueeze(1).float() / 255, look[:, 0])
        if side <= ink.shape[-1] // 2:
            strokes = F.avg_pool2d(strokes, 2)
        matrices = affine_matrices(bending[:, :7] * 2 - 1, RANGES)
        sheet = 0.85 + (LARGEST_SHEET - 0.85) * bending[:, 7].square()
        matrices = torch.cat([matrices[:, :, :2] * sheet.view(-1, 1, 1), matrices[:, :, 2:]], 2)
        bends = (bending[:, 8:] * 2 - 1) * RANGES.elastic
        grid = sampling_grid(matrices, bends, (side, side))
        return _on_paper(F.grid_sample(strokes, grid, align_corners=False), look[:, 1:], generator)


def _with_pen(strokes: Tensor, pen: Tensor) -> Tensor:
    """Thinned by a pixel a side where ``pen (b,)`` is low, thickened by up to two where high."""
    for chosen, change in (
        (pen < 0.25, lambda x: 1 - dilated(1 - x)),
        (pen > 0.55, dilated),
        (pen > 0.85, dilated),
    ):
        rows = chosen.nonzero().squeeze(1)
        if not len(rows):
            continue
        changed = change(strokes[rows])
        # A hairline would vanish: what is left of each drawing decides whether it is thinned.
        left = changed.sum((1, 2, 3), keepdim=True) / strokes[rows].sum((1, 2, 3), keepdim=True)
        strokes[rows] = torch.where(left > 0.35, changed, strokes[rows])
    return strokes


def _on_paper(strokes: Tensor, look: Tensor, generator: torch.Generator) -> Tensor:
    """Ink and paper of two colours, lit unevenly: ``(b, 1, s, s)`` to ``(b, 3, s, s)``."""
    grey, contrast = look[:, :1], look[:, 1:2]
    plain = grey < 0.4  # two in five: black on white, as most drawings are
    dark_paper = grey > 0.85
    paper = torch.where(dark_paper, (1 - grey) * 2, 0.65 + 0.35 * (grey - 0.4).abs() / 0.45)
    gap = 0.35 + 0.6 * contrast
    paper = (paper + 0.25 * (look[:, 5:8] - 0.5)).clamp(0, 1)
    ink = torch.where(dark_paper, paper + gap, paper - gap) + 0.4 * (look[:, 2:5] - 0.5)
    paper, ink = (
        torch.where(plain, value, colour.clamp(0, 1))[:, :, None, None]
        for value, colour in ((1.0, paper), (0.15 * contrast, ink))
    )
    side = strokes.shape[-1]
    slope = torch.linspace(-0.15, 0.15, side, device=strokes.device)
    lit = (look[:, 8:10] * 2 - 1)[:, :, None, None] * slope  # (b, 2, 1, s): along x, along y
    light = lit[:, :1] + lit[:, 1:].mT  # (b, 1, s, s)
    light = torch.where(plain[:, :, None, None], 0.0, light)
    grain = torch.randn(strokes.shape, generator=generator, device=strokes.device)
    grain = grain * (NOISE * look[:, 10].square())[:, None, None, None]
    return (torch.lerp(paper, ink, strokes) + light + grain).clamp(0, 1)
