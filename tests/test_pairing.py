"""What of the scores the image encoder decides, what the text encoder, what only both: worked out by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hyma.ranking.pairing import agreements, effects, pairing, split, table, whole
from hyma.report import markdown

INF = float("inf")


def scores(rows: list[list[float]]) -> dict[str, float]:
    """Pair → score, of a table: image encoders a, b, … down, text encoders x, y, … across."""
    return {f"{'abcdef'[i]}-{'xyzuvw'[t]}": s for i, row in enumerate(rows) for t, s in enumerate(row)}


def test_two_by_two_by_hand() -> None:
    """Mean 3; image effects −1 and 1, text effects −0.5 and 0.5, interactions ±0.5."""
    image, text, both = effects(np.array([[2.0, 2.0], [3.0, 5.0]]))
    assert image == pytest.approx(np.array([[-1, -1], [1, 1]]))
    assert text == pytest.approx(np.array([[-0.5, 0.5], [-0.5, 0.5]]))
    assert both == pytest.approx(np.array([[0.5, -0.5], [-0.5, 0.5]]))
    found = split(np.array([[2.0, 2.0], [3.0, 5.0]]))
    assert found == pytest.approx({"variance": 1.5, "image": 2 / 3, "text": 1 / 6, "interaction": 1 / 6})


def test_an_additive_table_has_no_interaction() -> None:
    """Numbers that binary fractions cannot hold: what rounding leaves is no interaction."""
    additive = np.array([0.1, 0.37, 0.62])[:, None] + np.array([0.0, 0.013, 0.0291, 0.3])
    found = split(additive)
    assert found["interaction"] == 0
    assert found["image"] + found["text"] == pytest.approx(1)
    rows = additive.tolist()
    assert agreements(scores(rows), scores(rows)) == {
        "within_image": pytest.approx(1),
        "within_text": pytest.approx(1),
        "interaction": None,
    }
    # And a method that adds effects up says nothing of pairs.
    crossed = scores([[1, 2, 5, 4], [4, 9, 1, 1], [3, 0, 2, 7]])
    assert agreements(crossed, scores(rows))["interaction"] == 0


def test_within_encoders_by_hand() -> None:
    """Image a: orders 1 2 3 and 1 3 2, ρ = 1/2; image b: 1 2 3 and 3 2 1, ρ = −1. Texts: two pairs each, ρ = ±1."""
    true, own = scores([[1, 2, 3], [4, 5, 6]]), scores([[1, 3, 2], [6, 5, 4]])
    found = agreements(true, own)
    assert found["within_image"] == pytest.approx((0.5 - 1) / 2)
    assert found["within_text"] == pytest.approx(1)
    swapped = agreements(true, scores([[1, 6, 5], [2, 3, 4]]))
    assert swapped["within_text"] == pytest.approx((1 - 1 - 1) / 3)


def test_interactions_are_ordered_whatever_the_encoders_are_worth() -> None:
    """The method sees the encoders the wrong way round, and every pairing right."""
    pairs = np.array([[2.0, -1.0, -1.0], [-2.0, 1.0, 1.0]])
    image, text = np.array([[10.0], [0.0]]), np.array([0.0, 5.0, 7.0])
    found = agreements(
        scores((pairs + image + text).tolist()), scores((3 * pairs - 2 * image - text).tolist())
    )
    assert found["interaction"] == pytest.approx(1)
    assert found["within_text"] == pytest.approx(-1)


def test_where_an_encoder_scores_all_its_pairs_alike() -> None:
    """True scores alike: no order, left out. The method's alike: 0, as lots give on average."""
    assert agreements(scores([[1, 1], [1, 2]]), scores([[1, 2], [5, 7]]))["within_image"] == pytest.approx(1)
    assert agreements(scores([[1, 2], [1, 2]]), scores([[1, 2], [5, 5]]))["within_image"] == pytest.approx(
        0.5
    )
    alike = agreements(scores([[1, 1], [1, 1]]), scores([[1, 2], [5, 7]]))
    assert alike == dict.fromkeys(("within_image", "within_text", "interaction"))


@pytest.mark.parametrize(
    ("rows", "side", "other"), [([[1, 3, 2]], "image", "text"), ([[1], [3], [2]], "text", "image")]
)
def test_one_encoder_on_a_side(rows: list[list[float]], side: str, other: str) -> None:
    found = pairing("grid", {"mean": scores(rows)}, {"own": {"mean": scores(rows)}})
    assert found
    assert found["split"]["mean"] == {"variance": pytest.approx(2 / 3), side: 0, other: 1, "interaction": 0}
    own = found["methods"]["own"]["mean"]
    assert own == {f"within_{side}": pytest.approx(1), f"within_{other}": None, "interaction": None}


