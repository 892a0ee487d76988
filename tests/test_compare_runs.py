"""Runs held against each other: two rankings of six pairs, every movement worked out by hand."""

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from hyma.common.errors import HymaError
from hyma.ranking.differences import changed_inputs, differences, outdated
from hyma.ranking.movement import Run
from hyma.ranking.movement import compare as compared
from hyma.report import compare, figures, slopes
from hyma.report.markdown import value
from hyma.report.revisions import WORKSPACE
from tests.test_ranking import FLOPS, MEAN, PAIRS, RECORDS, SCORES, Json, benchmark, by_pair, rank, record
from tests.test_report import canvas, tables

PARAMS: Json = {"seed": 0, "hyma": {"bm": 27, "lr": 0.004}, "text_encoders": {"bert": {"source": "timm"}}}
#          big-bert big-words mid-bert mid-words tiny-bert tiny-words: mid-words falls, big-bert rises by two ranks
AFTER = {
    "objects": SCORES["objects"] | {"hyma": [0.98, 0.66, 0.40, 0.58, 0.10, 0.20]},
    "captions": SCORES["captions"],
}
CHEAPER: Json = {
    "methods": FLOPS["methods"] | {"hyma": {"total": 5e10, "parts": {"connector forward": 5e10}}}
}


def ranking(scores: dict[str, dict[str, list[float]]], flops: Json = FLOPS, **more: Json) -> Json:
    contents = {name: benchmark(own) for name, own in scores.items()}
    costs = {name: {"total": 0.0, "parts": {}} for name in more}
    return rank(contents, {"methods": flops["methods"] | costs}, RECORDS | more)


def only(
    scores: dict[str, dict[str, list[float]]], count: int, *names: str
) -> dict[str, dict[str, list[float]]]:
    """The scores of the first so many pairs on the benchmarks that are named."""
    return {name: {method: row[:count] for method, row in scores[name].items()} for name in names}


def run(
    name: str, scores: dict[str, dict[str, list[float]]] = SCORES, flops: Json = FLOPS, **more: Any
) -> Run:
    return Run(name, PARAMS, ranking(scores, flops), {}, commit="abc1234", date="2020-01-02", **more)


BEFORE = run("before", subject="three pairs a step")
LATER = replace(run("later", AFTER, CHEAPER), params=PARAMS | {"hyma": {"bm": 9, "lr": 0.004}})


@pytest.fixture
def found() -> Json:
    return compared([BEFORE, LATER])


def test_rank_movement(found: Json) -> None:
    ranks = {
        method: {pair: [place["rank"] for place in places.values()] for pair, places in order.items()}
        for method, order in found["order"].items()
    }
    # Those that moved most come first, then by the last rank.
    assert list(ranks["hyma"].items()) == [
        ("big-bert", [3, 1]), ("mid-words", [1, 3]), ("big-words", [2, 2]),
        ("mid-bert", [4, 4]), ("tiny-words", [5, 5]), ("tiny-bert", [6, 6]),
    ]  # fmt: skip
    assert list(ranks["grid"].values()) == [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5], [6, 6]]
    assert found["order"]["hyma"]["mid-words"]["later"]["score"] == pytest.approx(0.5)
    # Two pairs moved by two ranks: 1 - 6 (4 + 4) / (6 · 35).
    assert found["agreement"] == {"hyma": pytest.approx(1 - 48 / 210), "grid": pytest.approx(1.0)}


def test_figures_are_those_of_the_rankings_where_all_is_common(found: Json) -> None:
    for method, own in found["methods"].items():
        for one in (BEFORE, LATER):
            figures = own["runs"][one.name]
            overall, cost = one.ranking["overall"][method], one.ranking["cost"][method]
            for key in ("pair", "picks", "score", "regret", "spearman", "ndcg@5"):
                assert figures[key] == pytest.approx(overall[key]), key
            assert (figures["flops"], figures["seconds"]) == (cost["flops"], cost["seconds"])
    assert found["methods"]["hyma"]["runs"]["before"]["all_pairs"] == pytest.approx(sum(MEAN["hyma"]) / 6)
    for name, own in found["benchmarks"].items():
        for one in (BEFORE, LATER):
            judged = one.ranking["benchmarks"][name]["methods"]["hyma"]
            assert {key: own[one.name][key] for key in ("pair", "score", "regret")} == {
                key: judged[key] for key in ("pair", "score", "regret")
            }
            assert own[one.name]["best"] == max(SCORES[name]["grid"])


