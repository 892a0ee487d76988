"""The page on all methods and its picture: advice, fronts and beaten methods that were worked out by hand."""

from typing import Any

import numpy as np
import pytest

from hyma.ranking import choice
from hyma.report import methods, trade_off
from tests.test_ranking import FLOPS, RECORDS, SCORES, benchmark, rank
from tests.test_report import COUNTS, canvas, contents, crowd, dots, inputs, tables

Json = dict[str, Any]
ORACLE: Any = (1000.0, 0.0, 1.0, [0.5, 0.3])


def toy(**found: Any) -> Json:
    """A ranking of two pairs from each method's FLOPs, regret, ρ, and the scores of its connectors, if any."""
    parts = ("methods", "overall", "cost", "scores")
    ranking: Json = {"oracle": "grid", "pairs": 2} | {part: {} for part in parts}
    for method, (cost, regret, rho, scores) in ({"grid": ORACLE} | found).items():
        ranking["methods"][method] = {"label": method.upper()}
        ranking["overall"][method] = {
            "pair": "big-bert", "picks": 1, "regret": regret, "relative_regret": regret / 0.5, "spearman": rho,
        }  # fmt: skip
        ranking["cost"][method] = {"flops": cost, "flops_ratio": 1000 / cost if cost else None}
        if scores is not None:
            ranking["scores"][method] = {str(row): {"mean": score} for row, score in enumerate(scores)}
    return ranking


def advice(number: int, **found: Any) -> str:
    """One of the three sentences."""
    return methods.advice(toy(**found)).split("\n")[number].removeprefix("- ")


def test_pareto_front_by_hand() -> None:
    points = [(1.0, 5.0), (2.0, 3.0), (2.0, 4.0), (3.0, 3.0), (4.0, 1.0), (1.0, 5.0)]
    assert choice.pareto(points) == [0, 1, 4, 5]  # equal points do not beat each other
    assert choice.pareto([(1, 2, 3), (1, 2, 4), (2, 1, 9), (0, 9, 9), (1, 2, 3)]) == [0, 2, 3, 4]
    assert choice.pareto([(7.0, 7.0)]) == [0]
    assert choice.pareto([]) == []


def test_dominated_methods_by_hand() -> None:
    ranking = toy(
        free=(0, 0.2, 0.1, None),
        worse=(0, 0.2, 0.0, None),  # than free, in its order alone
        good=(10, 0.1, 0.5, None),
        twin=(10, 0.1, 0.5, None),  # as good: neither beats the other
        later=(20, 0.2, 0.1, None),  # free is as good for nothing; good is named, since it computes
        order=(20, 0.3, 0.6, None),
        dearer=(2000, 0.0, 1.0, None),  # than the oracle, and no better
        blind=(5, 0.1, None, None),
    )
    names = ["free", "worse", "blind", "good", "twin", "later", "order", "grid", "dearer"]
    assert choice.by_cost(ranking) == names
    assert choice.dominated(ranking) == {"worse": "free", "later": "good", "dearer": "grid"}
    # Nor is the oracle ever among them, whoever is as good and cheaper.
    assert choice.dominated(toy(as_good=(1, 0.0, 1.0, None))) == {}


def test_advice() -> None:
    assert methods.advice(crowd().ranking).split("\n") == [
        "- **For the pick alone** *strict* is enough: the cheapest method whose pick (big × bert) is within 1% of the "
        "best, at 3000× fewer FLOPs than grid search; its regret is 0.0 points.",
        # Means over all pairs: 2.43 / 6 against 2.45 / 6.
        "- **For connectors of all pairs** take *HYMA, refined*: of the methods cheaper than grid search that stitch "
        "every pair, its connectors score best, 40.5 points on average over all pairs, 0.3 below grid search's, at "
        "6.0× fewer FLOPs than grid search.",
        # Ranks 6 5 3 4 and twice 1.5 against 6 5 3 4 1 2: 17 / √(17.5 · 17).
        "- **For the whole order** *strict* comes closest to grid search (ρ = 0.986), at 3000× fewer FLOPs than grid "
        "search. Not worth their cost, since another method is no dearer, no worse in its pick and its order, and "
        "better in one of the three: *dear*. Likewise only their connectors can make these worth it: *HYMA*, *HYMA, "
        "refined*.",
    ]


