"""From scores, costs and probes to one ranking: three image encoders × two text encoders, worked out by hand."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyma.common.errors import HymaError
from hyma.common.files import read_json, write_json
from hyma.ranking import choice
from hyma.ranking import rank as ranking
from hyma.ranking.agreement import agreement
from hyma.ranking.rank import summary

Json = dict[str, Any]
PAIRS = ["big-bert", "big-words", "mid-bert", "mid-words", "tiny-bert", "tiny-words"]
#           big-bert big-words mid-bert mid-words tiny-bert tiny-words
SCORES = {
    "objects": {
        "hyma": [0.70, 0.66, 0.40, 0.74, 0.10, 0.20],
        "grid": [0.80, 0.60, 0.50, 0.70, 0.20, 0.40],
    },
    "captions": {
        "hyma": [0.30, 0.40, 0.20, 0.42, 0.10, 0.04],
        "grid": [0.40, 0.50, 0.30, 0.30, 0.10, 0.10],
    },
}
MEAN = {"hyma": [0.50, 0.53, 0.30, 0.58, 0.10, 0.12], "grid": [0.60, 0.55, 0.40, 0.50, 0.15, 0.25]}
PARTS = {"connector forward": 3e11, "hypernetwork": 0.0}
FLOPS: Json = {
    "methods": {
        "grid": {"total": 1.2e12, "parts": PARTS},
        "hyma": {"total": 1e11, "parts": {"connector forward": 4e10, "hypernetwork": 6e10}},
    }
}
PROBES: Json = {
    "image": {
        "metric": "linear probe",
        "benchmark": "objects",
        "scores": {"big": 0.9, "mid": 0.6, "tiny": 0.7},
    },
    "text": {"metric": "recall", "benchmark": "captions", "scores": {"bert": 0.3, "words": 0.5}},
}


def record(label: str, seconds: float, **more: Any) -> Json:
    """A method's record; one that is given scores has no connectors."""
    kept: Json = {"scores": {}, "failed": {}, "notes": {}, "steps": 0 if "scores" in more else 10}
    connectors = "none" if "scores" in more else "one-sided"
    taken = {"seconds": seconds, "cpu_seconds": seconds, "threads": 2}
    return kept | taken | {"label": label, "connectors": connectors} | more


RECORDS = {
    "hyma": record("HYMA", 90.0, notes={"start": "closed form"}, cpu_seconds=30.0),
    "grid": record("grid search", 60.0, cpu_seconds=120.0),
}


def benchmark(scores: dict[str, list[float]], metric: str = "top-1 accuracy", **more: Any) -> Json:
    """A benchmark's scores, alike on both halves; the protocol that does not rank has them upside down."""
    return halved(scores, scores, metric, **more)


def halved(
    choose: dict[str, list[float]],
    report: dict[str, list[float]],
    metric: str = "top-1 accuracy",
    **more: Any,
) -> Json:
    """A benchmark's scores on each half."""

    def by_part(method: str, turn: bool) -> Json:
        rows = zip(PAIRS, choose[method], report[method], strict=False)
        parts = {
            pair: {"choose": one, "report": other, "all": (one + other) / 2} for pair, one, other in rows
        }
        return {
            pair: {part: {"score": 1 - score if turn else score} for part, score in own.items()}
            for pair, own in parts.items()
        }

    protocols = {
        name: {"methods": {method: by_part(method, turn) for method in choose}}
        for name, turn in (("standard", False), ("paper", True))
    }
    return {"metric": metric, "protocol": "standard", "protocols": protocols} | more


def rank(
    benchmarks: dict[str, Json], flops: Json, records: dict[str, Json], *more: Any, **named: Any
) -> Json:
    """The ranking; a method with connectors whose record has no scores says itself what the benchmarks say."""
    found = ranking.signals.read(benchmarks, records, PAIRS[:1])
    said = {
        method: record
        if record["scores"]
        else record | {"scores": ranking.signals.mean(found.choose, method)}
        for method, record in records.items()
    }
    return ranking.rank(benchmarks, flops, said, *more, **named)