def test_the_answer_comes_first(found: Json) -> None:
    assert compare.answer(found) == (
        "**The winner changes: mid × words (`before`), big × bert (`later`).** Grid search scores them, in points: "
        "mid × words 50.0; big × bert 60.0. In the last run the new winner is worth 10.0 more than the first. HYMA "
        "ranks 2 of 6 pairs differently, big × bert most of all (rank 3 → 1); the first run's order and the last's "
        "agree at ρ = 0.771. Over all pairs its connectors score 1.0 points more on average."
    )
    lines = compare.page(found).split("\n\n")
    assert lines[:2] == ["# What changed, and did it matter", compare.answer(found)]
    assert compare.notes(found) == []


def test_the_page_in_tables(found: Json) -> None:
    text = compare.page(found)
    glance, params, runs, methods, ranks, benchmarks = tables(text)
    assert glance == [
        ["", "`before`", "`later`", "change"],
        ["winner", "mid × words", "big × bert", ""],
        ["score of its best connector", "58.0", "64.0", "+6.0"],
        ["HYMA: its pick", "mid × words", "big × bert", ""],
        ["HYMA: score", "58.0", "64.0", "+6.0"],
        ["HYMA: mean score of all pairs", "35.5", "36.5", "+1.0"],
        ["HYMA: regret", "10.0", "0.0", "−10.0"],
        ["HYMA: ρ", "0.771", "1.000", "+0.229"],
        [*glance[8][:2], "1.000", glance[8][3]],
        ["HYMA: FLOPs", "100 GFLOPs", "50 GFLOPs", "2.0× less"],
        ["HYMA: CPU seconds", "30.0", "30.0", ""],
        ["HYMA: seconds", "90.0", "90.0", ""],
        ["grid search: score", "60.0", "60.0", ""],
        ["grid search: mean score of all pairs", "40.8", "40.8", ""],
        ["grid search: FLOPs", "1.2 TFLOPs", "1.2 TFLOPs", ""],
        ["grid search: CPU seconds", "120.0", "120.0", ""],
        ["grid search: seconds", "60.0", "60.0", ""],
    ]
    assert glance[8][0] == "HYMA: NDCG@5"
    assert params == [["key", "`before`", "`later`"], ["`hyma.bm`", "27", "9"]]
    assert runs[1] == [
        "`before`", "`abc1234`", "2020-01-02", "three pairs a step", "standard", "mid × words", "6", "2",
    ]  # fmt: skip
    assert methods[1][:6] == [
        "HYMA", "mid × words → big × bert", "58.0 → 64.0", "35.5 → 36.5", "10.0 → 0.0", "0.771 → 1.000",
    ]  # fmt: skip
    assert methods[2][:3] == ["grid search", "big × bert", "60.0"]
    assert ranks[:4] == [
        ["pair", "rank, `before`", "rank, `later`", "moved", "score, `before`", "score, `later`"],
        ["big × bert", "3", "1", "▲ 2", "50.0", "64.0"],
        ["mid × words", "1", "3", "▼ 2", "58.0", "50.0"],
        ["big × words", "2", "2", "–", "53.0", "53.0"],
    ]
    assert "Grid search orders the pairs alike in all runs." in text
    assert benchmarks[1:] == [
        ["objects", "top-1 accuracy", "mid × words → big × bert", "74.0 → 98.0", "10.0 → 0.0", "80.0",
         benchmarks[1][6]],
        ["captions", "top-1 accuracy", "mid × words", "42.0", "20.0", "50.0", benchmarks[2][6]],
    ]  # fmt: skip


