"""Agreement of two rankings against hand-worked cases, naive loops, scipy and scikit-learn."""

import json
import math
from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score

from hyma.common.errors import HymaError
from hyma.ranking.agreement import agreement, ndcg

CORRELATIONS = ("spearman", "kendall", "weighted_tau")
NDCG = ("ndcg@1", "ndcg@5", "ndcg@10")
PICK = ("pair", "picks", "oracle_score", "regret", "regret_std", "relative_regret")
SCORE = st.integers(0, 20).map(lambda number: number / 20)
TWO = st.lists(st.tuples(SCORE, SCORE), min_size=1, max_size=15)


def named(scores: list[float]) -> dict[str, float]:
    return {f"{chr(97 + row)}-t": score for row, score in enumerate(scores)}


def naive_tau_b(x: list[float], y: list[float]) -> float:
    """Pairs that agree less pairs that disagree, over the geometric mean of the pairs untied in x and in y."""
    signs = [(np.sign(x[a] - x[b]), np.sign(y[a] - y[b])) for a, b in combinations(range(len(x)), 2)]
    untied = math.prod(sum(abs(sign[side]) for sign in signs) for side in (0, 1))
    return float(sum(a * b for a, b in signs) / math.sqrt(untied))


def naive_weighted_tau(x: list[float], y: list[float]) -> float:
    """As Kendall's τ, but a pair weighs 1/rank + 1/rank, ranks from 1 in the descending order of x."""
    rank = [1 + sum(other > own for other in x) for own in x]
    total = agreeing = 0.0
    for a, b in combinations(range(len(x)), 2):
        weight = 1 / rank[a] + 1 / rank[b]
        total += weight
        agreeing += weight * float(np.sign(x[a] - x[b]) * np.sign(y[a] - y[b]))
    return agreeing / total


def naive_ndcg(truth: Sequence[float], order: Sequence[int], k: int) -> float:
    """For one order of the pairs, best first."""
    lowest = min(truth)

    def gain(rows: Sequence[int]) -> float:
        return sum((truth[row] - lowest) / math.log2(rank + 2) for rank, row in enumerate(rows[:k]))

    return gain(order) / gain(sorted(range(len(truth)), key=lambda row: -truth[row]))


def test_four_pairs_by_hand() -> None:
    found = agreement(named([0.2, 0.4, 0.6, 0.8]), named([10, 40, 20, 30]))
    # The method puts b (0.4) first, then d (0.8), c (0.6) and a (0.2).
    assert (found["pair"], found["picks"]) == ("b-t", 1)
    assert found["oracle_score"] == 0.4
    assert (found["regret"], found["regret_std"]) == (pytest.approx(0.4), 0)
    assert found["relative_regret"] == pytest.approx(0.5)
    # Ranks 1 2 3 4 against 1 4 2 3: squared differences 0 4 1 1, ρ = 1 - 6·6 / (4·15).
    assert found["spearman"] == pytest.approx(0.4)
    # Of six couples b-c and b-d are the wrong way round: (4 - 2) / 6.
    assert found["kendall"] == pytest.approx(1 / 3)
    # Ranks of a b c d by the oracle: 4 3 2 1. Weights: ab 7/12, ac 3/4, ad 5/4, bc 5/6, bd 4/3, cd 3/2; in all 25/4.
    assert found["weighted_tau"] == pytest.approx((25 / 4 - 2 * (5 / 6 + 4 / 3)) / (25 / 4))
    # Gains of a b c d: 0, 1/3, 2/3, 1; in the method's order 1/3, 1, 2/3, 0, at best 1, 2/3, 1/3, 0.
    assert found["ndcg@1"] == pytest.approx(1 / 3)
    three = 1 / math.log2(3)
    assert found["ndcg@5"] == pytest.approx((1 / 3 + three + 1 / 3) / (1 + 2 / 3 * three + 1 / 6))
    assert found["ndcg@10"] == found["ndcg@5"]
    assert tuple(found) == PICK + CORRELATIONS + NDCG


