"""The heat maps: the numbers in their cells, their colours, what is left out."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fewshot.handwriting import draw
from fewshot.images import support_set
from fewshot.types import Comparison, MethodResult, Picture, Prediction
from fewshot.ui.heat_map import heat_map_html, strongest_rows, warmth
from fewshot.ui.name_list import NameList
from fewshot.ui.names_results import named, names_html, summary
from fewshot.ui.results import results_of
from fewshot.ui.similarities import similarities_html
from fewshot.ui.style import style_sheet


def cells(html: str) -> list[list[str]]:
    """The body's numbers, row by row."""
    body = html.split("<tbody>")[1].split("</tbody>")[0]
    rows = re.findall("<tr>(.*?)</tr>", body)
    return [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in rows]


def result(scores: np.ndarray, evidence: np.ndarray | None = None) -> MethodResult:
    n_queries, n_way = scores.shape
    shares = np.full((n_queries, n_way), 1 / n_way, np.float32)
    names = tuple(f"c{i}" for i in range(n_way))
    prediction = Prediction(names, shares, scores, evidence)
    return MethodResult(prediction, np.ones(n_queries), ((),) * n_queries)


def shown(n_queries: int = 2, shots: int = 2, **results: MethodResult) -> str:
    classes = [
        (f"c{c}", [Picture(f"c{c}/{i}.png", draw(c, i)) for i in range(shots)]) for c in (0, 1)
    ]
    support = support_set(classes)
    queries = [Picture(f"q{i}.png", draw(2, i)) for i in range(n_queries)]
    comparison = Comparison(("c0", "c1"), tuple(q.name for q in queries), results)
    return similarities_html(results_of(comparison, support, queries, {}))


def test_cells_hold_the_numbers_and_run_from_least_to_greatest() -> None:
    values = np.array([[0.104, -0.5], [1.0, -0.004]])
    html = heat_map_html("Caption", values, ["a", "b"], ["x", "y"])
    assert cells(html) == [["0.10", "−0.50"], ["1.00", "0.00"]]
    # (0.1 + 0.5) / 1.5 and so on
    assert re.findall(r"--warmth:(\d+)%", html) == ["40", "0", "100", "33"]
    assert re.findall(r'<th scope="(\w+)">(\w)</th>', html) == [
        ("col", "x"), ("col", "y"), ("row", "a"), ("row", "b"),
    ]  # fmt: skip


def test_equal_numbers_are_all_cold() -> None:
    np.testing.assert_array_equal(warmth(np.full((2, 2), 0.3)), np.zeros((2, 2)))


def test_of_too_many_rows_the_strongest_stay_in_order() -> None:
    values = np.array([[0.1, 0.2], [0.9, 0.0], [0.3, 0.3], [0.0, 0.8]])
    assert strongest_rows(values, 2).tolist() == [1, 3]
    assert strongest_rows(values, 4).tolist() == [0, 1, 2, 3]


def test_names_and_pictures_have_a_map_each() -> None:
    cosines = np.array([[0.25, 0.11], [0.05, 0.31]], np.float32)
    evidence = np.array([[0.9, 0.8, 0.1, 0.2], [0.3, 0.4, 0.7, 0.6]], np.float32)
    html = shown(clip=result(cosines), finetune=result(cosines, evidence))
    names, pictures = html.split("<figure")[1:]
    assert cells(names) == [["0.25", "0.05"], ["0.11", "0.31"]]  # name × query
    assert cells(pictures) == [
        ["0.90", "0.30"],
        ["0.80", "0.40"],
        ["0.10", "0.70"],
        ["0.20", "0.60"],
    ]
    assert pictures.count("<img") == 4 + 2
    assert re.findall(r'<th scope="row"><span title="(\w+)">', names) == ["c0", "c1"]
    assert re.findall(r'-frame" tabindex="0" role="region" aria-label="([^"]*?):', html) == [
        "Names × pictures"
    ]
    assert re.findall(r"<span>(c\d)</span>", pictures) == ["c0", "c0", "c1", "c1"]
    assert "most similar" not in html and "first" not in html


