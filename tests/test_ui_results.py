"""The page without a browser: what it says and shows of answers."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from made_up import CLASSES, answer, comparison, picture, results
from PIL import Image

from fewshot.handwriting import draw
from fewshot.images import support_set
from fewshot.types import (
    Blank,
    Comparison,
    MethodResult,
    Neighbour,
    Picture,
    Prediction,
    SupportSet,
)
from fewshot.ui import clip_files, markup
from fewshot.ui.cards import cards_html, table_html
from fewshot.ui.engine import TITLES, without_baseline
from fewshot.ui.results import n_right, odd_ones, percent, raw, verdict
from fewshot.ui.results_panel import same_row


def test_escaped_text_can_neither_be_markup_nor_template() -> None:
    text = "<img src=x onerror='a()'> \"&\" ${1+1} {{2}} `b`"
    assert not set("<>\"'${}`") & set(markup.escaped(text).replace("&#", ""))
    assert markup.escaped("Ōru 漢字") == "Ōru 漢字"


def test_several_sentences_are_capped() -> None:
    assert markup.several(["a < b"]) == "a &lt; b"
    many = markup.several([f"s{i}" for i in range(10)])
    assert many.count("<li>") == markup.MOST_SENTENCES + 1
    assert "… and 4 more." in many


def test_words_are_listed_as_people_do() -> None:
    from fewshot.class_names import listed

    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "<1%"), (0.004, "<1%"), (0.126, "13%"), (0.994, "99%"), (0.9999, ">99%"), (1.0, ">99%")],
)
def test_a_share_is_never_rounded_to_certainty(probability: float, text: str) -> None:
    assert percent(probability) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.2649, "0.26"), (-0.02, "−0.02"), (-0.001, "0.00"), (-12.345, "−12.35"), (1, "1.00")],
)
def test_a_number_has_a_true_minus_and_zero_has_none(value: float, text: str) -> None:
    assert markup.number(value) == text


@pytest.mark.parametrize(
    ("score", "text"),
    [(0.2649, "0.26"), (-1.005, "−1.00"), (-0.001, "0.00"), (9.99, "9.99"), (-12.34, "−12.3")],
)
def test_a_measure_is_short_and_has_a_true_minus(score: float, text: str) -> None:
    assert raw(score) == text


def test_the_verdict_names_who_says_what() -> None:
    both = comparison(siamese=answer(0.9), triplet=answer(0.8))
    assert verdict(both, 0) == "Both methods agree: Oru."
    every = comparison(siamese=answer(0.9), triplet=answer(0.8), finetune=answer(0.7))
    assert verdict(every, 0) == "All 3 methods agree: Oru."
    split = comparison(siamese=answer(0.9), triplet=answer(0.8), finetune=answer(0.1))
    assert verdict(split, 0) == (
        f"They disagree: Siamese and Triplet say Oru; Fine-tuned prototype says {CLASSES[1]}."
    )
    assert verdict(comparison(clip=answer(0.9)), 0) == "Only CLIP zero-shot could answer: Oru."


def test_the_odd_ones_are_those_outside_the_majority() -> None:
    agreed = comparison(siamese=answer(0.9), triplet=answer(0.8))
    assert odd_ones(agreed, 0) == set()
    split = comparison(siamese=answer(0.9), triplet=answer(0.8), finetune=answer(0.1))
    assert odd_ones(split, 0) == {"finetune"}
    tied = comparison(siamese=answer(0.9), triplet=answer(0.1))
    assert odd_ones(tied, 0) == {"siamese", "triplet"}


def test_the_baseline_has_no_vote_and_no_card() -> None:
    full = comparison(siamese=answer(0.9), finetune=answer(0.8), prototype=answer(0.1))
    cards, baseline = without_baseline(full)
    assert list(cards.results) == ["siamese", "finetune"]
    sources = dict.fromkeys(full.results, "somewhere")
    assert list(without_baseline(replace(full, sources=sources))[0].sources) == list(cards.results)
    assert baseline is full.results["prototype"]
    assert cards.agree(0)


def test_right_and_wrong_only_where_the_answer_is_known_and_a_class() -> None:
    full = comparison(siamese=answer(0.9, 0.1, 0.9))
    shown = results(full, {0: "Oru", 1: "Oru", 2: "Renamed"})
    assert shown.answers == ("Oru", "Oru", None)
    assert n_right(shown, "siamese") == (1, 2)


def test_five_methods_can_be_of_three_minds() -> None:
    others = {"clip": answer(0.2), "clip-adapter": answer(0.7)}
    five = comparison(siamese=answer(0.9), triplet=answer(0.8), finetune=answer(0.1), **others)
    assert odd_ones(five, 0) == {"finetune", "clip"}
    assert verdict(five, 0) == (
        "They disagree: Siamese, Triplet and CLIP adapter say Oru; Fine-tuned prototype and CLIP "
        f"zero-shot say {CLASSES[1]}."
    )


def test_the_adapter_says_whether_pictures_count() -> None:
    def said(both: float) -> str:
        full = comparison(**{"clip": answer(0.3), "clip-adapter": answer(both)})
        return cards_html(results(full), 0)

    assert "both count" in said(0.4) and "the names alone count" not in said(0.4)
    assert "the names alone count" in said(0.3) and "both count" not in said(0.3)


def test_cards_are_five_whatever_answered_and_text_stays_text() -> None:
    html = cards_html(results(comparison(siamese=answer(0.2), prototype=answer(0.6))), 0)
    assert re.findall('data-method="([a-z-]+)"', html) == list(TITLES)
    assert len(TITLES) == 5
    assert html.count("Not &lt;here&gt;.") == 4
    assert "<b>Tavek</b>" not in html and "${1}" not in html
    assert "same: 0.25" in html
    assert "12.3 ms" in html


def test_what_is_kept_for_later_clicks_shows_the_same_cards_without_the_maps() -> None:
    full = comparison(
        siamese=answer(0.2, 0.7), finetune=answer(0.3, 0.4), prototype=answer(0.1, 0.2)
    )
    shown = results(full)
    kept = shown.without_maps()
    assert cards_html(kept, 1) == cards_html(shown, 1) and table_html(kept) == table_html(shown)
    assert all(r.prediction.evidence is None for r in kept.comparison.results.values())
    assert kept.baseline.prediction.evidence is None
    assert shown.baseline.prediction.evidence is not None


def test_below_a_picture_stands_a_number_as_beside_the_bars() -> None:
    opposite = (Neighbour(0, "Oru/1.png", "Oru", -0.02),)
    shown = replace(answer(0.2), neighbours=(opposite,))
    html = cards_html(results(comparison(siamese=shown)), 0)
    assert "<span>−0.02</span>" in html and "similarity −0.02" in html
    assert "-0.02" not in html


def test_the_baseline_stands_in_the_tuned_card() -> None:
    full = comparison(finetune=answer(0.2), prototype=answer(0.6))
    assert "Before fine-tuning: <b>Oru</b> 60%" in cards_html(results(full), 0)


def test_the_tuned_card_says_when_it_saw_the_other_queries() -> None:
    full = comparison(finetune=answer(0.2, 0.3), prototype=answer(0.6, 0.6))
    said = "Also used the other queries"
    assert said in cards_html(results(full, transductive=True), 0)
    assert said not in cards_html(results(full), 0)
    alone = comparison(finetune=answer(0.2))  # there are no others
    assert said not in cards_html(results(alone, transductive=True), 0)


def test_each_share_has_the_methods_own_measure_beside_it() -> None:
    clip = answer(0.75)
    scores = np.array([[0.312, -0.056]], np.float32)
    full = comparison(clip=replace(clip, prediction=replace(clip.prediction, scores=scores)))
    html = cards_html(results(full), 0)
    bars = re.findall(
        r'class="share"[^>]*>([^<]*)</span><span class="raw" title="([^"]*)">([^<]*)', html
    )
    assert [(share, own) for share, _, own in bars] == [("75%", "0.31"), ("25%", "−0.06")]
    assert all("cosine of picture and name" in title for _, title, _ in bars)
    assert "calibrated" in html


def test_the_picture_looked_at_is_looked_at_again() -> None:
    three = results(comparison(siamese=answer(0.9, 0.9, 0.1)))
    _, two, last = three.queries
    without_first = replace(three, queries=(two, last))
    twins = replace(three, queries=(last, two, last))
    assert same_row(None, 2, three) == same_row(without_first, 2, three) == 0
    assert same_row(three, 2, three) == 2
    assert same_row(three, 2, without_first) == 1  # where it went
    assert same_row(three, 0, without_first) == 0  # gone
    assert same_row(twins, 2, twins) == 2 and same_row(three, 2, twins) == 2
    rows = re.findall("<tr data-query.*?</tr>", table_html(three, 1))
    assert ["chosen" in row for row in rows] == [False, True, False]
    assert ['aria-pressed="true"' in row for row in rows] == [False, True, False]


def test_what_was_shown_already_proves_nothing() -> None:
    from fewshot.remarks import remarks, shown_already

    support = support_set([("Oru", [picture(0, 1)]), ("Tavek", [picture(1, 1)])])
    fresh, copy = picture(2, 3), replace(picture(1, 1), name="copy.png")
    assert shown_already(support, [fresh]) == ""
    said = shown_already(support, [fresh, copy])
    assert said.startswith("'copy.png' is among the pictures shown, too: that it comes out right")
    assert "are among" in shown_already(support, [copy, picture(0, 1)])
    assert said in remarks(comparison(siamese=answer(0.9)), support, [fresh, copy])


def test_the_names_that_the_small_model_knows_are_told() -> None:
    told = clip_files.cautioned(["Beware."], "there", ["Goldfish", "Oru", "bullfrog"])
    assert told.startswith("Beware. Of yours it knows 'Goldfish' and 'bullfrog'. “How it works”")
    assert "yours" not in clip_files.cautioned(["Beware."], "there", ["Oru"])


def test_the_table_marks_disagreement_and_answers() -> None:
    full = comparison(siamese=answer(0.9, 0.9), triplet=answer(0.9, 0.1))
    html = table_html(results(full, {0: "Oru", 1: "Oru"}))
    rows = re.findall("<tr data-query.*?</tr>", html)
    assert ["≠" in row for row in rows] == [False, True]
    assert [row.count("✓") for row in rows] == [2, 1]
    assert "2 of 2 right" in html and "1 of 2 right" in html
    assert table_html(results(comparison(siamese=answer(0.9)))) == ""


def test_only_a_long_table_scrolls_by_itself() -> None:
    frames = [table_html(results(comparison(siamese=answer(*[0.9] * n)))) for n in (12, 13)]
    assert ['class="table-frame long"' in html for html in frames] == [False, True]


def test_a_long_table_can_be_cut_down_to_the_disagreements() -> None:
    def offer(n_odd: int, n_queries: int) -> str:
        first = answer(*[0.9] * n_queries)
        second = answer(*[0.1] * n_odd, *[0.9] * (n_queries - n_odd))
        html = table_html(results(comparison(siamese=first, triplet=second)))
        assert html.count(" data-agree") == n_queries - n_odd
        return " ".join(re.findall("Only the .*?(?=</label>)", html))

    assert offer(3, 13) == "Only the 3 on which they disagree"
    assert offer(1, 13) == "Only the one on which they disagree"
    assert offer(0, 13) == offer(13, 13) == offer(3, 12) == ""


def shown_as(pictures: list[Picture], labels: list[int]) -> SupportSet:
    return SupportSet(("A", "B"), tuple(pictures), np.array(labels))


def test_what_was_shown_is_remarked_on() -> None:
    from fewshot.remarks import blank_queries, blank_supports, in_two_classes, photographed

    drawn = [Picture(f"{i}.png", draw(i, 3)) for i in range(6)]
    assert (
        photographed(drawn, "drawings", "…")
        == in_two_classes(shown_as(drawn, [0] * 3 + [1] * 3))
        == ""
    )
    rng = np.random.default_rng(0)
    smooth = np.asarray(Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8)).resize((90, 90)))
    said = photographed([Picture("p", smooth)] * 3, "drawings", "choose Photos")
    assert said.endswith("only their outlines are seen: choose Photos.")
    assert photographed([], "drawings", "…") == ""
    assert photographed([Picture("p", smooth)] * 3, "photos", "…") == ""
    same = [*drawn[:3], Picture("again.png", drawn[1].pixels)]
    said = in_two_classes(shown_as(same, [0, 0, 0, 1]))
    assert said.startswith("'1.png' is shown in more than one class")
    assert in_two_classes(shown_as(same, [0, 0, 0, 0])) == ""
    assert blank_supports([]) == ""
    assert "'a' and 'b', yet they stand" in blank_supports(["a", "b"])
    assert "'c' and 2 more" in blank_supports(list("abcde"))
    blank = (Blank("a", 0), Blank("shown", None), Blank("b", 2))
    asked = Comparison(("A", "B"), ("a", "x", "b"), {}, without_ink=blank)
    assert blank_queries(asked).endswith("'a' and 'b': what is said of them rests on nothing.")
    assert blank_queries(replace(asked, without_ink=blank[1:2])) == ""


def test_names_that_clip_reads_as_one_are_told_of() -> None:
    from fewshot.remarks import alike_to_clip, remarks

    def shown(*names: str, descriptions: tuple[str, ...] = ()) -> SupportSet:
        return SupportSet(names, (), np.zeros(0, int), descriptions)

    assert alike_to_clip(shown("cat", "dog", "cats")) == ""
    said = alike_to_clip(shown("cat", "dog", "Cat"))
    assert said.startswith("CLIP reads 'cat' and 'Cat' as one name")
    assert alike_to_clip(shown("cat", "Cat", descriptions=("", "a wild one"))) == ""
    # Only where CLIP answers; the other methods tell such classes apart.
    assert remarks(Comparison(("cat", "Cat"), ("q",), {}), shown("cat", "Cat")) == []
    even = np.full((1, 2), 0.5, np.float32)
    clip = MethodResult(Prediction(("cat", "Cat"), even, even), np.zeros(1), ((),))
    with_clip = Comparison(("cat", "Cat"), ("q",), {"clip": clip})
    assert remarks(with_clip, shown("cat", "Cat")) == [alike_to_clip(shown("cat", "Cat"))]


def test_a_blank_query_is_marked_and_the_others_are_not() -> None:
    full = replace(comparison(finetune=answer(0.2, 0.3)), without_ink=(Blank("q1.png", 1),))
    for query, blank in ((0, False), (1, True)):
        assert ("No drawing was found in it: what" in cards_html(results(full), query)) == blank
    rows = re.findall("<tr data-query.*?</tr>", table_html(results(full)))
    assert ["∅" in row for row in rows] == [False, True]
