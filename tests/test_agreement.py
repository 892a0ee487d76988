"""Agreement of two rankings against hand-worked cases, naive loops, scipy and scikit-learn."""

import json
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score

from hyma.agreement import agreement, ndcg
from hyma.errors import HymaError

CORRELATIONS = ("spearman", "kendall", "weighted_tau")
NDCG = ("ndcg@1", "ndcg@5", "ndcg@10")
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


def test_four_pairs_by_hand() -> None:
    found = agreement(named([0.2, 0.4, 0.6, 0.8]), named([10, 40, 20, 30]))
    # The method puts b (0.4) first, then d (0.8), c (0.6) and a (0.2).
    assert found["pair"] == "b-t"
    assert found["oracle_score"] == 0.4
    assert found["regret"] == pytest.approx(0.4)
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
    assert list(found) == ["pair", "oracle_score", "regret", "relative_regret", *CORRELATIONS, *NDCG]


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
    assert found["pair"] == list(named(scores))[scores.index(max(scores))]  # of equals the first by name
    if len(set(truth)) > 1 and len(set(scores)) > 1:
        ranks = [[sum(o < x for o in xs) + sum(o == x for o in xs) / 2 for x in xs] for xs in (truth, scores)]
        assert found["spearman"] == pytest.approx(np.corrcoef(ranks)[0, 1])
        assert found["kendall"] == pytest.approx(naive_tau_b(truth, scores))
    else:
        assert [found[key] for key in CORRELATIONS] == [None] * 3
    json.dumps(found, allow_nan=False)


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
    assert one == {"pair": "a-t", "oracle_score": 0.5, "regret": 0, "relative_regret": 0} | dict.fromkeys(
        CORRELATIONS + NDCG
    )
    equal = agreement(named(flat), named(rising))
    assert (equal["pair"], equal["regret"]) == ("c-t", 0)
    assert [equal[key] for key in CORRELATIONS + NDCG] == [None] * 6
    # A method that cannot tell the pairs apart takes the first: no correlation, but a pick with its worth.
    lost = agreement(named(rising), named(flat))
    assert (lost["pair"], lost["regret"], lost["ndcg@1"]) == ("a-t", pytest.approx(0.2), 0)
    assert [lost[key] for key in CORRELATIONS] == [None] * 3
    assert agreement(named([0.0, 0.0]), named([1, 2]))["relative_regret"] is None


def test_order_of_entries_does_not_matter() -> None:
    truth, scores = named([0.3, 0.1, 0.2, 0.3]), named([0.5, 0.5, 0.1, 0.5])
    turned = [dict(reversed(list(side.items()))) for side in (truth, scores)]
    assert agreement(*turned) == agreement(truth, scores)


def test_ndcg_keeps_the_order_of_equals_and_needs_a_spread() -> None:
    same = np.zeros(3)
    assert ndcg(np.array([1.0, 0.5, 0.0]), same, 1) == 1
    assert ndcg(np.array([0.5, 1.0, 0.0]), same, 1) == 0.5
    assert ndcg(np.array([0.4, 0.4]), np.array([1.0, 2.0]), 5) is None


def test_a_pair_without_a_score_is_refused() -> None:
    truth = named([0.1, 0.2, 0.3])
    with pytest.raises(HymaError, match=r"no score for pair b-t \(2 missing\)"):
        agreement(truth, {"a-t": 0.1})
    # A pair that the oracle does not know is no candidate.
    assert agreement(truth, truth | {"z-t": 9.0}) == agreement(truth, truth)