def test_equal_runs_differ_in_nothing() -> None:
    found = compared([BEFORE, replace(BEFORE, name="again")])
    assert compare.answer(found) == (
        "**The winner stays mid × words**; its best connector scores 58.0 points. HYMA orders all 6 pairs as before."
    )
    text = compare.page(found)
    assert "Nothing: the values are the same in all runs." in text
    assert "→" not in text.replace("An arrow (→)", "")
    assert {row[-1] for row in tables(text)[0][1:]} == {""}
    assert compare.pictured(found) == ["hyma"]


def test_three_runs_in_their_order() -> None:
    found = compared([BEFORE, LATER, replace(BEFORE, name=WORKSPACE)])
    # There and back: the ends are alike, yet two pairs moved.
    text = compare.answer(found)
    assert text.startswith(
        "**The winner changes: mid × words (`before`, `workspace`), big × bert (`later`).** "
    )
    assert "worth" not in text
    assert "(rank 1 → 3 → 1); the first run's order and the last's agree at ρ = 1.000." in text
    page = compare.page(found)
    assert tables(page)[4][1] == ["mid × words", "1", "3", "1", "–", "58.0", "50.0", "58.0"]
    assert "| 58.0 → 64.0 → 58.0 |" in page


def test_a_new_winner_may_be_worth_as_much_or_less() -> None:
    # To the oracle mid-words is worth 0.5, big-bert 0.6.
    less = compare.answer(compared([LATER, BEFORE]))
    assert "In the last run the new winner is worth 10.0 less than the first." in less
    level = {"hyma": AFTER["objects"]["hyma"], "grid": [0.60, 0.60, 0.50, 0.70, 0.20, 0.40]}
    same = compare.answer(compared([BEFORE, run("level", AFTER | {"objects": level})]))
    assert "mid × words 50.0; big × bert 60.0 → 50.0. In the last run both are worth the same, so" in same


def test_what_only_some_runs_have_is_left_out_and_said() -> None:
    few = only(AFTER, 4, "objects")
    found = compared([BEFORE, run("few", few)])
    assert found["common"]["pairs"] == PAIRS[:4]
    assert found["common"]["benchmarks"] == ["objects"]
    # As if neither run had ever seen the others.
    whole = compared([run("before", only(SCORES, 4, "objects")), run("few", few)])
    assert (found["methods"], found["order"]) == (whole["methods"], whole["order"])
    assert compare.notes(found) == [
        "The runs do not have the same pairs (6 in `before`, 4 in `few`): scores, ranks and regrets are on the 4 that "
        "all have. FLOPs and seconds are each run's for all its pairs.",
        "The runs do not have the same benchmarks (2 in `before`, 1 in `few`): scores, ranks and regrets are on the 1 "
        "that all have.",
    ]
    assert found["runs"]["before"]["winner"] == {"pair": "mid-words", "method": "hyma", "score": 0.74}
    without = compared([BEFORE, run("few", only(AFTER, 3, "objects"))])
    assert "What the change is worth cannot be said: not all runs have mid × words." in compare.answer(
        without
    )
    assert tables(compare.page(without))[0][2][1:] == ["–", "98.0", ""]


def test_methods_without_connectors_and_such_as_one_run_alone_has() -> None:
    cut = record("asked", 1.0, scores=by_pair([5, 6, 1, 3, 4, 2]), failed={"tiny-bert": "why not"})
    first = replace(BEFORE, ranking=ranking(SCORES, asked=cut))
    found = compared([first, LATER])
    assert found["methods"]["asked"]["runs"].keys() == {"before"}
    ours, theirs = found["methods"]["asked"]["runs"]["before"], first.ranking["overall"]["asked"]
    assert ours["score"] is None
    assert ours["spearman"] == pytest.approx(theirs["spearman"])
    row = tables(compare.page(found))[3][3]
    assert row[:4] == ["asked", "big × words → –", "–", "–"]


