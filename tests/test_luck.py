"""Tolerances by hand, and what is called a tie."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from hyma.ranking import luck
from hyma.report import compare, methods
from hyma.report import ranking as report
from hyma.report.inputs import Inputs, of_two
from hyma.studies.seeds import summarise
from tests.test_compare_runs import BEFORE, LATER, compared
from tests.test_ranking import PAIRS, SCORES
from tests.test_report import crowd

Json = dict[str, Any]


def studied(**tolerance: float) -> Json:
    """What a study on the pairs and benchmarks of the other tests might have said."""
    figures = {"mean_score": 0.051, "spearman": 0.3}
    return {"seeds": 3, "pairs": PAIRS, "benchmarks": list(SCORES), "tolerance": tolerance, **figures}


def test_repeatability_by_hand() -> None:
    """Two quantities in three repeats: variances 1 and 3, so 2 with four degrees of freedom; t is 2.776 there."""
    values = np.array([[1.0, 0.0], [2.0, 3.0], [3.0, 3.0]])
    assert luck.repeatability(values) == pytest.approx(2.776445 * 2)
    assert luck.repeatability(np.ones((2, 5))) == 0
    with pytest.raises(ValueError, match="fewer than two"):
        luck.repeatability(np.ones((1, 5)))


def test_it_holds_nineteen_differences_in_twenty() -> None:
    rng = np.random.default_rng(0)
    limit = luck.repeatability(rng.normal(size=(3, 2000)))
    apart = np.abs(rng.normal(size=20_000) - rng.normal(size=20_000))
    assert np.mean(apart <= limit) == pytest.approx(0.95, abs=0.02)


def test_between_two_methods_variances_add_up() -> None:
    found = studied(hyma=0.03, grid=0.04)
    assert luck.tolerance(found, "hyma") == pytest.approx(0.03)
    assert luck.tolerance(found, "hyma", "grid") == pytest.approx(0.05 / 2**0.5)
    assert luck.tolerance(found, "hyma", "cka") is None
    assert luck.tolerance(None, "hyma") is None


def test_ties() -> None:
    assert luck.tie(0.5, 0.75, 0.25)
    assert not luck.tie(0.5, 0.75, 0.24)
    assert not luck.tie(None, 0.5, 1.0)
    assert not luck.tie(0.5, 0.5, None)


def test_one_pair_in_twenty_may_lie_outside() -> None:
    before = [0.5] * 19 + [float("-inf")]
    after = [0.52] * 18 + [0.6, float("-inf")]
    found = luck.agree(before, after, 0.03)
    assert (found["pairs"], found["within"], found["agree"]) == (20, 19, True)
    assert found["largest"] == pytest.approx(0.1)
    lost = luck.agree(before, [0.5] * 17 + [0.6, 0.6, 0.1], 0.03)
    assert (lost["within"], lost["largest"], lost["agree"]) == (17, None, False)
    assert not luck.agree([0.5, 0.5], [0.5, 0.6], 0.03)["agree"]


def test_other_pairs_or_benchmarks_are_other_luck() -> None:
    found = studied(grid=0.1)
    assert luck.fitting(found, PAIRS[::-1], ["captions", "objects"]) is found
    assert luck.fitting(found, PAIRS[:4], list(SCORES)) is None
    assert luck.fitting(found, PAIRS, ["objects"]) is None
    assert luck.fitting({}, PAIRS, list(SCORES)) is None


def answer(ranking: Json, ties: Json | None) -> str:
    return report.answer(of_two(Inputs(ranking | {"ties": ties}, {}, {}, {}, {}, {}, {})).ranking)


def test_the_ranking_calls_ties_by_their_name() -> None:
    """Grid search's means: 0.60 0.55 0.40 0.50 …; of mid × words HYMA's is 0.58, refined 0.63, grid search's 0.50."""
    ranking = crowd().ranking
    found = luck.ties(ranking, studied(grid=0.06, hyma=0.06, refined=0.06))
    assert found
    assert (found["pairs"], found["methods"]) == (["big-words"], ["hyma"])
    assert (found["tolerance"], found["seeds"]) == (pytest.approx(0.06), 3)
    text = " ".join(answer(ranking, found).split())
    assert (
        "Within what luck makes of scores (by 3 seeds, scores of one pair differ by up to 6.0 points between two runs, "
        "`reports/seeds.md`), its connector by HYMA is a *tie* with it, and big × words a *tie* with mid × words."
    ) in text
    none = luck.ties(ranking, studied(grid=0.01, hyma=0.01, refined=0.01))
    text = " ".join(answer(ranking, none).split())
    assert "No other pair and no other connector of it is a tie with it (by 3 seeds," in text
    unknown = luck.ties(ranking, {})
    assert unknown is None
    assert "`dvc repro studies/dvc.yaml` measures it." in answer(ranking, None)


