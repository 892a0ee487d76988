"""The best uni-modal pair: scores worked out by hand, and published ones that do not fit."""

import re

import pytest

from hyma.common.errors import HymaError
from hyma.search.unimodal import published, search


def test_by_hand() -> None:
    # Images 0.2, 0.4, 0.9: mean 0.5, variance (0.09 + 0.01 + 0.16)/3; texts 1 and 3: mean 2, deviation 1.
    image, text = {"a": 0.2, "b": 0.4, "c": 0.9}, {"s": 1.0, "t": 3.0}
    found = search(image, text, 70.0, {"image side": "published scores"})
    spread = (0.26 / 3) ** 0.5
    standing = {"a": -0.3 / spread, "b": -0.1 / spread, "c": 0.4 / spread, "s": -1, "t": 1}
    assert found.scores == pytest.approx({f"{i}-{t}": standing[i] + standing[t] for i in image for t in text})
    assert list(found.scores) == ["a-s", "a-t", "b-s", "b-t", "c-s", "c-t"]
    assert max(found.scores, key=found.scores.__getitem__) == "c-t"
    assert (found.label, found.flops) == ("best uni-modal pair", {"probes": 70.0})
    assert (found.notes, found.stitches) == ({"image side": "published scores"}, {})


def test_units_play_no_part() -> None:
    """Percent beside shares, or another benchmark's scale: the order stays."""
    image, text = {"a": 0.2, "b": 0.4, "c": 0.9}, {"s": 0.1, "t": 0.3}
    percent = {slug: 100 * value + 7 for slug, value in image.items()}
    expected = search(image, text, 0, {}).scores
    assert search(percent, text, 0, {}).scores == pytest.approx(expected)


def test_encoders_alike_and_one_alone() -> None:
    assert search({"a": 0.5, "b": 0.5}, {"s": 0.2, "t": 0.4}, 0, {}).scores == pytest.approx(
        {"a-s": -1, "a-t": 1, "b-s": -1, "b-t": 1}
    )
    assert search({"a": 0.5}, {"s": 0.2}, 0, {}).scores == {"a-s": 0}


def test_published() -> None:
    assert published({}, ["a", "b"], "unimodal.image") is None
    # In the order of the encoders, whatever that of params.yaml.
    found = published({"b": 81, "a": 76.5}, ["a", "b"], "unimodal.image")
    assert found == {"a": 76.5, "b": 81.0}
    assert list(found or {}) == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": 1.0}, "params.yaml: unimodal.text: no score for b; give all encoders' or none"),
        ({"a": 1.0, "b": 2.0, "c": 3.0}, "params.yaml: unimodal.text.c: no such encoder; known: a, b"),
        ({"c": 3.0}, "params.yaml: unimodal.text.c: no such encoder; known: a, b"),
    ],
)
def test_published_that_does_not_fit(given: dict[str, float], message: str) -> None:
    with pytest.raises(HymaError, match=f"^{re.escape(message)}$"):
        published(given, ["a", "b"], "unimodal.text")
