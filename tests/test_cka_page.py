"""What reports/methods.md says of CKA: correlations worked out by hand, and silence where there is nothing."""

from pathlib import Path
from typing import Any

import pytest

from hyma.common.params import validate
from hyma.methods import calibrated_cka
from hyma.report import methods, similarity, similarity_picture
from hyma.report.pictures import draw
from hyma.stitching.params import ConnectorParams
from tests.test_ranking import PAIRS, RECORDS, by_pair, record
from tests.test_report import canvas, contents, dots, inputs, spent
from tests.test_search import toy

Json = dict[str, Any]
RAW = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
CALIBRATED = [0.0, 0.1, 0.3, 0.2, 0.5, 0.55]
NOTE = "big 9.0, mid 7.5, tiny 3.0, bert 20.5, words 11.0"


def ranking(raw: list[float] = RAW, calibrated: list[float] = CALIBRATED, note: str = NOTE) -> Json:
    records = RECORDS | {
        "cka": record("CKA", 1.0, scores=by_pair(raw)),
        "calibrated_cka": record(
            "calibrated CKA", 2.0, scores=by_pair(calibrated), notes={"effective dimensions": note}
        ),
    }
    costs = {"cka": spent(1e9), "calibrated_cka": spent(2e9)}
    return inputs(contents(), records, costs).ranking


def test_by_hand() -> None:
    """Ranks of grid search: 6 5 3 4 1 2; of CKA 1 to 6; of calibrated CKA 1 2 4 3 5 6; of dimensions 5.5 3.5 1.5."""
    found = similarity.look(ranking())
    assert found is not None
    assert found.rho("raw", "oracle") == pytest.approx(1 - 6 * 66 / 210)
    assert found.rho("calibrated", "oracle") == pytest.approx(1 - 6 * 68 / 210)
    assert found.rho("raw", "calibrated") == pytest.approx(1 - 6 * 2 / 210)
    assert found.rho("dimension", "oracle") == pytest.approx(16 / (16 * 17.5) ** 0.5)
    assert found.rho("dimension", "raw") == pytest.approx(-16 / (16 * 17.5) ** 0.5)
    assert similarity.words(ranking()) == (
        "CKA (by the unbiased estimator, which is 0 in the mean where there is nothing) orders the pairs as"
        " grid search does with ρ = -0.89; calibrated CKA, the plain one less what shuffled samples give, "
        "with ρ = -0.94. The two agree with each other at ρ = 0.94, so some of CKA's order is chance. CKA "
        "weighs what two encoders share by its variance, and so looks at about as many directions as an "
        "encoder's effective dimension says: 3.0 to 9.0 for the image encoders. With that dimension grid "
        "search's scores go at ρ = 0.96, CKA at ρ = -0.96: CKA tells how much of its spread an encoder has "
        "in common with another, not over how many directions."
    )


def test_words_go_by_the_numbers() -> None:
    assert "so it is not chance that sets CKA's order." in similarity.words(ranking(calibrated=RAW))
    good = similarity.words(ranking(raw=[6, 5, 3, 4, 1, 2]))  # as grid search
    assert good.endswith("With that dimension grid search's scores go at ρ = 0.96, CKA at ρ = 0.96.")
    nothing = similarity.words(ranking(calibrated=[0.0] * 6))
    assert "The two agree with each other at ρ = –. CKA weighs" in nothing


def test_only_where_both_ran_and_every_pair_was_trained() -> None:
    whole = ranking()
    for changed in (
        whole | {"oracle": None},
        whole | {"own_scores": {"cka": by_pair(RAW)}},
        whole | {"own_scores": {"calibrated_cka": by_pair(RAW)}},
        ranking(note=""),
        whole | {"own_scores": whole["own_scores"] | {"cka": by_pair(RAW[:2])}},  # the others failed
    ):
        assert similarity.look(changed) is None
        assert similarity.words(changed) == ""
    assert "What CKA sees" in methods.page(whole)
    assert "cka" not in methods.page(inputs(contents()).ranking).lower()


def test_an_encoder_without_a_dimension_is_left_out() -> None:
    found = similarity.look(ranking(note="big 9.0, tiny 3.0"))
    assert found is not None
    assert list(found.raw) == [pair for pair in PAIRS if not pair.startswith("mid")]


def test_the_note_is_what_the_method_writes() -> None:
    connector = validate({"normalise": "l2"}, ConnectorParams)
    found = calibrated_cka.search(toy(), calibrated_cka.Params(samples=60), connector, 0)
    told = similarity.read_dimensions(found.notes[similarity.DIMENSIONS])
    assert list(told) == ["plain", "wide", "turned", "noise"]
    assert all(1 <= value <= 20 for value in told.values())


def test_the_picture_shows_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    against, oracle, dimension = canvas(monkeypatch, similarity_picture.draw, ranking()).axes
    assert sorted(point for cloud in against.collections for point in cloud.get_offsets().tolist()) == sorted(
        [raw, calibrated] for raw, calibrated in zip(RAW, CALIBRATED, strict=True)
    )
    assert dots(oracle)[0] == pytest.approx([0.1, 60.0])
    assert dots(dimension) == [pytest.approx([9, 60]), pytest.approx([7.5, 40]), pytest.approx([3, 15])]
    assert [axes.get_title("left") for axes in (against, oracle, dimension)] == [
        "ρ = 0.94", "ρ = -0.89", "ρ = 0.96",
    ]  # fmt: skip


def test_it_is_drawn_where_the_page_shows_it(tmp_path: Path) -> None:
    draw(tmp_path / "with", inputs_of(ranking()))
    draw(tmp_path / "without", inputs(contents()))
    assert (tmp_path / "with/cka.png").stat().st_size > 10_000
    assert not (tmp_path / "without/cka.png").exists()
    assert "(figures/cka.png)" in methods.page(ranking())


def inputs_of(found: Json) -> Any:
    made = inputs(contents())
    made.ranking = found
    return made