def ranked(
    scores: dict[str, dict[str, list[float]]] = SCORES, probes: Json | None = PROBES, **more: Json
) -> Json:
    """The ranking of both methods and of `more`, each free of FLOPs unless its record has some."""
    costs = {name: {"total": found.get("spent", 0.0), "parts": {"all": 0.0}} for name, found in more.items()}
    contents = {name: benchmark(own) for name, own in scores.items()}
    return rank(contents, {"methods": FLOPS["methods"] | costs}, RECORDS | more, probes)


def by_pair(scores: list[float]) -> dict[str, float]:
    return dict(zip(PAIRS, scores, strict=False))


def close(expected: Any) -> Any:
    return pytest.approx(expected, nan_ok=False)


def test_scores_and_means() -> None:
    found = ranked()
    assert (found["pairs"], found["oracle"], found["protocol"]) == (6, "grid", "standard")
    for method, means in MEAN.items():
        for row, pair in enumerate(PAIRS):
            own = {name: by_method[method][row] for name, by_method in SCORES.items()}
            assert found["scores"][method][pair] == close({"mean": means[row]} | own)


def test_by_benchmark_and_over_all() -> None:
    found = ranked()
    assert {name: entry["metric"] for name, entry in found["benchmarks"].items()} == dict.fromkeys(
        SCORES, "top-1 accuracy"
    )
    # HYMA takes mid-words everywhere. Grid search's best: big-bert, big-words, and big-bert on the mean.
    expected = {"objects": (0.74, 0.70, 0.8), "captions": (0.42, 0.30, 0.5), None: (0.58, 0.50, 0.6)}
    for name, (own, oracle, best) in expected.items():
        entry = found["benchmarks"][name]["methods"]["hyma"] if name else found["overall"]["hyma"]
        assert entry["pair"] == "mid-words"
        assert [entry[key] for key in ("score", "oracle_score")] == close([own, oracle])
        assert [entry[key] for key in ("regret", "relative_regret")] == close(
            [best - oracle, 1 - oracle / best]
        )
    # On the mean: oracle's ranks 6 5 3 4 1 2, HYMA's 4 5 3 6 1 2; squared differences 4 and 4.
    assert found["overall"]["hyma"]["spearman"] == close(1 - 6 * 8 / (6 * 35))
    mean = found["mean"]["hyma"]
    assert "pair" not in mean
    assert [mean[key] for key in ("score", "oracle_score", "regret")] == close([0.58, 0.50, 0.15])
    assert mean["relative_regret"] == close((0.125 + 0.4) / 2)
    both = [found["benchmarks"][name]["methods"]["hyma"]["spearman"] for name in SCORES]
    assert mean["spearman"] == close(sum(both) / 2)
    assert both[0] != both[1]


def test_the_oracle_against_itself() -> None:
    found = ranked()
    for entry in (found["overall"]["grid"], found["mean"]["grid"]):
        assert (entry["regret"], entry["relative_regret"]) == (0, 0)
        assert [entry[key] for key in ("spearman", "kendall", "weighted_tau", "ndcg@1")] == close([1] * 4)
    assert (found["overall"]["grid"]["pair"], found["overall"]["grid"]["score"]) == ("big-bert", close(0.6))


def test_a_benchmark_that_cannot_tell_pairs_apart_is_left_out_of_the_mean() -> None:
    flat = {"hyma": SCORES["objects"]["hyma"], "grid": [0.3] * 6}
    found = ranked(SCORES | {"flat": flat})
    blind = found["benchmarks"]["flat"]["methods"]["hyma"]
    assert (blind["spearman"], blind["ndcg@5"], blind["regret"]) == (None, None, 0)
    assert found["mean"]["hyma"]["spearman"] == ranked()["mean"]["hyma"]["spearman"]
    assert found["mean"]["hyma"]["regret"] == close((0.1 + 0.2 + 0) / 3)
    alone = ranked({"flat": flat})
    undefined = ("spearman", "kendall", "weighted_tau", "ndcg@1", "ndcg@5", "ndcg@10")
    assert {alone["mean"]["hyma"][key] for key in undefined} == {None}


