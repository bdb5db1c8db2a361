"""How the page looks: ink on paper."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from fewshot.examples import EXAMPLE_TASKS, example_task
from fewshot.ui.classes_panel import MAX_SLOTS
from fewshot.ui.files import thumbnail

_STYLE_SHEETS = [Path(__file__).with_name(f"{name}.css") for name in ("style", "evaluate")]
INK = gr.themes.Color(
    name="ink",
    c50="#f2f4fb", c100="#e3e7f6", c200="#c9d1ed", c300="#a5b1e0", c400="#7b8bcf",
    c500="#5566bb", c600="#3f4fa3", c700="#344185", c800="#2c376c", c900="#262f58",
    c950="#181d38",
)  # fmt: skip


def theme() -> gr.themes.Base:
    """Gradio's Soft in ink and stone, flat; the font comes with Gradio."""
    # Of the fonts that Gradio bundles, several hold only a part of the Latin letters; not these.
    body = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
    return gr.themes.Soft(
        primary_hue=INK,
        secondary_hue=INK,
        neutral_hue="stone",
        radius_size="md",
        font=(body, "ui-sans-serif", "system-ui", "sans-serif"),
    ).set(
        body_background_fill="#faf7f2",
        body_background_fill_dark="#16151a",
        block_background_fill="#ffffff",
        block_background_fill_dark="#211f26",
        block_border_width="1px",
        block_border_color="#e3dcd0",
        block_border_color_dark="#3b3842",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_padding="0",
        block_info_text_color="#6b6672",
        block_info_text_color_dark="#aaa6b0",
        input_background_fill_dark="#2a2830",
        input_border_color="#d9d1c3",
        input_border_color_dark="#4a4652",
        input_border_width="1px",
        input_shadow="none",
        checkbox_border_color="*neutral_400",
        checkbox_border_color_dark="*neutral_500",
        checkbox_label_border_width="1px",
        checkbox_label_border_color="#d9d1c3",
        checkbox_label_border_color_dark="#4a4652",
        checkbox_label_shadow="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_shadow="none",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_hover="#f4efe6",
        button_secondary_background_fill_dark="#2a2830",
        button_secondary_border_color="#d9d1c3",
        button_secondary_border_color_dark="#4a4652",
        button_secondary_shadow="none",
        button_secondary_shadow_hover="none",
        button_border_width="1px",
    )


def style_sheet() -> str:
    """The style sheet, with a picture for each example's button and a number for each class."""
    pictures = [
        f'#example-{key}::before {{ background-image: url("{thumbnail(picture)}"); }}'
        for key in EXAMPLE_TASKS
        for picture in [example_task(key).queries[0]]
    ]
    numbers = [f'#class-{i} {{ --number: "{i}"; }}' for i in range(1, MAX_SLOTS + 1)]
    sheets = [sheet.read_text("utf-8") for sheet in _STYLE_SHEETS]
    return "\n".join([*sheets, *pictures, *numbers])