def test_two_picks_by_hand() -> None:
    # The method cannot tell d (0.8) from b (0.4): either is its pick half the time; then c (0.6) and a (0.2).
    found = agreement(named([0.2, 0.4, 0.6, 0.8]), named([10, 40, 20, 40]))
    assert (found["pair"], found["picks"]) == (None, 2)
    assert found["oracle_score"] == pytest.approx(0.6)
    assert found["regret"] == pytest.approx(0.2)
    assert found["regret_std"] == pytest.approx(0.2)  # of 0 and 0.4
    assert found["relative_regret"] == pytest.approx(0.25)
    # Gains of a b c d: 0, 1/3, 2/3, 1; b and d share (1/3 + 1) / 2 = 2/3.
    assert found["ndcg@1"] == pytest.approx(2 / 3)
    three = 1 / math.log2(3)
    assert found["ndcg@5"] == pytest.approx((2 / 3 + 2 / 3 * three + 1 / 3) / (1 + 2 / 3 * three + 1 / 6))
    # Ranks 1 2 3 4 against 1 3.5 2 3.5: mean 2.5, products of the deviations 2.25 - 0.5 - 0.25 + 1.5 = 3.
    assert found["spearman"] == pytest.approx(3 / math.sqrt(5 * 4.5))


def test_random_scores_against_libraries_and_loops() -> None:
    rng = np.random.default_rng(0)
    for size in (2, 3, 12, 27):
        truth, scores = rng.random(size), rng.random(size)
        found = agreement(named(truth.tolist()), named(scores.tolist()))
        rho = np.corrcoef(stats.rankdata(truth), stats.rankdata(scores))[0, 1]
        assert found["spearman"] == pytest.approx(rho)
        assert found["kendall"] == pytest.approx(naive_tau_b(truth.tolist(), scores.tolist()))
        assert found["weighted_tau"] == pytest.approx(naive_weighted_tau(truth.tolist(), scores.tolist()))
        for k in (1, 5, 10):
            expected = ndcg_score([(truth - truth.min()) / np.ptp(truth)], [scores], k=k)
            assert found[f"ndcg@{k}"] == pytest.approx(expected)


@given(TWO)
def test_ties(two: list[tuple[float, float]]) -> None:
    truth, scores = [a for a, _ in two], [b for _, b in two]
    found = agreement(named(truth), named(scores))
    picks = [row for row, score in enumerate(scores) if score == max(scores)]
    regrets = [max(truth) - truth[row] for row in picks]
    assert found["pair"] == (list(named(scores))[picks[0]] if len(picks) == 1 else None)
    assert found["picks"] == len(picks)
    assert found["oracle_score"] == pytest.approx(np.mean([truth[row] for row in picks]))
    assert found["regret"] == pytest.approx(np.mean(regrets))
    assert found["regret_std"] == pytest.approx(np.std(regrets))
    if max(truth):
        assert found["relative_regret"] == pytest.approx(np.mean(regrets) / max(truth))
    if len(set(truth)) > 1 and len(set(scores)) > 1:
        ranks = [[sum(o < x for o in xs) + sum(o == x for o in xs) / 2 for x in xs] for xs in (truth, scores)]
        assert found["spearman"] == pytest.approx(np.corrcoef(ranks)[0, 1])
        assert found["kendall"] == pytest.approx(naive_tau_b(truth, scores))
    else:
        assert [found[key] for key in CORRELATIONS] == [0 if len(set(truth)) > 1 else None] * 3
    json.dumps(found, allow_nan=False)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(SCORE, st.integers(0, 2)), min_size=2, max_size=5), st.integers(1, 6))
def test_ndcg_is_the_mean_over_all_orders_of_equals(two: list[tuple[float, int]], k: int) -> None:
    truth, scores = [a for a, _ in two], [b for _, b in two]
    found = ndcg(np.array(truth), np.array(scores), k)
    if len(set(truth)) == 1:
        assert found is None
        return
    orders = [sorted(order, key=lambda row: -scores[row]) for order in permutations(range(len(truth)))]
    assert found == pytest.approx(np.mean([naive_ndcg(truth, order, k) for order in orders]))


def test_pairs_all_alike_get_what_random_orders_give_on_average() -> None:
    truth = [0.1, 0.2, 0.4, 0.8]
    alike = agreement(named(truth), named([3, 3, 3, 3]))
    draws = [agreement(named(truth), named(list(order))) for order in permutations([0.0, 1.0, 2.0, 3.0])]
    for key in ("oracle_score", "regret", "relative_regret", *CORRELATIONS, *NDCG):
        assert alike[key] == pytest.approx(np.mean([draw[key] for draw in draws]), abs=1e-12)  # type: ignore[arg-type]
    assert alike["regret_std"] == pytest.approx(np.std([draw["regret"] for draw in draws]))  # type: ignore[arg-type]
    assert (alike["pair"], alike["picks"]) == (None, 4)


@given(st.lists(st.tuples(SCORE, st.none() | SCORE), min_size=1, max_size=15))
def test_failed_pairs_rank_below_all_others(two: list[tuple[float, float | None]]) -> None:
    truth = named([a for a, _ in two])
    failed, lowest = (
        named([instead if score is None else score for _, score in two]) for instead in (-math.inf, -1.0)
    )
    assert agreement(truth, failed) == agreement(truth, lowest)