def test_cost_and_summary() -> None:
    found = ranked()
    assert found["cost"]["hyma"] == {
        "flops": 1e11, "seconds": 90.0, "cpu_seconds": 30.0, "threads": 2,
        "flops_ratio": close(12), "time_ratio": close(4),
        "parts": {"connector forward": 4e10, "hypernetwork": 6e10},
    }  # fmt: skip
    assert [found["cost"]["grid"][key] for key in ("flops_ratio", "time_ratio")] == [1, 1]
    assert summary(found) == {
        "winner": {"pair": "mid-words", "method": "hyma", "score": close(0.58)},
        "hyma": {
            "score": close(0.58), "spearman": found["mean"]["hyma"]["spearman"],
            "ndcg@5": found["mean"]["hyma"]["ndcg@5"], "relative_regret": close(0.2625),
            "spearman_own": found["own"]["hyma"]["mean"]["spearman"],
            "flops_ratio": close(12), "time_ratio": close(4),
        },
    }  # fmt: skip


def test_on_a_gpu_the_clock_counts() -> None:
    records = {name: own | {"threads": 0} for name, own in RECORDS.items()}
    found = rank(_whole(), FLOPS, records, PROBES)
    assert found["cost"]["hyma"]["time_ratio"] == close(2 / 3)
    assert not choice.on_cpu(found)
    assert choice.on_cpu(ranked())


def test_unimodal() -> None:
    found = ranked()["unimodal"]
    assert found["image"]["pair_scores"] == close({"big": 0.575, "mid": 0.45, "tiny": 0.2})
    assert found["text"]["pair_scores"] == close({"bert": 1.15 / 3, "words": 1.3 / 3})
    # Strengths rank big, tiny, mid; their pairs big, mid, tiny: ρ = 1 - 6·2 / (3·8).
    assert found["image"]["spearman"] == close(0.5)
    assert found["text"]["spearman"] == close(1)
    assert found["image"]["metric"] == "linear probe"
    # In standard deviations big is 1.34, mid -1.07, tiny -0.27; bert -1, words 1. Sums by pair, in their order:
    # 0.34, 2.34, -2.07, -0.07, -1.27, 0.73, ranks 4 6 1 3 2 5 against 6 5 3 4 1 2: squares add up to 20.
    assert found["pair"]["spearman"] == close(1 - 6 * 20 / (6 * 35))
    equal = deepcopy(PROBES)
    equal["image"]["scores"] = dict.fromkeys(("big", "mid", "tiny"), 0.1)
    found = ranked(probes=equal)["unimodal"]
    assert found["image"]["spearman"] == 0  # of equals, as of pairs drawn by lot, the mean over all orders
    words = {pair: float(pair.endswith("words")) for pair in PAIRS}
    alone = agreement(by_pair(MEAN["grid"]), words)["spearman"]
    assert found["pair"]["spearman"] == close(alone)


@pytest.mark.parametrize(
    ("hyma", "grid", "expected"),
    [
        ([0.5, 0.7], [0.6, 0.4], ("big-words", "hyma", 0.7)),
        ([0.5, 0.7], [0.6, 0.9], ("big-words", "grid", 0.9)),
        ([0.5, 0.5], [0.1, 0.9], ("big-bert", "hyma", 0.5)),  # of equals the first by name
        ([0.2, 0.5], [0.1, 0.5], ("big-words", "grid", 0.5)),
        (None, [0.1, 0.9], ("big-words", "grid", 0.9)),
    ],
)
def test_winner(hyma: list[float] | None, grid: list[float], expected: tuple[str, str, float]) -> None:
    probes = {
        side: PROBES[side] | {"scores": {name: 0.5}} for side, name in (("image", "big"), ("text", "bert"))
    }
    probes["text"]["scores"]["words"] = 0.1
    methods = {"grid": grid} if hyma is None else {"grid": grid, "hyma": hyma}
    costs = {"methods": {method: FLOPS["methods"][method] for method in methods}}
    records = {method: RECORDS[method] for method in methods}
    winner = rank({"toy": benchmark(methods)}, costs, records, probes)["winner"]
    assert (winner["pair"], winner["method"], winner["score"]) == expected


