"""From scores, costs and probes to one ranking: three image encoders × two text encoders, worked out by hand."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyma.agreement import agreement
from hyma.errors import HymaError
from hyma.files import read_json, write_json
from hyma.ranking import rank, summary

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
SECONDS = {"hyma": 90.0, "grid": 60.0}
PROBES: Json = {
    "image": {
        "metric": "linear probe",
        "benchmark": "objects",
        "scores": {"big": 0.9, "mid": 0.6, "tiny": 0.7},
    },
    "text": {"metric": "recall", "benchmark": "captions", "scores": {"bert": 0.3, "words": 0.5}},
}


def benchmark(scores: dict[str, list[float]], metric: str = "top-1 accuracy", **more: Any) -> Json:
    """A benchmark's scores; the protocol that does not rank has them upside down."""
    methods = {
        method: {pair: {"score": score} for pair, score in zip(PAIRS, row, strict=False)}
        for method, row in scores.items()
    }
    turned = {
        method: {pair: {"score": 1 - value["score"]} for pair, value in row.items()}
        for method, row in methods.items()
    }
    protocols = {"standard": {"methods": methods}, "paper": {"methods": turned}}
    return {"metric": metric, "protocol": "standard", "protocols": protocols} | more


def ranked(scores: dict[str, dict[str, list[float]]] = SCORES, probes: Json = PROBES) -> Json:
    return rank({name: benchmark(own) for name, own in scores.items()}, FLOPS, SECONDS, probes)


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
        "flops": 1e11, "seconds": 90.0, "flops_ratio": close(12), "seconds_ratio": close(2 / 3),
        "parts": {"connector forward": 4e10, "hypernetwork": 6e10},
    }  # fmt: skip
    assert [found["cost"]["grid"][key] for key in ("flops_ratio", "seconds_ratio")] == [1, 1]
    assert summary(found) == {
        "winner": {"pair": "mid-words", "method": "hyma", "score": close(0.58)},
        "hyma": {
            "score": close(0.58), "spearman": found["mean"]["hyma"]["spearman"],
            "ndcg@5": found["mean"]["hyma"]["ndcg@5"], "relative_regret": close(0.2625),
            "flops_ratio": close(12), "seconds_ratio": close(2 / 3),
        },
    }  # fmt: skip


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
    assert found["image"]["spearman"] is None
    words = {pair: float(pair.endswith("words")) for pair in PAIRS}
    alone = agreement(dict(zip(PAIRS, MEAN["grid"], strict=True)), words)["spearman"]
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
    winner = rank({"toy": benchmark(methods)}, costs, SECONDS, probes)["winner"]
    assert (winner["pair"], winner["method"], winner["score"]) == expected


def test_any_method_is_compared() -> None:
    """A third method, and the protocol that each benchmark names."""
    lot = [0.9, 0.1, 0.1, 0.1, 0.1, 0.1]
    contents = {name: benchmark(own | {"lot": lot}) for name, own in SCORES.items()}
    costs = {"methods": FLOPS["methods"] | {"lot": {"total": 1.2e9, "parts": PARTS}}}
    found = rank(contents, costs, SECONDS | {"lot": 0.5}, PROBES)
    assert (found["overall"]["lot"]["pair"], found["overall"]["lot"]["regret"]) == ("big-bert", 0)
    assert found["cost"]["lot"]["flops_ratio"] == close(1000)
    assert found["cost"]["lot"]["seconds_ratio"] == close(120)
    assert found["winner"]["pair"] == "mid-words"
    assert list(summary(found)) == ["winner", "hyma", "lot"]
    turned = rank({name: content | {"protocol": "paper"} for name, content in contents.items()},
                  costs, SECONDS | {"lot": 0.5}, PROBES)  # fmt: skip
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


@pytest.mark.parametrize("lacking", [["objects"], ["captions"], ["objects", "captions"]])
@pytest.mark.parametrize("method", ["hyma", "grid"])
def test_a_missing_pair_is_refused(lacking: list[str], method: str) -> None:
    contents = {name: benchmark(own) for name, own in SCORES.items()}
    for name in lacking:
        del contents[name]["protocols"]["standard"]["methods"][method]["mid-bert"]
    with pytest.raises(HymaError, match="mid-bert"):
        rank(contents, FLOPS, SECONDS, PROBES)


@settings(deadline=None, max_examples=15)
@given(st.permutations(PAIRS))
def test_order_of_pairs_does_not_matter(order: list[str]) -> None:
    contents = {name: benchmark(own) for name, own in SCORES.items()}
    for content in contents.values():
        methods = content["protocols"]["standard"]["methods"]
        for method, row in methods.items():
            methods[method] = {pair: row[pair] for pair in order}
    found, expected = rank(contents, FLOPS, SECONDS, PROBES), ranked()
    for key in ("overall", "mean", "winner", "benchmarks"):
        assert found[key] == expected[key]
    assert found["unimodal"]["pair"] == expected["unimodal"]["pair"]