def test_a_map_needs_its_method() -> None:
    cosines = np.zeros((2, 2), np.float32)
    assert shown(siamese=result(cosines)) == ""
    assert shown(clip=result(cosines)).count("<figure") == 1


def test_what_a_map_leaves_out_is_said() -> None:
    rng = np.random.default_rng(0)
    evidence = rng.uniform(size=(23, 60)).astype(np.float32)
    html = shown(23, 30, finetune=result(np.zeros((23, 2), np.float32), evidence))
    assert "the 40 most similar of your pictures, of 60; the first 20 pictures, of 23" in html
    rows = cells(html)
    assert len(rows) == 40 and {len(row) for row in rows} == {20}
    kept = np.sort(np.argsort(-evidence[:20].max(0))[:40])
    assert rows == [[f"{value:.2f}" for value in evidence[:20, i]] for i in kept]


def relative_luminance(colour: np.ndarray) -> float:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_the_numbers_can_be_read_on_every_colour(mode: int) -> None:
    sheet = style_sheet()

    def colour(name: str) -> np.ndarray:
        code = re.findall(rf"--{name}: #(\w{{6}});", sheet)[mode]
        return np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)])

    ink, cold, warm = colour("ink"), colour("wash"), colour("heat")
    for share in np.linspace(0, 1, 11):
        light, dark = sorted(
            [relative_luminance(ink), relative_luminance(cold + share * (warm - cold))],
            reverse=True,
        )
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA


# Names alone


def asked(shares: np.ndarray, scores: np.ndarray) -> tuple[str, MethodResult]:
    from fewshot.types import SupportSet

    names = tuple(f"n{i}" for i in range(shares.shape[1]))
    prediction = Prediction(names, shares, scores)
    clip = MethodResult(prediction, np.ones(len(shares)), ((),) * len(shares))
    queries = [Picture(f"q{i}.png", draw(2, i)) for i in range(len(shares))]
    comparison = Comparison(names, tuple(q.name for q in queries), {"clip": clip})
    support = SupportSet(names, (), np.zeros(0, np.int64))
    return names_html(results_of(comparison, support, queries, {})), clip


def test_each_picture_gets_its_five_best_names_and_the_map_all_of_them() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(-0.2, 0.4, (3, 30)).astype(np.float32)
    shares = np.exp(20 * scores) / np.exp(20 * scores).sum(1, keepdims=True)
    html, clip = asked(shares, scores)
    best = [sorted(range(30), key=lambda i: -scores[q, i])[:5] for q in range(3)]
    for query, article in enumerate(re.findall("<article.*?</article>", html)):
        assert re.findall(r"<li><span>(\w+)</span>", article) == [f"n{i}" for i in best[query]]
        own = re.findall(r'class="raw"[^>]*>([^<]*)<', article)
        assert own == [f"{scores[query, i]:.2f}".replace("-", "−") for i in best[query]]
    expected = sorted({i for five in best for i in five})
    assert named(clip).tolist() == expected
    heads = re.findall(r'<th scope="row"><span title="n\d+">(n\d+)</span></th>', html)
    assert heads == [f"n{i}" for i in expected]
    assert f"the {len(expected)} likeliest names, of 30" in html
    numbers = [
        [f"{v:.2f}".replace("-", "−").replace("−0.00", "0.00") for v in scores[:, i]]
        for i in expected
    ]
    assert cells(html) == numbers


def test_the_map_of_names_has_room_for_forty() -> None:
    shares = np.full((20, 200), 0.001, np.float32)
    for query in range(20):  # five names of its own each: a hundred
        shares[query, 5 * query : 5 * query + 5] = 0.1 + 0.01 * query
    _, clip = asked(shares, shares)
    assert named(clip).tolist() == list(range(60, 100))  # of the eight surest pictures


def test_the_summary_counts() -> None:
    names, queries = ("a", "b"), ("q.png",)
    assert summary(Comparison(names, queries, {}), NameList(names, 0)) == "2 names, 1 picture."
    told = summary(Comparison(names * 600, queries * 2, {}), NameList(names * 600, 3))
    assert told == "1,200 names, 2 pictures. 3 repeated lines were left out."