def test_any_method_is_compared() -> None:
    """A third method, and the protocol that each benchmark names."""
    lot = [0.9, 0.1, 0.1, 0.1, 0.1, 0.1]
    contents = {name: benchmark(own | {"lot": lot}) for name, own in SCORES.items()}
    costs = {"methods": FLOPS["methods"] | {"lot": {"total": 1.2e9, "parts": PARTS}}}
    records = RECORDS | {"lot": record("a lot", 0.5)}
    found = rank(contents, costs, records, PROBES)
    assert (found["overall"]["lot"]["pair"], found["overall"]["lot"]["regret"]) == ("big-bert", 0)
    assert found["cost"]["lot"]["flops_ratio"] == close(1000)
    assert found["cost"]["lot"]["time_ratio"] == close(240)
    assert found["winner"]["pair"] == "mid-words"
    assert list(summary(found)) == ["winner", "hyma", "lot"]
    turned = rank({name: content | {"protocol": "paper"} for name, content in contents.items()},
                  costs, records, PROBES)  # fmt: skip
    assert turned["protocol"] == "paper"
    # Upside down, HYMA's worst pair, tiny-bert, comes first: 1 - 0.10.
    assert turned["winner"] == {"pair": "tiny-bert", "method": "hyma", "score": close(0.9)}


def test_one_pair_only(tmp_path: Path) -> None:
    found = ranked(
        {"toy": {"hyma": [0.5], "grid": [0.4]}},
        {side: PROBES[side] | {"scores": {name: 0.5}} for side, name in (("image", "big"), ("text", "bert"))},
    )
    assert found["pairs"] == 1
    assert found["overall"]["hyma"]["spearman"] is None
    assert found["overall"]["hyma"]["regret"] == 0
    assert [found["unimodal"][side]["spearman"] for side in ("image", "text", "pair")] == [None] * 3
    write_json(tmp_path / "ranking.json", found)  # refuses NaN
    assert read_json(tmp_path / "ranking.json") == found


def test_a_method_without_connectors_is_judged_by_the_oracles_score_of_its_pick() -> None:
    own = by_pair([3.0, 9.0, 2.0, 1.0, 0.0, -5.0])  # its scale is its own; big-words comes first
    found = ranked(asked=record("asked", 2.0, scores=own, spent=6e10))
    # Grid search scores big-words 0.60 and 0.50, 0.55 on the mean; its best are 0.80, 0.50 and 0.60.
    expected = {"objects": (0.60, 0.20), "captions": (0.50, 0.0), None: (0.55, 0.05)}
    for name, (reached, regret) in expected.items():
        entry = found["benchmarks"][name]["methods"]["asked"] if name else found["overall"]["asked"]
        assert (entry["pair"], entry["picks"], entry["score"]) == ("big-words", 1, None)
        assert [entry["oracle_score"], entry["regret"], entry["regret_std"]] == close([reached, regret, 0])
    # Its order on every benchmark, and so on the mean: ranks 5 6 4 3 2 1 against 6 5 3 4 1 2, all one off.
    assert found["overall"]["asked"]["spearman"] == close(1 - 6 * 6 / (6 * 35))
    assert found["mean"]["asked"]["score"] is None
    assert found["own_scores"]["asked"] == own
    assert list(found["scores"]) == ["hyma", "grid"]
    assert found["methods"]["asked"] == {
        "label": "asked", "connectors": "none", "failed": {}, "notes": {}, "trains": False,
    }  # fmt: skip
    assert found["methods"]["hyma"] == {
        "label": "HYMA", "connectors": "one-sided", "failed": {}, "notes": {"start": "closed form"}, "trains": True,
    }  # fmt: skip
    assert "score" not in summary(found)["asked"]
    assert summary(found)["asked"]["flops_ratio"] == close(20)


