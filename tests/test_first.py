"""The first answer, before anything is trained: places, their mean, and the page, worked out by hand."""

from typing import Any

import pytest

from hyma.report import first

Json = dict[str, Any]
PAIRS = ["a-x", "a-y", "b-x", "b-y"]


def record(label: str, *scores: float, connectors: str = "none", **more: Any) -> Json:
    found = dict(zip(PAIRS, scores, strict=False))
    return {
        "label": label,
        "scores": found,
        "failed": {},
        "connectors": connectors,
        "cpu_seconds": 1.5,
    } | more


def rows(page: str) -> list[list[str]]:
    """The cells of the page's table, its header's too."""
    lines = [line for line in page.splitlines() if line.startswith("|") and "--" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_equal_scores_share_a_place_and_failed_pairs_have_none() -> None:
    assert first.ranks(record("m", 0.5, 0.9, 0.5, 0.1)) == {"a-x": 2, "a-y": 1, "b-x": 2, "b-y": 4}
    lost = record("m", 0.5, 0.9, 0.5, failed={"b-y": "constant"})
    assert first.ranks(lost) == {"a-x": 2, "a-y": 1, "b-x": 2}
    # A score that a failed pair has left does not count.
    assert first.ranks(record("m", 0.5, 0.9, failed={"a-y": "lost"})) == {"a-x": 1}


def test_the_order_is_by_the_mean_of_places() -> None:
    one = {"a-x": 1, "a-y": 2, "b-x": 3, "b-y": 4}
    other = {"a-x": 4, "a-y": 1, "b-x": 2, "b-y": 3}
    # Means 2.5, 1.5, 2.5, 3.5: of equals the first by name.
    assert first.provisional({"one": one, "other": other}) == ["a-y", "a-x", "b-x", "b-y"]
    assert first.provisional({"one": one}) == PAIRS
    assert first.provisional({}) == []


def test_a_pair_that_failed_is_last_there() -> None:
    one = {"a-x": 1, "a-y": 2, "b-x": 3}  # b-y failed: place 4 of 4
    other = {"a-x": 3, "a-y": 4, "b-x": 2, "b-y": 1}
    # Means 2, 3, 2.5, 2.5.
    assert first.provisional({"one": one, "other": other}) == ["a-x", "b-x", "b-y", "a-y"]


def test_closed_forms_judge_and_the_others_are_shown() -> None:
    page = first.page(
        {
            "cca": record("CCA", 0.2, 0.8, 0.6, 0.4, connectors="two-sided"),
            "ridge": record("ridge", 0.1, 0.9, 0.95, 0.2, connectors="one-sided"),
            "cka": record("CKA", 9.0, 1.0, 1.0, 1.0),
            "random": record("by lot", 0.0, 0.0, 0.0, 0.0),
        }
    )
    # CCA's places 4 1 2 3, ridge's 4 2 1 3; CKA puts a × x first and has no say, the lot tells nothing.
    assert "**Provisionally: stitch a × y.**" in page
    assert "by CCA, ridge." in page.replace("\n", " ")
    assert rows(page) == [
        ["", "pair", "CCA: recall@5", "ridge: recall@5", "CKA: place"],
        ["1", "a × y", "80.0", "90.0", "2"],
        ["2", "b × x", "60.0", "95.0", "2"],
        ["3", "b × y", "40.0", "20.0", "2"],
        ["4", "a × x", "20.0", "10.0", "1"],
    ]
    assert "6.0 s of CPU time" in page.replace("\n", " ")  # of all four


def test_without_closed_forms_all_judge_and_a_failure_is_said() -> None:
    lost = record("CKA", 0.4, 0.5, 0.1, failed={"b-y": "constant"})
    page = first.page({"cka": lost, "knn": record("kNN", 0.9, 0.5, 0.1, 0.2)})
    assert [row[1:] for row in rows(page)[1:]] == [
        ["a × x", "2", "1"],
        ["a × y", "1", "2"],
        ["b × x", "3", "4"],
        ["b × y", "failed", "3"],
    ]


@pytest.mark.parametrize("records", [{}, {"random": record("by lot", 0.0, 0.0, 0.0, 0.0)}])
def test_without_a_method_that_tells_anything(records: dict[str, Json]) -> None:
    page = first.page(records)
    assert "There is none: no method that needs no training is switched on." in page
    assert rows(page) == []
