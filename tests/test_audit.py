"""An audit: who is drawn, what is known without doubt, and that its intervals hold the truth."""

import numpy as np
import pytest

from hyma.common.errors import HymaError
from hyma.ranking import audit
from hyma.ranking.agreement import agreement
from hyma.ranking.params import finals, sampled
from hyma.studies import audit as study

NINE = {f"i{number}-t": 0.9 - 0.1 * number for number in range(9)}


def test_strata_by_hand() -> None:
    assert audit.strata(list("abcdefg"), 3) == [["a", "b"], ["c", "d", "e"], ["f", "g"]]
    assert audit.strata(list("ab"), 2) == [["a"], ["b"]]
    assert audit.strata([], 0) == []


def test_drawn_by_hand() -> None:
    drawn = audit.draw(NINE, 2, 3, seed=0)
    assert drawn.finals == ["i0-t", "i1-t"]
    assert sorted(drawn.sample.values()) == [2.0, 2.0, 3.0]
    assert sum(drawn.sample.values()) == 7
    ranks = sorted(int(pair[1]) for pair in drawn.sample)
    assert ranks[0] in (2, 3)
    assert ranks[1] in (4, 5, 6)
    assert ranks[2] in (7, 8)
    assert audit.draw(NINE, 2, 3, seed=0) == drawn
    assert any(audit.draw(NINE, 2, 3, seed=seed) != drawn for seed in range(1, 5))


def test_every_pair_of_a_stratum_has_its_chance() -> None:
    drawn = [pair for seed in range(300) for pair in audit.draw(NINE, 2, 1, seed).sample]
    counts = {pair: drawn.count(pair) for pair in NINE if pair not in ("i0-t", "i1-t")}
    assert min(counts.values()) > 0.6 * 300 / 7
    assert max(counts.values()) < 1.5 * 300 / 7


def test_another_pair_leaves_most_lots_as_they_are() -> None:
    many = {f"i{number}-t": -number for number in range(60)}
    before = audit.draw(many, 3, 6, seed=1)
    after = audit.draw(many | {"new-t": -70.0}, 3, 6, seed=1)
    assert before.finals == after.finals
    assert len(before.sample.keys() & after.sample.keys()) >= 4


@pytest.mark.parametrize(
    ("top", "pairs", "said"),
    [
        (1, 3, "finals.top: 1 leaves nothing to compare; set it to at least 2"),
        (10, 3, "finals.top: 10 finals, but only 9 pairs"),
        (3, 7, "audit.pairs: 7 pairs, but beside the 3 finals there are only 6"),
        (3, 0, "audit.pairs: 0 leaves the trust"),
    ],
)
def test_what_cannot_be_drawn(top: int, pairs: int, said: str) -> None:
    with pytest.raises(HymaError, match=f"^params.yaml: {said}") as caught:
        audit.draw(NINE, top, pairs, 0)
    assert "\n" not in str(caught.value)