def test_a_method_that_scores_all_pairs_alike_is_judged_by_expectation(tmp_path: Path) -> None:
    found = ranked(lot=record("by lot", 0.1, scores=by_pair([7.0] * 6)))
    entry = found["overall"]["lot"]
    assert (entry["pair"], entry["picks"]) == (None, 6)
    # Grid search's means 0.60 0.55 0.40 0.50 0.15 0.25 average to 2.45 / 6; their squares to 1.1575 / 6.
    assert entry["oracle_score"] == close(2.45 / 6)
    assert entry["regret"] == close(0.6 - 2.45 / 6)
    assert entry["relative_regret"] == close(1 - 2.45 / 6 / 0.6)
    assert entry["regret_std"] == close((1.1575 / 6 - (2.45 / 6) ** 2) ** 0.5)
    assert [entry[key] for key in ("spearman", "kendall", "weighted_tau")] == [0, 0, 0]
    assert found["mean"]["lot"].keys().isdisjoint({"pair", "picks", "regret_std"})
    # It computes nothing: no ratio can be told, nor goes into the summary.
    ratios = ("flops_ratio", "time_ratio")
    assert [found["cost"]["lot"][key] for key in ("flops", "seconds", *ratios)] == [0, 0.1, None, None]
    assert summary(found)["lot"].keys() == {"spearman", "spearman_own", "ndcg@5", "relative_regret"}
    write_json(tmp_path / "ranking.json", found)


def test_a_failed_pair_ranks_last() -> None:
    """One of a method with connectors, which no benchmark scores, and one of a method without."""
    scores = {name: own | {"third": own["grid"]} for name, own in SCORES.items()}
    contents = {name: benchmark(own) for name, own in scores.items()}
    for content in contents.values():
        for protocol in content["protocols"].values():
            del protocol["methods"]["third"]["big-bert"]  # grid search's best
    own = {pair: float(row) for row, pair in enumerate(PAIRS) if pair != "tiny-words"}
    reason = {"big-bert": "no more memory"}
    records = RECORDS | {
        "third": record("third", 1.0, failed=reason, connectors="two-sided"),
        "bare": record("bare", 1.0, scores=own, failed={"tiny-words": "too few rows"}),
    }
    costs = {"methods": FLOPS["methods"] | dict.fromkeys(("third", "bare"), FLOPS["methods"]["hyma"])}
    found = rank(contents, costs, records, PROBES)
    assert found["scores"]["third"]["big-bert"] == {"mean": None, "objects": None, "captions": None}
    assert found["scores"]["third"]["big-words"]["mean"] == close(0.55)
    assert (found["overall"]["third"]["pair"], found["overall"]["third"]["score"]) == (
        "big-words",
        close(0.55),
    )
    # Ranks 1 6 4 5 2 3 against 6 5 3 4 1 2: 25 and five times 1.
    assert found["overall"]["third"]["spearman"] == close(1 - 6 * 30 / (6 * 35))
    assert found["methods"]["third"]["failed"] == reason
    # Without connectors: tiny-bert first, tiny-words last. Ranks 2 3 4 5 6 1 against 6 5 3 4 1 2: 16+4+1+1+25+1.
    assert found["overall"]["bare"]["pair"] == "tiny-bert"
    assert found["overall"]["bare"]["spearman"] == close(1 - 6 * 48 / (6 * 35))
    assert found["own_scores"]["bare"] == own


def test_the_winner_has_the_best_connector_of_all() -> None:
    """HYMA chooses the pair; a third method's connector of it is better than its own and grid search's."""
    third = [0.9, 0.1, 0.1, 0.8, 0.1, 0.1]
    contents = {name: benchmark(own | {"third": third}) for name, own in SCORES.items()}
    costs = {"methods": FLOPS["methods"] | {"third": FLOPS["methods"]["hyma"]}}
    bare = record("bare", 1.0, scores=by_pair([9.0] * 6))  # its scores are no benchmark's
    costs["methods"]["bare"] = FLOPS["methods"]["hyma"]
    found = rank(contents, costs, RECORDS | {"third": record("third", 1.0), "bare": bare}, PROBES)
    assert found["winner"] == {"pair": "mid-words", "method": "third", "score": close(0.8)}