def test_a_failed_pair_and_all_failed() -> None:
    found = agreement(named([0.1, 0.2, 0.3]), named([-math.inf, 5, 6]))
    assert [found[key] for key in CORRELATIONS + NDCG] == [pytest.approx(1)] * 6
    none = agreement(named([0.1, 0.2, 0.3]), named([-math.inf] * 3))
    assert (none["picks"], none["regret"]) == (3, pytest.approx(0.1))
    assert [none[key] for key in CORRELATIONS] == [0] * 3


@given(TWO)
def test_first_place_and_regret_say_the_same(two: list[tuple[float, float]]) -> None:
    truth = [a for a, _ in two]
    found = agreement(named(truth), named([b for _, b in two]))
    spread = max(truth) - min(truth)
    assert isinstance(found["regret"], float)
    assert 0 <= found["regret"] <= spread
    if spread:
        assert found["ndcg@1"] == pytest.approx(1 - found["regret"] / spread)
        for key in NDCG:
            assert isinstance(found[key], float)
            assert 0 <= found[key] <= 1 + 1e-12  # type: ignore[operator]


@given(st.lists(SCORE, min_size=1, max_size=15), st.sampled_from([0.5, 1.0, 30.0]))
def test_the_oracle_agrees_with_itself_on_any_scale(truth: list[float], scale: float) -> None:
    found = agreement(named(truth), named([scale * score - 7 for score in truth]))
    best = max(truth)
    assert (found["oracle_score"], found["regret"]) == (best, 0)
    assert found["relative_regret"] == (0 if best else None)
    defined = len(set(truth)) > 1
    assert [found[key] for key in CORRELATIONS + NDCG] == [pytest.approx(1) if defined else None] * 6


def test_opposite_orders() -> None:
    truth = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    found = agreement(named(truth), named(truth[::-1]))
    assert [found[key] for key in CORRELATIONS] == [pytest.approx(-1)] * 3
    assert found["ndcg@1"] == 0
    assert found["regret"] == pytest.approx(0.5)


def test_undefined_measures_are_none() -> None:
    rising, flat = [0.1, 0.2, 0.3], [0.2, 0.2, 0.2]
    one = agreement({"a-t": 0.5}, {"a-t": 0.1})
    pick = {
        "pair": "a-t",
        "picks": 1,
        "oracle_score": 0.5,
        "regret": 0,
        "regret_std": 0,
        "relative_regret": 0,
    }
    assert one == pick | dict.fromkeys(CORRELATIONS + NDCG)
    equal = agreement(named(flat), named(rising))
    assert (equal["pair"], equal["regret"]) == ("c-t", 0)
    assert [equal[key] for key in CORRELATIONS + NDCG] == [None] * 6
    neither = agreement(named(flat), named(flat))
    assert (neither["picks"], neither["oracle_score"], neither["regret"], neither["regret_std"]) == (
        3,
        0.2,
        0,
        0,
    )
    assert [neither[key] for key in CORRELATIONS + NDCG] == [None] * 6
    assert agreement(named([0.0, 0.0]), named([1, 2]))["relative_regret"] is None


def test_order_of_entries_does_not_matter() -> None:
    truth, scores = named([0.3, 0.1, 0.2, 0.3]), named([0.5, 0.5, 0.1, 0.5])
    turned = [dict(reversed(list(side.items()))) for side in (truth, scores)]
    assert agreement(*turned) == agreement(truth, scores)


def test_ndcg_shares_the_gain_of_equals_and_needs_a_spread() -> None:
    same = np.zeros(3)
    assert ndcg(np.array([1.0, 0.5, 0.0]), same, 1) == 0.5
    assert ndcg(np.array([0.5, 1.0, 0.0]), same, 1) == 0.5
    assert ndcg(np.array([0.4, 0.4]), np.array([1.0, 2.0]), 5) is None


def test_a_pair_without_a_score_is_refused() -> None:
    truth = named([0.1, 0.2, 0.3])
    for bad in ((truth, named([0.1, math.nan, math.nan])), (named([0.1, -math.inf, math.nan]), truth)):
        with pytest.raises(HymaError, match=r"score of pair b-t is no number \(2 such pairs\)"):
            agreement(*bad)
    with pytest.raises(HymaError, match=r"no score for pair b-t \(2 missing\)"):
        agreement(truth, {"a-t": 0.1})
    # A pair that the oracle does not know is no candidate.
    assert agreement(truth, truth | {"z-t": 9.0}) == agreement(truth, truth)