def test_advice_for_the_pick() -> None:
    def said(**found: Any) -> str:
        return advice(0, **found).removeprefix("**For the pick alone** ")

    near = (10, 0.005, 0.1, None)  # 1% of 0.5 is just near enough
    nothing = "nothing cheaper than GRID will do: no such method picks a pair within 1% of the best."
    assert said() == nothing
    assert said(far=(10, 0.0051, 0.1, None), dear=(2000, 0.0, 1.0, None)) == nothing
    assert said(near=near, best=(11, 0.0, 1.0, None)).startswith(
        "*NEAR* is enough: the cheapest method whose"
    )
    free = "*FREE* is enough: the cheapest method whose pick (big × bert) is within 1% of the best, at no FLOPs of "
    free += "its own; its regret is 0.0 points."
    assert said(free=(0, 0.0, 0.1, None)) == (
        f"{free} Of the methods that compute anything, none cheaper than GRID does as well."
    )
    assert said(free=(0, 0.0, 0.1, None), near=near) == (
        f"{free} Of those that compute anything it is *NEAR*, at 100× fewer FLOPs than GRID."
    )
    tied = toy(lot=near)
    tied["overall"]["lot"] |= {"pair": None, "picks": 2}
    assert (
        "whose pick (any of 2 alike) is on average within 1% of the best"
        in methods.advice(tied).split("\n")[0]
    )
    for found in tied["overall"].values():
        found["relative_regret"] = None
    assert methods.advice(tied).split("\n")[0].endswith("there is no advice: no pair scores above zero.")


def test_advice_for_connectors() -> None:
    def said(**found: Any) -> str:
        return advice(1, **found)

    only = "**For connectors of all pairs** there is only GRID: no method cheaper than it gives them all."
    assert said() == only
    assert said(
        bare=(1, 0.0, 1.0, None), part=(1, 0.0, 1.0, [0.9, None]), equal=(1000, 0.0, 1.0, [0.9, 0.9]),
        dear=(2000, 0.0, 1.0, [0.9, 0.9]),
    ) == only  # fmt: skip
    low, high, same = ((cost, 0.5, -1.0, scores) for cost, scores in
                       ((10, [0.1, 0.4]), (20, [0.6, 0.4]), (30, [0.4, 0.6])))  # fmt: skip
    assert said(low=low).endswith(
        "take *LOW*: of the methods cheaper than GRID that stitch every pair, its connectors score best, 25.0 points "
        "on average over all pairs, 15.0 below GRID's, at 100× fewer FLOPs than GRID."
    )
    assert "*HIGH*" in said(low=low, same=same, high=high)
    assert ", 50.0 points on average over all pairs, 10.0 above GRID's, at 50× " in said(low=low, high=high)
    assert "all pairs, level with GRID's, at 100× " in said(level=(10, 0.0, 1.0, [0.4, 0.4]))
    assert said(free=(0, 0.5, -1.0, [0.1, 0.4])).endswith("15.0 below GRID's, at no FLOPs of its own.")


def test_advice_for_the_order() -> None:
    def said(**found: Any) -> str:
        return advice(2, **found).removeprefix("**For the whole order** ")

    assert said() == "there is only GRID: no other method ran."
    none = "No method held against GRID is beaten outright by another one."
    one = (10, 0.1, 0.5, None)
    assert said(one=one) == f"*ONE* comes closest to GRID (ρ = 0.500), at 100× fewer FLOPs than GRID. {none}"
    dear = said(one=one, dear=(2000, 0.0, 0.9, None))
    assert dear.startswith(
        "*DEAR* comes closest to GRID (ρ = 0.900), at 2.0× more FLOPs than GRID. Not worth"
    )
    assert dear.endswith(" in one of the three: *DEAR*.")  # the oracle is cheaper
    assert said(one=(10, 0.1, -0.5, None)) == (
        "*ONE* comes closest to GRID (ρ = -0.500), at 100× fewer FLOPs than GRID; but no method's order agrees with "
        f"it. {none}"
    )
    assert (
        said(one=(10, 0.1, None, None))
        == f"there is no advice: GRID's scores give the pairs no order. {none}"
    )
    assert said(one=one, also=(20, 0.1, 0.5, [0.1, 0.1])).endswith(
        " than GRID. For pick and order another method is no dearer, no worse in its pick and its order, and better "
        "in one of the three, so that only their connectors can make these worth it: *ALSO*."
    )