def test_without_probes() -> None:
    found = ranked(probes=None)
    assert found["unimodal"] is None
    assert found | {"unimodal": 0} == ranked() | {"unimodal": 0}


def looked(*pairs: str) -> dict[str, Json]:
    """The records of both methods as they are on disk: with a score of their own for each pair (all, unless given)."""
    return {name: own | {"scores": dict.fromkeys(pairs or PAIRS, 0.5)} for name, own in RECORDS.items()}


def test_a_benchmark_without_a_method_that_stitches_is_refused() -> None:
    contents = {name: benchmark(own) for name, own in SCORES.items()}
    del contents["captions"]["protocols"]["standard"]["methods"]["hyma"]
    with pytest.raises(HymaError, match=r"captions.json: no score of hyma for pair big-bert \(6 missing\)"):
        rank(contents, FLOPS, looked(), PROBES)


def test_a_method_without_connectors_scores_every_pair() -> None:
    with pytest.raises(HymaError, match="big-words"):
        ranked(asked=record("asked", 1.0, scores={"big-bert": 1.0} | dict.fromkeys(PAIRS[2:], 0.0)))


@pytest.mark.parametrize("lacking", [["objects"], ["captions"], ["objects", "captions"]])
@pytest.mark.parametrize("method", ["hyma", "grid"])
def test_a_missing_pair_is_refused(lacking: list[str], method: str) -> None:
    contents = {name: benchmark(own) for name, own in SCORES.items()}
    for name in lacking:
        del contents[name]["protocols"]["standard"]["methods"][method]["mid-bert"]
    with pytest.raises(
        HymaError, match=rf"{lacking[0]}\.json: no score of {method} for pair mid-bert \(1 missing"
    ):
        rank(contents, FLOPS, looked(), PROBES)
    found, expected = rank(_whole(), FLOPS, looked(), PROBES), ranked()
    assert [found[key] for key in ("overall", "winner", "scores")] == [
        expected[key] for key in ("overall", "winner", "scores")
    ]


def _whole() -> dict[str, Json]:
    return {name: benchmark(own) for name, own in SCORES.items()}


def test_without_an_oracle_methods_have_a_pick_a_cost_and_no_worth(tmp_path: Path) -> None:
    contents = {name: benchmark({"hyma": own["hyma"]}) for name, own in SCORES.items()}
    costs = {"methods": {"hyma": FLOPS["methods"]["hyma"]}, "whole_grid": {"total": 1.2e12, "pairs": 6}}
    trained = {"oracle": "none", "pairs": []}
    found = rank(contents, costs, {"hyma": looked()["hyma"]}, PROBES, trained)
    assert (found["oracle"], found["audit"], found["trained"]) == (None, None, trained)
    assert (found["pairs"], found["unimodal"]) == (6, None)
    assert found["overall"] == {"hyma": {"score": close(0.58), "pair": "mid-words", "picks": 1}}
    # The whole grid's FLOPs are counted; its seconds nobody knows.
    cost = found["cost"]["hyma"]
    assert (cost["flops_ratio"], cost["time_ratio"]) == (close(12), None)
    assert found["winner"] == {"pair": "mid-words", "method": "hyma", "score": close(0.58)}
    assert found["scores"] == {"hyma": ranked()["scores"]["hyma"]}
    assert summary(found)["hyma"] == {"score": close(0.58), "flops_ratio": close(12)}
    write_json(tmp_path / "ranking.json", found)