def test_a_pair_that_failed_is_last() -> None:
    broken = deepcopy(LATER.ranking)
    for part in ("scores", "choose"):
        broken[part]["hyma"]["big-bert"] = dict.fromkeys(("mean", *SCORES))
    found = compared([BEFORE, replace(LATER, ranking=broken)])
    assert found["order"]["hyma"]["big-bert"]["later"] == {"rank": 6, "score": None}
    assert found["methods"]["hyma"]["runs"]["later"]["all_pairs"] is None
    json.dumps(found, allow_nan=False)
    assert ["big × bert", "3", "6", "▼ 3", "50.0", "–"] in tables(compare.page(found))[4]


def test_protocols_that_differ_are_said() -> None:
    paper = replace(LATER, ranking=LATER.ranking | {"protocol": "paper"})
    (note,) = compare.notes(compared([BEFORE, paper]))
    assert note.startswith("The runs evaluate by different protocols (standard → paper): ")


def test_runs_of_before_methods_had_names() -> None:
    old = deepcopy(BEFORE.ranking)
    del old["methods"], old["own_scores"]
    assert compared([replace(BEFORE, ranking=old), LATER])["methods"]["grid"]["label"] == "grid search"
    assert (
        compared([replace(BEFORE, ranking=old, name=name) for name in "ab"])["methods"]["hyma"]["label"]
        == "hyma"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.update(scores={method: {"a-b": {}} for method in r["scores"]}),
         "share no pairs, so nothing can be compared: before has big-bert, big-words, mid-bert and 3 more; later has "
         "a-b"),
        (lambda r: r["benchmarks"].clear() or r["benchmarks"].update(other={}),
         "share no benchmarks, .* later has other"),
        (lambda r: r.update(oracle="hyma"), r"judged by different oracles \(grid, hyma\)"),
    ],
)  # fmt: skip
def test_nothing_in_common(change: Any, said: str) -> None:
    other = deepcopy(LATER.ranking)
    change(other)
    with pytest.raises(HymaError, match=said):
        compared([BEFORE, replace(LATER, ranking=other)])


def studied(spearman: list[float], scores: list[float]) -> Json:
    return {
        "seeds": 3,
        "methods": {"hyma": {"spearman": {"values": spearman}, "mean_score": {"values": scores}}},
    }


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.30, 0.32, 0.35], "no more than seeds alone make of it (5.0)."),
        ([0.350, 0.351, 0.354], "more than seeds alone make of it (0.4)."),
    ],
)
def test_luck_is_the_range_over_seeds(scores: list[float], said: str) -> None:
    later = replace(LATER, studies=studied([0.91, 0.95, 0.94], scores))
    found = compared([BEFORE, later])
    assert found["luck"]["run"] == "later"
    assert found["luck"]["methods"]["hyma"]["spearman"] == pytest.approx(0.04)
    assert f"score 1.0 points more on average, {said}" in compare.answer(found)
    table = tables(compare.page(found))[0]
    assert table[0][-1] == "luck"
    assert table[7][-2:] == ["+0.229", "0.040"]
    # Studied on six pairs, it says nothing about four.
    assert compared([later, run("few", only(AFTER, 4, "objects"))])["luck"] is None


def test_differences_by_dotted_key() -> None:
    one = {"a": 1, "b": {"c": [1, 2], "d": 0.5, "e": {"f": 1}}, "only": {"x": 1, "y": 2}}
    two = {"a": 1, "b": {"c": [1, 3], "d": 0.5, "e": 7}}
    assert differences({"one": one, "two": two}) == {
        "b.c": {"one": [1, 2], "two": [1, 3]},
        "b.e": {"one": {"f": 1}, "two": 7},
        "only": {"one": {"x": 1, "y": 2}},
    }
    assert differences({"one": one, "two": one}) == {}
    # A value that is null is there; one that is missing is not.
    assert differences({"one": {"a": None}, "two": {}}) == {"a": {"one": None}}


