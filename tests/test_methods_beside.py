"""Does the order of methods found on one experiment hold on another? Orders worked by hand."""

from typing import Any

import pytest

from hyma.report import beside

STITCHED = ("grid", "hyma", "cca")
METHODS = ("grid", "hyma", "cca", "cka", "random")


def ranking(rho: dict[str, float], mean: float = 0.4) -> dict[str, Any]:
    """As much of metrics/ranking.json as is read, of two pairs."""

    def agreed(method: str) -> dict[str, Any]:
        return {"spearman": rho[method], "relative_regret": 0.1, "regret": 0.01, "score": 0.5}

    scores = {method: {"a-b": {"mean": mean if method == "hyma" else 0.5}} for method in STITCHED}
    return {
        "oracle": "grid",
        "pairs": 1,
        "methods": {method: {"label": method.upper()} for method in METHODS},
        "overall": {method: agreed(method) for method in METHODS},
        "own": {method: {"overall": agreed(method)} for method in METHODS},
        "connectors": {method: {"overall": agreed(method)} for method in STITCHED},
        "scores": scores,
        "cost": {method: {"flops": float(place)} for place, method in enumerate(METHODS)},
        "pairing": {"split": {"mean": {"image": 0.5, "text": 0.3, "interaction": 0.2}}},
    }


HERE = {"grid": 1.0, "hyma": 0.9, "cca": 0.8, "cka": 0.7, "random": 0.0}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"hyma": 0.5, "cca": 0.4, "cka": 0.3}, "**holds** here: 3 methods"),
        ({"hyma": 0.5, "cca": 0.3, "cka": 0.4}, "**holds in part** here"),
        ({"hyma": 0.3, "cca": 0.4, "cka": 0.5}, "**does not hold** here"),
        ({"hyma": 0.3, "cca": 0.3, "cka": 0.3}, "**cannot be told** here"),
    ],
)
def test_orders_of_three_methods(there: dict[str, float], said: str) -> None:
    """By hand: the same order is ρ = 1, two neighbours exchanged ρ = 0.5, the reverse ρ = -1."""
    text = beside.section(ranking(HERE), ranking(HERE | there))
    assert said in text
    assert "HYMA's connectors score 80% of GRID's here, 80% there." in text
    assert "20% of the variance" in text
    assert "| HYMA | 0.900 |" in text
    assert "RANDOM" not in text
    paragraph, table = text.split("\n\n")  # a table needs a blank line before it
    assert "\n" not in paragraph
    assert [line.count("|") for line in table.splitlines()] == [10] * 5


def test_furthest_and_best() -> None:
    text = beside.section(ranking(HERE), ranking(HERE | {"cka": -0.2}, mean=0.25))
    assert "Furthest apart is CKA: ρ = 0.70 here, -0.20 there" in text
    assert "Best here: HYMA, CCA, CKA; on the default: HYMA, CCA, CKA" in text
    assert "80% of GRID's here, 50% there" in text


def test_nothing_to_compare() -> None:
    found = ranking(HERE)
    assert beside.section(found, {}) == ""
    assert beside.section(found, found | {"oracle": None}) == ""
    few = found | {"overall": {method: found["overall"][method] for method in ("grid", "hyma", "random")}}
    assert beside.section(found, few) == ""