@pytest.mark.parametrize("missing", ["mid-words", "big-bert"])
def test_of_an_audit_a_trained_pair_without_a_score_is_refused(missing: str) -> None:
    """Of the oracle only the pairs that it trained are asked for, and all of these."""
    contents = _whole()
    trained = {"oracle": "audit", "pairs": ["mid-words", "big-bert"], "finals": ["mid-words"], "sample": {}}
    for content in contents.values():
        for protocol in content["protocols"].values():
            own = protocol["methods"]["grid"]
            protocol["methods"]["grid"] = {pair: own[pair] for pair in trained["pairs"] if pair != missing}
    with pytest.raises(HymaError, match=rf"objects\.json: no score of grid for pair {missing} \(1 missing"):
        rank(contents, FLOPS, looked(), PROBES, trained)


@settings(deadline=None, max_examples=15)
@given(st.permutations(PAIRS))
def test_order_of_pairs_does_not_matter(order: list[str]) -> None:
    contents = {name: benchmark(own) for name, own in SCORES.items()}
    for content in contents.values():
        methods = content["protocols"]["standard"]["methods"]
        for method, row in methods.items():
            methods[method] = {pair: row[pair] for pair in order}
    found, expected = rank(contents, FLOPS, RECORDS, PROBES), ranked()
    for key in ("overall", "mean", "winner", "benchmarks"):
        assert found[key] == expected[key]
    assert found["unimodal"]["pair"] == expected["unimodal"]["pair"]


#          big-bert big-words mid-bert mid-words tiny-bert tiny-words
CHOOSE = {
    "hyma": [0.50, 0.60, 0.30, 0.40, 0.10, 0.20],  # big-words
    "grid": [0.70, 0.60, 0.30, 0.20, 0.50, 0.10],  # big-bert
    "third": [0.1, 0.9, 0.1, 0.1, 0.1, 0.1],
}
REPORT = {
    "hyma": [0.10, 0.20, 0.30, 0.40, 0.50, 0.60],
    "grid": [0.30, 0.20, 0.10, 0.60, 0.50, 0.40],  # mid-words
    "third": [0.9, 0.1, 0.1, 0.1, 0.1, 0.1],
}
OWN = {
    "hyma": [0.3, 0.2, 0.6, 0.1, 0.4, 0.5],  # mid-bert
    "grid": [0.1, 0.2, 0.3, 0.4, 0.6, 0.5],  # tiny-bert
    "third": [0.2] * 6,
    "bare": [1.0, 2.0, 3.0, 9.0, 5.0, 6.0],  # mid-words; it has no connectors
}


def two_halves(**more: Any) -> Json:
    """One benchmark whose halves disagree, and own signals that agree with neither."""
    records = {
        name: record(name, 1.0, **({} if name in CHOOSE else {"scores": {}})) | {"scores": by_pair(own)}
        for name, own in OWN.items()
    }
    costs = {"methods": dict.fromkeys(OWN, FLOPS["methods"]["hyma"])}
    return rank({"toy": halved(CHOOSE, REPORT)}, costs, records, **more)


def test_one_half_picks_and_the_other_is_told() -> None:
    found = two_halves()
    # HYMA's choosing half names the pair, the third method's the connector; what it is worth says the other half.
    assert found["winner"] == {"pair": "big-words", "method": "third", "score": close(0.1)}
    hyma, grid = (found["overall"][name] for name in ("hyma", "grid"))
    assert (hyma["pair"], hyma["score"], hyma["oracle_score"]) == ("big-words", close(0.2), close(0.2))
    assert hyma["regret"] == close(0.6 - 0.2)
    # Ranks by HYMA's choosing half 5 6 3 4 1 2, by the oracle's reported one 3 2 1 6 5 4: 4+16+4+4+16+4.
    assert hyma["spearman"] == close(1 - 6 * 48 / 210)
    # The oracle's own halves: 6 5 3 2 4 1 against 3 2 1 6 5 4: 9+9+4+16+1+9. It picks, and errs, as all others.
    assert grid["spearman"] == close(1 - 6 * 48 / 210)
    assert choice.ceiling(found) == grid["spearman"]
    assert (grid["pair"], grid["score"], grid["regret"]) == ("big-bert", close(0.3), close(0.3))
    assert found["scores"]["hyma"]["tiny-words"] == close({"mean": 0.6, "toy": 0.6})
    assert found["choose"]["hyma"]["tiny-words"] == close({"mean": 0.2, "toy": 0.2})
    assert found["order"]["hyma"] == [
        "big-words",
        "big-bert",
        "mid-words",
        "mid-bert",
        "tiny-words",
        "tiny-bert",
    ]
    assert found["choosing"]["third"]["big-words"] == close(0.9)
    assert summary(found)["winner"] == found["winner"]