def test_values_as_yaml_writes_them() -> None:
    shown = {"1e-05": 1e-5, "2e+11": 2e11, "0.1234567891": 0.1234567891, "true": True, "null": None,
             "[a, {b: 3}]": ["a", {"b": 3}]}  # fmt: skip
    assert [value(content) for content in shown.values()] == list(shown)
    assert value("x" * 200, longest=5) == "xxxxx…"


def lock(**md5: str) -> Json:
    """Extraction, training, ranking; and a method that was taken out of the experiment."""
    return {
        "stages": {
            "extract": {
                "deps": [
                    {"path": "hyma/encoders/base/extract.py", "md5": md5.get("extract", "1")},
                    {"path": "data/raw", "md5": "2"},
                ],
                "params": {"params.yaml": {"extract": {"batch": 256}}},
                "outs": [{"path": "features/big"}],
            },
            "train": {
                "deps": [{"path": "features/big/words.arrow", "md5": md5.get("features", "3")}],
                "params": {"params.yaml": {"hyma": {"bm": 27, "lr": 0.004}, "image_encoders.gone": 1}},
                "outs": [{"path": "metrics/benchmarks/objects.json"}],
            },
            "rank": {
                "deps": [{"path": "metrics/benchmarks", "md5": "4"}],
                "outs": [{"path": "metrics/ranking.json"}],
            },
            "other": {
                "deps": [{"path": "hyma/other.py", "md5": "5"}],
                "params": {"params.yaml": {"seed": 5}},
            },
        }
    }


def test_a_ranking_older_than_its_params() -> None:
    params = {"extract": {"batch": 256}, "hyma": {"bm": 9, "lr": 0.004}, "image_encoders": {}, "seed": 0}
    assert outdated(params, lock()) == {"hyma.bm": {"ran": 27, "now": 9}}
    assert outdated(params, {}) == {}
    stale = replace(LATER, params=params, lock=lock())
    assert compare.notes(compared([BEFORE, stale])) == [
        "The ranking of `later` is older than its params.yaml: it was made with `hyma.bm` 27, now 9. `dvc repro` "
        "brings it up to date."
    ]


def test_inputs_that_differ_are_those_that_no_stage_makes() -> None:
    assert changed_inputs([lock(), lock(extract="9", features="8")]) == ["hyma/encoders/base/extract.py"]
    assert changed_inputs([lock(), lock()]) == []
    assert changed_inputs([lock(), {}]) == []
    found = compared([replace(BEFORE, lock=lock()), replace(LATER, lock=lock(extract="9"))])
    assert "differ too, by dvc.lock: `hyma/encoders/base/extract.py`.\n" in compare.page(found)


def test_slopes_show_the_ranks(found: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    (axes,) = canvas(monkeypatch, slopes.slopes, found, "hyma").axes
    lines = {tuple(line.get_ydata()): line.get_color() for line in axes.lines}
    assert lines.keys() == {(3, 1), (1, 3), (2, 2), (4, 4), (5, 5), (6, 6)}
    assert (lines[1, 3], lines[3, 1]) == (figures.COLOURS[1], figures.COLOURS[0])
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # rank 1 is at the top
    texts = [(text.get_text(), *text.xy) for text in axes.texts]
    assert texts[:3] == [("3", 0, 3), ("50.0", 0, 3), ("big × bert", 0, 3)]
    assert texts[3:6] == [("1", 1, 1), ("64.0", 1, 1), ("big × bert", 1, 1)]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["before\nabc1234", "later\nabc1234"]


def test_slopes_of_very_many_pairs_leave_out_the_last() -> None:
    order = {f"i{n}-t": {"one": {"rank": n}, "two": {"rank": 101 - n}} for n in range(1, 101)}
    # The first sixty of either run: those between 41 and 60 are of both.
    assert len(slopes.drawn(order)) == 100
    order = {name: {"one": places["one"]} for name, places in order.items()}
    assert list(slopes.drawn(order)) == [f"i{n}-t" for n in range(1, 61)]