def test_the_comparison_of_all_methods() -> None:
    ranking = crowd().ranking
    text = methods.page(ranking)
    assert text.startswith("# Which way of finding the pair is worth its cost\n\n- **For the pick alone** ")
    comparison, twice, runs, failed = tables(text)
    assert comparison[0] == [
        "", "method", "its pick", "connectors", "trains", "score", "regret", "ρ, own signal", "ρ, connectors",
        "ρ, pairing", "NDCG@5", "mean score, all pairs", "FLOPs", "CPU seconds", "seconds", "× fewer FLOPs",
        "× less time",
    ]  # fmt: skip
    assert ["|".join(row[:8] + row[11:]) for row in comparison[1:]] == [
        # Ranks 2 6 1 3 4 5 against 6 5 3 4 1 2: squared differences 16 1 4 1 9 9.
        "1|asked|big × words|none|no|–|5.0|-0.143|–|0 FLOPs|< 0.1|< 0.1|–|–",
        "2|by lot|any of 6 alike|none|no|–|19.2 ± 16.2|0.000|–|2 MFLOPs|0.3|0.3|600000×|400×",
        "3|strict|big × bert|none|no|–|0.0|0.986|–|400 MFLOPs|3.0|3.0|3000×|40×",
        "4|HYMA|mid × words|one-sided|yes|58.0|10.0|0.771|35.5|100 GFLOPs|30.0|90.0|12×|4.0×",
        "5|HYMA, refined|mid × words|two-sided|yes|63.0|10.0|0.771|40.5|200 GFLOPs|95.0|95.0|6.0×|1.3×",
        "6|dear|big × words|none|no|–|5.0|-0.143|–|300 GFLOPs|7.0|7.0|4.0×|17×",
        "7|**grid search** (the oracle)|big × bert|one-sided|yes|60.0|0.0|1.000|40.8|1.2 TFLOPs|120.0|60.0|1.0×|1.0×",
    ]
    total, mean = ranking["overall"]["hyma"], ranking["mean"]["hyma"]
    pairing = ranking["pairing"]["methods"]["hyma"]["mean"]["interaction"]
    assert comparison[4][8:11] == [f"{value:.3f}" for value in (total["spearman"], pairing, total["ndcg@5"])]
    assert twice[1] == [  # of a method without connectors only its own signal can be told
        *("asked", "big × words", "5.0", "-0.143", twice[1][4], twice[1][5]),
        *["–"] * 5,
    ]
    own = ["mid × words", "10.0", "0.771", f"{mean['spearman']:.3f}", f"{total['ndcg@5']:.3f}"]
    assert twice[4][6:] == own  # its own signal has one order for all benchmarks
    assert [*twice[4][1:4], twice[4][5]] == [*own[:3], own[4]]
    assert runs[1:] == [
        ["asked", "asked: a\\|b; on: Monday", "–"], ["by lot", "–", "–"], ["strict", "–", "–"],
        ["HYMA", "start: closed form", "strict"], ["HYMA, refined", "–", "strict"], ["dear", "–", "strict"],
        ["grid search", "–", "–"],
    ]  # fmt: skip
    assert failed == [
        ["method", "how many", "pairs", "reason"],
        ["strict", "2", "tiny × bert, tiny × words", "Too few rows"],
    ]
    assert "`search.methods` in params.yaml" in text