def test_every_method_is_judged_by_its_own_signal_and_by_its_connectors() -> None:
    found = two_halves()
    assert list(found["own"]) == list(OWN)
    assert list(found["connectors"]) == list(CHOOSE)
    truth = by_pair(REPORT["grid"])
    for kind, scores in (("own", OWN), ("connectors", CHOOSE)):
        for method, own in scores.items():
            expected = agreement(truth, by_pair(own))
            for part in ("overall", "mean"):
                entry = found[kind][method][part]
                for key in ("spearman", "ndcg@5", "regret"):
                    assert entry[key] == close(expected[key]), (kind, method, key)
    assert [found["own"][method]["overall"]["pair"] for method in OWN] == [
        "mid-bert", "tiny-bert", None, "mid-words",
    ]  # fmt: skip
    # What a method picks is by its connectors, where it has any.
    assert found["overall"]["hyma"]["pair"] == found["connectors"]["hyma"]["overall"]["pair"] == "big-words"
    assert found["overall"]["bare"]["pair"] == found["own"]["bare"]["overall"]["pair"] == "mid-words"
    assert summary(found)["hyma"]["spearman_own"] == found["own"]["hyma"]["mean"]["spearman"]


def test_held_out_captions_choose_without_any_benchmark() -> None:
    held_out = {
        "hyma": by_pair([0.3, 0.2, 0.6, 0.1, 0.4, 0.5]),
        "grid": by_pair([0.5] * 6),
        "third": by_pair([0.1, 0.1, 0.7, 0.1, 0.1, 0.1]),
    }
    found = two_halves(by="held_out", held_out=held_out)
    assert found["by"] == "held_out"
    assert found["winner"] == {"pair": "mid-bert", "method": "third", "score": close(0.1)}
    for method in OWN:
        assert found["overall"][method] == found["own"][method]["overall"]
    assert found["choosing"]["hyma"] == held_out["hyma"]
    # Both judgements stay what they are, whatever picks.
    usual = two_halves()
    for key in ("own", "connectors", "scores", "choose"):
        assert found[key] == usual[key]


@pytest.mark.parametrize(("by", "pair"), [("choose", "big-bert"), ("held_out", "tiny-bert")])
def test_the_best_of_an_audit_is_picked_by_what_chooses(by: Any, pair: str) -> None:
    """Of big-bert, tiny-bert and mid-words the last one is reported best; nobody knew."""
    trained = {"oracle": "audit", "pairs": ["big-bert", "tiny-bert", "mid-words"], "finals": [], "sample": {}}
    contents = {"toy": halved(CHOOSE, REPORT)}
    for protocol in contents["toy"]["protocols"].values():
        for name in set(PAIRS) - set(trained["pairs"]):
            del protocol["methods"]["grid"][name]
    records = {name: record(name, 1.0) | {"scores": by_pair(OWN[name])} for name in ("grid", "hyma")}
    costs = {"methods": FLOPS["methods"], "whole_grid": {"total": 1e12, "pairs": 6}}
    held_out = {name: by_pair(OWN[name]) for name in records}
    found = rank(contents, costs, records, None, trained, 0, by, held_out)
    assert found["winner"]["pair"] == pair
    assert found["audit"]["regret"]["high"] >= 0.6 - REPORT["grid"][PAIRS.index(pair)] - 1e-9
    assert found["order"]["grid"][0] == pair