def test_few_pairs_are_all_trained() -> None:
    assert [(finals(pairs), sampled(pairs)) for pairs in (1, 2, 3, 4, 6, 20, 27, 100)] == [
        *((1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (2, 3)),
        *((3, 4), (11, 14)),
    ]
    drawn = audit.draw({"a-t": 0.2, "b-t": 0.3}, 2, 0, 0)
    assert (drawn.finals, drawn.sample) == (["b-t", "a-t"], {})


def test_all_pairs_known_is_no_estimate() -> None:
    rng = np.random.default_rng(0)
    true = {pair: float(score) for pair, score in zip(NINE, rng.random(9), strict=True)}
    best, worst = (way(true, key=true.__getitem__) for way in (max, min))
    found, truth = audit.estimate(NINE, true, 0, best), agreement(true, NINE)
    for key in ("spearman", "ndcg@5"):
        assert found[key] == pytest.approx(dict.fromkeys(("estimate", "low", "high"), truth[key]))
    assert found["regret"] == {"estimate": 0.0, "low": 0.0, "high": 0.0}
    assert (found["chance_better"], found["rival"], found["trained"]) == (0.0, None, 9)
    # Whoever picked another one, by other scores, has lost that much for sure.
    lost = pytest.approx(true[best] - true[worst])
    assert audit.estimate(NINE, true, 0, worst)["regret"] == {"estimate": lost, "low": 0.0, "high": lost}


def test_a_perfect_prediction_is_trusted() -> None:
    true = {pair: 0.5 * score + 0.1 for pair, score in NINE.items()}
    found = audit.estimate(NINE, {pair: true[pair] for pair in ("i0-t", "i1-t", "i4-t", "i8-t")}, 0, "i0-t")
    assert found["spearman"]["low"] > 0.999
    assert found["regret"]["high"] < 1e-6
    assert found["chance_better"] < 0.01


def test_a_prediction_that_tells_nothing_is_not() -> None:
    known = {"i0-t": 0.3, "i1-t": 0.6, "i3-t": 0.2, "i5-t": 0.7, "i8-t": 0.4}
    found = audit.estimate(NINE, known, 0, "i5-t")
    assert found["spearman"]["low"] < 0 < found["spearman"]["high"]
    assert found["chance_better"] > 0.2
    assert found["rival"]["chance"] <= found["chance_better"]
    assert 0 < found["regret"]["high"] <= 0.3 + 1e-9  # scores end at 1


def test_two_known_pairs_promise_nothing() -> None:
    found = audit.estimate(NINE, {"i0-t": 0.9, "i8-t": 0.1}, 0, "i0-t")
    assert found["spearman"]["low"] < 0.9


def test_failed_pairs_are_no_evidence() -> None:
    predicted, known = NINE | {"i8-t": -np.inf}, {"i0-t": 0.9, "i1-t": -np.inf, "i2-t": 0.7, "i5-t": 0.5}
    found = audit.estimate(predicted, known, 0, "i0-t")
    assert found["trained"] == 3
    assert np.isfinite(found["spearman"]["low"])


def zoo(seed: int, noise: float) -> tuple[dict[str, float], dict[str, float]]:
    """A drawn zoo of 9 × 3 pairs whose pairing matters: predicted and true scores."""
    rng = np.random.default_rng(seed)
    true = 0.7 * rng.normal(size=(9, 1)) + 0.36 * rng.normal(size=(1, 3)) + 0.6 * rng.normal(size=(9, 3))
    off = 0.5 * rng.normal(size=(9, 1)) + 0.5 * rng.normal(size=(1, 3)) + 0.7 * rng.normal(size=(9, 3))
    names = [f"i{row}-t{column}" for row in range(9) for column in range(3)]
    squashed = (1 / (1 + np.exp(-values)) for values in (true + noise * off, true))
    predicted, scores = (dict(zip(names, map(float, values.ravel()), strict=True)) for values in squashed)
    return predicted, scores


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.6])
def test_intervals_hold_the_truth(noise: float) -> None:
    """Over zoos and draws: at least as often as is promised, give or take."""
    held = []
    for seed in range(40):
        predicted, true = zoo(seed, noise)
        flops, size = dict.fromkeys(true, 1.0), (3, 4)
        one = study.one_size(predicted, true, true, size, 1.0, flops, 1, agreement(true, predicted))
        held.append([one["spearman_held"], one["regret_held"], one["ndcg@5_held"]])
        assert one["cost"] == pytest.approx((1 + 7) / 27)
    rho, regret, ndcg = np.mean(held, 0)
    assert rho >= 0.85
    assert regret >= 0.85
    assert ndcg >= 0.8


def test_study_of_every_size() -> None:
    predicted, true = zoo(0, 0.2)
    found = study.study({"hyma": predicted}, true, true, {"hyma": 2.0}, dict.fromkeys(true, 1.0), 10)
    audits = found["methods"]["hyma"]["audits"]
    assert [(row["finals"], row["sample"]) for row in audits] == [(2, 3), (3, 4), (3, 8), (6, 8)]
    assert [row["cost"] for row in audits] == pytest.approx([7 / 27, 9 / 27, 13 / 27, 16 / 27])
    assert found["methods"]["hyma"]["spearman"] == agreement(true, predicted)["spearman"]
    assert study.sizes(4) == []
