"""A line chart with 95% bands as SVG, readable on light and on dark pages alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 62, 218, 48, 58  # margins; the legend lies at the right
_STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #333 }
.page { fill: #fff } .title { font-size: 15px; font-weight: 600 }
.grid { stroke: #e3e3e3 } .axis { stroke: #888 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round } .band { stroke: none; opacity: .18 }
@media (prefers-color-scheme: dark) {
text { fill: #d5d9de } .page { fill: #0d1117 } .grid { stroke: #272d35 } .axis { stroke: #768390 }
}"""


@dataclass(frozen=True)
class Series:
    """One line of a chart, or a mark where it has one point.

    Attributes:
        name: for the legend.
        points: ``(x, y, half-width of the interval)``, in the order of x.
        colour: of middling lightness, so that it shows on either ground.
        dashed: whether the line is.
    """

    name: str
    points: Sequence[tuple[float, float, float]]
    colour: str
    dashed: bool = False


def line_chart(
    title: str, x_label: str, y_label: str, series: Sequence[Series], y_range: tuple[float, float]
) -> str:
    """An SVG document.

    Args:
        title: above the chart.
        x_label: what x is; its ticks are the values that occur in the longest series.
        y_label: what y is.
        series: at least one, drawn in this order.
        y_range: least and greatest y shown; points beyond are moved to the edge.
    """
    ticks = [x for x, _, _ in max(series, key=lambda one: len(one.points)).points]
    to_x = _scale(min(ticks), max(ticks), LEFT, WIDTH - RIGHT)
    to_y = _scale(*y_range, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        _text(LEFT, 28, title, "start", 'class="title"'),
        *_axes(ticks, y_range, to_x, to_y),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, x_label),
        _text(0, 0, y_label, "middle", f'transform="translate(18 {HEIGHT / 2}) rotate(-90)"'),
    ]
    for number, one in enumerate(series):
        points = [
            (to_x(x), *(to_y(v) for v in (y, y - half, y + half))) for x, y, half in one.points
        ]
        parts += _band(points, one) + _line(points, one) + _legend(number, one)
    described = escape(f"{title}. {x_label}: {min(ticks):g} to {max(ticks):g}.")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img">\n<title>{described}</title>\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _scale(low: float, high: float, start: float, end: float):
    """A map from low..high onto start..end, which nothing leaves."""
    span = (high - low) or 1.0
    return lambda value: start + (end - start) * min(1.0, max(0.0, (value - low) / span))


def _axes(ticks, y_range, to_x, to_y) -> list[str]:
    low, high = y_range
    step = 20 if high - low > 50 else 5 if high - low > 12 else 2
    left, right, foot = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    value = -(-low // step) * step
    while value <= high:
        y = to_y(value)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{right}"/>')
        parts.append(_text(left - 9, y + 4.5, f"{value:g} %", "end"))
        value += step
    parts.append(f'<path class="axis" d="M{left} {foot}H{right}"/>')
    last = -100.0
    for tick in ticks:
        x = to_x(tick)
        parts.append(f'<path class="axis" d="M{x:.1f} {foot}v5"/>')
        if x - last > 24:
            parts.append(_text(x, foot + 20, f"{tick:g}"))
            last = x
    return parts


def _band(points, one: Series) -> list[str]:
    if len(points) < 2 or not any(half for _, _, half in one.points):
        return []
    outline = [(x, upper) for x, _, _, upper in points]
    outline += [(x, lower) for x, _, lower, _ in reversed(points)]
    return [f'<path class="band" fill="{one.colour}" d="{_path(outline)}Z"/>']


def _line(points, one: Series) -> list[str]:
    if len(points) == 1:
        return [_mark(points[0][0], points[0][1], one.colour)]
    dashes = ' stroke-dasharray="6 4"' if one.dashed else ""
    path = _path([point[:2] for point in points])
    return [f'<path class="line" stroke="{one.colour}"{dashes} d="{path}"/>']


def _legend(number: int, one: Series) -> list[str]:
    x, y = WIDTH - RIGHT + 18, TOP + 8 + 22 * number
    if len(one.points) == 1:
        key = _mark(x + 13, y, one.colour)
    else:
        dashes = ' stroke-dasharray="6 4"' if one.dashed else ""
        key = f'<path class="line" stroke="{one.colour}"{dashes} d="M{x} {y}h26"/>'
    return [key, _text(x + 34, y + 4.5, one.name, "start")]


def _mark(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'


def _path(points) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _text(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'