def test_the_advice_names_ties() -> None:
    ranking = crowd().ranking
    found = luck.ties(ranking, studied())
    assert found
    # Means over all pairs: HYMA 35.5, refined 40.5, grid search 40.8; 5.0 is the tolerance, for rounding a bit more.
    assert set(found["connectors"]) == {"hyma", "grid"}
    text = methods.advice(ranking | {"ties": found | {"order": ["hyma"]}})
    assert text.count("A tie with it, within what seeds alone make of the difference: *HYMA*") == 2


def test_runs_agree_within_the_tolerance_or_not() -> None:
    studies = {"luck": studied(hyma=0.05, grid=0.05)}
    first = deepcopy(BEFORE)
    equal = compared([first, type(first)(**{**vars(first), "name": "again", "studies": studies})])
    assert equal["tie"]["methods"]["hyma"]["agree"]
    text = " ".join(compare.within(equal).split())
    assert (
        "By HYMA, `before` and `again` **agree within the tolerance**: of 6 pairs' mean scores 6 differ"
        in text
    )
    assert "no more than 5.0 points" in text
    later = compared([first, type(first)(**{**vars(LATER), "studies": studies})])
    assert not later["tie"]["methods"]["hyma"]["agree"]
    assert later["tie"]["methods"]["grid"]["agree"]
    assert "By HYMA, `before` and `later` **do not agree within the tolerance**" in compare.within(later)
    unknown = compared([BEFORE, LATER])
    assert unknown["tie"] is None
    assert "`dvc repro studies/dvc.yaml` measures it" in compare.within(unknown)
    assert compare.within(unknown) in compare.page(unknown)


def seed(grid: list[list[float]]) -> Json:
    """A run of the oracle whose halves of salt 4 are reported so: two image encoders by two text encoders."""
    scores = {f"{i}-{t}": grid[row][column] for row, i in enumerate("ab") for column, t in enumerate("xy")}
    one = {"label": "grid search", "seconds": 1.0, "cpu_seconds": 1.0, "flops": 1.0, "connectors": True}
    of = {"toy": scores}
    return {"grid": one | {"bootstrap": {}, "choose": of, "report": {"4": of, "5": of}}}


def test_luck_of_the_study_by_hand() -> None:
    """Interactions ±0.1 and ±0.2: variance 0.01 and 0.04; between the seeds 0.005 of each pair."""
    found = summarise({4: seed([[0.5, 0.3], [0.2, 0.4]]), 5: seed([[0.6, 0.2], [0.1, 0.5]])}, "grid")["luck"]
    assert (found["seeds"], found["pairs"], found["benchmarks"]) == (2, ["a-x", "a-y", "b-x", "b-y"], ["toy"])
    # Every pair's two scores lie 0.1 apart: variance 0.005, four degrees of freedom.
    assert found["tolerance"] == {"grid": pytest.approx(2.776445 * 0.01**0.5)}
    assert found["pairing"]["noise"] == pytest.approx(0.005 / 0.025)
    assert found["pairing"]["spearman"] == pytest.approx(1)
    # Beside the interactions there is ±0.05 of the image encoders in both seeds.
    assert found["pairing"]["interaction"] == pytest.approx(0.025 / (0.025 + 0.0025))