def test_one_pair() -> None:
    assert pairing("grid", {"mean": {"a-x": 0.5}}, {}) is None


def test_failed_pairs() -> None:
    """The encoder that loses the larger share goes; the rest is split as if it had never been there."""
    rows = [[1, 2, 4], [-INF, 5, 9], [3, 3, 8]]
    without = pairing("hyma", {"mean": scores([rows[0], rows[2]])}, {})
    found = pairing("hyma", {"mean": scores(rows)}, {})
    assert without
    assert found
    assert (found["by"], found["images"], found["texts"], found["left_out"]) == ("hyma", 3, 3, ["b"])
    assert found["split"]["mean"] == without["split"]["mean"]
    assert whole([scores([[-INF, 1], [-INF, 2], [-INF, 3]])]) == (["a", "b", "c"], ["y"])
    # A pair that failed ranks last within its encoders; no interaction is known of what is left out.
    true = scores([[1, 2, 4], [7, 5, 9], [3, 3, 8]])
    assert agreements(true, scores(rows)) == {
        "within_image": pytest.approx((1 + 0.5 + 1) / 3),
        "within_text": pytest.approx((-0.5 + 1 + 1) / 3),
        "interaction": pytest.approx(1),
    }


def test_nothing_left() -> None:
    found = pairing("hyma", {"mean": scores([[-INF, -INF], [-INF, -INF]])}, {})
    assert found
    assert found["left_out"] == ["a", "b"]
    assert found["split"]["mean"] == {"variance": 0, "image": None, "text": None, "interaction": None}


@given(arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.floats(0, 1)))
def test_parts_add_up_and_are_centred(score_IT: np.ndarray) -> None:
    parts = effects(score_IT)
    assert sum(parts) + score_IT.mean() == pytest.approx(score_IT, abs=1e-10)
    for part in parts:
        assert part.mean() == pytest.approx(0, abs=1e-8)
    assert parts[2].mean(0) == pytest.approx(0, abs=1e-8)
    assert parts[2].mean(1) == pytest.approx(0, abs=1e-8)
    assert split(score_IT)["variance"] == pytest.approx(score_IT.var(), abs=1e-10)


def test_tables_follow_the_names() -> None:
    own = scores([[1, 2], [3, 4]])
    for order in product(["ab", "ba"], ["xy", "yx"]):
        found = table(own, *map(list, order))
        assert found.tolist() == [[own[f"{i}-{t}"] for t in order[1]] for i in order[0]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1, 9], [9, 1]], "image encoder decides less than 1% of how the pairs' mean scores differ, the text encoder "
         "less than 1%, which of them go together 100%: look at pairs, not at encoders."),
        ([[1, 3], [5, 7]], "image encoder decides 80% of how the pairs' mean scores differ, the text encoder 20%, "
         "which of them go together less than 1%: the best of each side go well together, and pairs need "
         "little looking at."),
        ([[1, 2], [51, 50]], "image encoder alone decides nearly everything here, 100% of how the pairs' mean scores "
         "differ (the text encoder less than 1%, which of them go together less than 1%): a method that orders the "
         "image encoders well has a high ρ, whatever it knows of pairs."),
        ([[1, 50], [2, 51]], "text encoder alone decides nearly everything here, 100%"),
        ([[1, 3, 2]], "There is one image encoder: the pairs differ in the other side alone."),
        ([[1], [3]], "There is one text encoder: the pairs differ in the other side alone."),
        ([[1, 1], [1, 1]], "How much the pairing matters cannot be told: all pairs score alike."),
        ([[1, 9], [9, 1], [-INF, 3]], "look at pairs, not at encoders. (Without c, of which pairs failed.)"),
        ([[1]], ""),
    ],
)  # fmt: skip
def test_in_words(rows: list[list[float]], said: str) -> None:
    ranking = {"oracle": "grid", "pairing": pairing("grid", {"mean": scores(rows)}, {})}
    assert said in words(ranking)
    if said == "":
        assert words(ranking) == ""


def test_where_not_all_pairs_were_trained_it_is_the_main_methods_scores() -> None:
    ranking = {"oracle": None, "pairing": pairing("hyma", {"mean": scores([[1, 9], [9, 1]])}, {})}
    assert words(ranking).startswith(
        "By HYMA's scores, since not all pairs were trained on their own, the image encoder decides"
    )


def words(ranking: dict[str, object]) -> str:
    """The sentence of the reports."""
    return markdown.page(
        "pairing", ranking | {"methods": {"hyma": {"label": "HYMA"}, "grid": {"label": "grid"}}}
    ).strip()