def test_connectors_of_some_pairs_only() -> None:
    ranking = inputs(contents()).ranking
    assert "Pairs without a score" not in methods.page(ranking)
    ranking["scores"]["hyma"] |= {"mid-words": dict.fromkeys(("mean", *SCORES))}
    (found,) = tables(methods.comparison(ranking))
    assert found[1][11] == "31.0 (5 of 6)"  # (0.50 + 0.53 + 0.30 + 0.10 + 0.12) / 5


def test_trade_off_shows_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    pick, order = canvas(monkeypatch, trade_off.methods, crowd().ranking).axes
    cost = [2e6, 4e8, 1e11, 2e11, 3e11, 1.2e12]
    lot, spread = 60 - 245 / 6, 100 * (1.1575 / 6 - (2.45 / 6) ** 2) ** 0.5
    asked, strict, hyma = 1 - 6 * 40 / 210, 17 / (17.5 * 17) ** 0.5, 1 - 6 * 8 / 210
    free = dots(pick)[0][0]
    assert pick.get_xlim()[0] < free < 1e6  # left of all that cost something, and inside
    known = {
        pick: [5, lot, 0, 10, 10, 5, 0],
        order: [asked, 0, strict, hyma, hyma, asked, 1],
    }
    for axes, values in known.items():
        np.testing.assert_allclose(dots(axes), list(zip([free, *cost], values, strict=True)), atol=1e-12)
        assert axes.get_xscale() == "log"
        assert [tick.get_text() for tick in axes.get_xticklabels()].count("none") == 1
        assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4", "5", "6", "7"]
    (bar,) = [line for line in pick.lines if list(line.get_xdata()) == [2e6, 2e6]]
    assert list(bar.get_ydata()) == pytest.approx([lot - spread, lot + spread])
    edge = pick.get_xlim()[1]
    fronts = {
        pick: [(free, 5), (4e8, 0), (edge, 0)],
        order: [(free, asked), (2e6, 0), (4e8, strict), (1.2e12, 1), (edge, 1)],
    }
    for axes, expected in fronts.items():
        (line,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
        np.testing.assert_allclose(line.get_xydata(), expected, atol=1e-12)


def test_trade_off_tells_methods_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    order = canvas(monkeypatch, trade_off.methods, crowd().ranking).axes[1]
    assert [text.get_text() for text in order.get_legend().get_texts()] == [
        "1  asked", "2  by lot", "3  strict", "4  HYMA", "5  HYMA, refined", "6  dear", "7  grid search",
    ]  # fmt: skip
    shown = [(line.get_marker(), line.get_markerfacecolor()) for line in order.get_legend().get_lines()]
    bare = ("o", "white")
    assert shown == [bare, bare, bare, ("s", "#D55E00"), ("D", "0.25"), bare, ("s", "#0072B2")]


def test_trade_off_without_an_order_or_a_free_method(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"toy": benchmark({"hyma": [0.4], "grid": [0.5]}) | COUNTS}
    pick, order = canvas(monkeypatch, trade_off.methods, rank(one, FLOPS, RECORDS)).axes
    assert dots(pick) == [[1e11, 0], [1.2e12, 0]]
    assert (dots(order), len(order.texts)) == ([], 0)
    assert "none" not in [tick.get_text() for tick in pick.get_xticklabels()]


def test_numbers_keep_apart() -> None:
    assert trade_off.offset_for((5.0, 5.0), []) == (10, 10)
    assert trade_off.offset_for((0.0, 0.0), [(9.0, 9.0, 11.0, 11.0)]) == (0, 10)
    taken = [(-4.5, -4.5, 4.5, 4.5)]
    for _ in range(20):  # twenty points on one spot
        right, up = trade_off.offset_for((0.0, 0.0), taken)
        box = (right - 5.5, up - 5, right + 5.5, up + 5)
        for other in taken:
            assert box[0] >= other[2] or box[2] <= other[0] or box[1] >= other[3] or box[3] <= other[1]
        taken.append(box)
