"""Settings: defaults, rules, what `check` writes down of them, and where it says that each comes from."""

import copy
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from pydantic import Field

from hyma.common import experiment as named
from hyma.common import params, settings
from hyma.common.errors import HymaError
from hyma.common.params import AUTO, Rule, Section, validate
from hyma.methods import known, load
from hyma.methods.shared.run import model
from hyma.plan import experiment, explained
from hyma.plan.experiment import SETTINGS, Experiment
from hyma.ranking.params import AuditParams, FinalsParams
from hyma.search.params import HymaParams, RefineParams
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.shapes import Shapes
from stages import check
from tests.root import ROOT

LEAST = ("training", "benchmarks", "image_encoders", "text_encoders")
"""What a user's params.yaml has to say."""
RULED: dict[str, type[Section]] = {"finals": FinalsParams, "audit": AuditParams} | {
    name: model(name) for name in ("grid", "hyma", "refine", *known()) if model(name).RULES
}


@dataclass(frozen=True)
class Rows:
    """What the rules of `Own` go by."""

    rows: int


class Own(Section):
    """A section with two rules: the second follows from what the first gave."""

    name: str
    batch: int = Field(10, ge=2)
    steps: int = Field(7, ge=1)
    rate: float = 0.5
    RULES: ClassVar[Mapping[str, Rule]] = {
        "batch": lambda sizes, _: sizes.rows // 10,
        "steps": lambda sizes, own: sizes.rows // own["batch"],
    }


def own(sizes: Rows | None = None, **given: Any) -> Own:
    return validate({"name": "x"} | given, Own, key="own", sizes=sizes)


def shapes(images: int, texts: int, rows: int) -> Shapes:
    names = ([f"{side}{number}" for number in range(count)] for side, count in (("i", images), ("t", texts)))
    sides = (dict.fromkeys(side, 24) for side in names)
    return Shapes.expected(*sides, (rows, rows), ConnectorParams(), 0)


class TestRules:
    def test_without_sizes_there_are_defaults(self) -> None:
        assert own() == Own(name="x")
        assert (own().batch, own().steps) == (10, 7)

    @pytest.mark.parametrize("given", [{}, {"batch": AUTO}, {"steps": AUTO}, {"batch": AUTO, "steps": AUTO}])
    def test_what_is_not_given_or_auto_is_by_rule(self, given: dict[str, Any]) -> None:
        found = own(Rows(500), **given)
        assert (found.batch, found.steps, found.rate) == (50, 10, 0.5)

    def test_what_is_given_stays_and_later_rules_see_it(self) -> None:
        assert own(Rows(500), batch=5).steps == 100
        found = own(Rows(500), steps=3)
        assert (found.batch, found.steps) == (50, 3)

    def test_auto_needs_sizes_and_a_rule(self) -> None:
        with pytest.raises(HymaError, match=r"own\.batch: input should be a valid integer.*but it is 'auto'"):
            own(batch=AUTO)
        with pytest.raises(HymaError, match=r"own\.rate: input should be a valid number.*but it is 'auto'"):
            own(Rows(500), rate=AUTO)

    @pytest.mark.parametrize("given", [{"batch": 1}, {"batch": 1, "steps": AUTO}])
    def test_a_given_value_out_of_range_is_refused(self, given: dict[str, Any]) -> None:
        with pytest.raises(
            HymaError, match=r"own\.batch: input should be greater than or equal to 2, but it is 1"
        ):
            own(Rows(500), **given)

    def test_a_rule_is_held_to_the_range_too(self) -> None:
        with pytest.raises(
            HymaError, match=r"own\.batch: input should be greater than or equal to 2, but it is 1"
        ):
            own(Rows(19))

    def test_what_a_rule_cannot_work_with_is_named_and_not_the_rule(self) -> None:
        with pytest.raises(HymaError) as caught:
            own(Rows(500), batch="many")
        assert str(caught.value).startswith("params.yaml: own.batch: input should be a valid integer")
        assert "more" not in str(caught.value)

    def test_defaults_are_auto_where_there_is_a_rule(self) -> None:
        assert Own.defaults() == {"batch": AUTO, "steps": AUTO, "rate": 0.5}

    @pytest.mark.parametrize("name", RULED)
    @pytest.mark.parametrize(
        ("images", "texts", "rows"), [(1, 1, 24), (2, 1, 100), (9, 3, 10_000), (3, 40, 1_000_000)]
    )
    def test_every_rule_fits_its_key_whatever_the_sizes(
        self, name: str, images: int, texts: int, rows: int
    ) -> None:
        section, sizes = RULED[name], shapes(images, texts, rows)
        assert section.RULES.keys() <= section.model_fields.keys()
        found = validate({}, section, sizes=sizes)
        assert found == validate(dict.fromkeys(section.RULES, AUTO), section, sizes=sizes)
        assert found == validate(found.model_dump(), section, sizes=sizes)
        assert found == validate(section.defaults(), section, sizes=sizes)

    @pytest.mark.parametrize("pairs", range(1, 60))
    def test_an_audit_never_wants_more_pairs_than_there_are(self, pairs: int) -> None:
        sizes = shapes(pairs, 1, 1000)
        top = validate({}, FinalsParams, sizes=sizes).top
        sample = validate({}, AuditParams, sizes=sizes).pairs
        assert 1 <= top <= top + sample <= pairs


@pytest.fixture
def given() -> dict[str, Any]:
    """The project's own params.yaml, for a test to spoil."""
    return copy.deepcopy(params.load(ROOT / "params.yaml"))


@pytest.fixture
def least(given: dict[str, Any]) -> dict[str, Any]:
    """No more of it than has to be there."""
    return {name: given[name] for name in LEAST}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run `check` in; what is read there is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["check"])
    yield tmp_path
    params._parse.cache_clear()


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage reads its command line, which is pytest's here."""
    monkeypatch.setattr("sys.argv", ["check"])


def checked(content: dict[str, Any]) -> dict[str, Any]:
    """Run the stage on this params.yaml here; what it writes to metrics/settings.yaml."""
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    params._parse.cache_clear()
    check.main()
    found: dict[str, Any] = yaml.safe_load(settings.FILE.read_text(encoding="utf-8"))
    return found


class TestWrittenDown:
    def test_every_section_is_a_setting_or_names_what_is_the_users(self) -> None:
        assert {*SETTINGS, *LEAST, "fetch", "world", "zoo"} == Experiment.model_fields.keys()
        assert len(set(SETTINGS)) == len(SETTINGS)

    @pytest.mark.usefixtures("folder")
    def test_all_keys_of_all_sections_are_there(self, given: dict[str, Any]) -> None:
        given["refine"] = {}
        found = checked(given)
        assert list(found) == list(SETTINGS)
        for name, content in found.items():
            section = RefineParams if name == "refine" else Experiment.model_fields[name].annotation
            if name == "search":
                assert content.keys() == {"methods", *known()}
                for method in known():
                    assert content[method].keys() == load(method).Params.model_fields.keys(), method
            elif isinstance(section, type) and issubclass(section, Section):
                assert content.keys() == section.model_fields.keys(), name

    @pytest.mark.usefixtures("folder")
    def test_what_is_given_stands_there_and_what_has_a_rule_is_auto(self, least: dict[str, Any]) -> None:
        least |= {"hyma": {"lr": 0.5, "epochs": 2}, "search": {"methods": ["cgs"], "cgs": {"samples": 77}}}
        found = checked(least)
        assert (found["hyma"]["lr"], found["hyma"]["epochs"]) == (0.5, 2)
        for name, section in RULED.items():
            content = found[name] if name in found else found["search"][name]
            if content is None:
                continue
            ruled = {key for key, value in content.items() if value == AUTO}
            said = {"hyma": {"epochs"}, "cgs": {"samples"}}.get(name, set())
            assert section.RULES.keys() - said <= ruled, name
        assert found["search"]["cgs"]["samples"] == 77
        assert found["search"]["methods"] == ["cgs"]

    @pytest.mark.usefixtures("folder")
    def test_four_sections_are_enough(self, least: dict[str, Any]) -> None:
        found = checked(least)
        assert list(found) == list(SETTINGS)
        assert (found["seed"], found["device"], found["refine"]) == (0, "auto", None)
        whole = experiment.read()
        assert named.names("methods") == [
            *(["grid"] if whole.oracle != "none" else []), "hyma", *whole.search.methods, "unimodal",
        ]  # fmt: skip
        assert named.names("image_encoders") == list(least["image_encoders"])
        # As settings, it is the same experiment.
        again = validate(least | found, Experiment, sizes=experiment.guess(least))
        for name in SETTINGS:
            if name != "search":
                assert getattr(again, name) == getattr(whole, name), name

    @pytest.mark.usefixtures("folder")
    @pytest.mark.parametrize("lacking", LEAST)
    def test_each_of_the_four_has_to_be_there(self, least: dict[str, Any], lacking: str) -> None:
        del least[lacking]
        with pytest.raises(HymaError, match=rf"^params\.yaml: {lacking}: missing; add it"):
            checked(least)
        assert not Path("metrics").exists()

    @pytest.mark.usefixtures("folder")
    def test_a_default_said_aloud_changes_nothing(self, least: dict[str, Any]) -> None:
        before = checked(least)
        aloud = least | {
            "seed": 0,
            "hyma": {"batch": AUTO, "decoder": "factorised"},
            "grid": {},
            "evaluate": {},
        }
        assert checked(aloud) == before

    @pytest.mark.usefixtures("folder")
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"hyma": {"batch": "automatic"}}, "hyma.batch: input should be a valid integer"),
            ({"grid": {"lr": AUTO}}, "grid.lr: input should be a valid number"),
            ({"oracle": "some"}, "oracle: input should be 'full', 'audit' or 'none'"),
            ({"hyma": {"batch": 1}}, "hyma.batch: input should be greater than or equal to 2, but it is 1"),
            ({"finals": {"pairs": 3}}, "finals.pairs: unknown key"),
            (
                {"search": {"cgs": {"batch": 0}}},
                "search.cgs.batch: input should be greater than or equal to 2",
            ),
        ],
    )
    def test_mistakes(self, least: dict[str, Any], change: dict[str, Any], message: str) -> None:
        with pytest.raises(HymaError, match=f"^{re.escape(f'params.yaml: {message}')}"):
            checked(least | change)


class TestRead:
    def test_by_sizes_and_noted(
        self, folder: Path, least: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        del folder
        checked(least | {"hyma": {"epochs": 2}})
        sizes = shapes(2, 2, 640)
        with caplog.at_level(logging.INFO):
            found = settings.read("hyma", HymaParams, sizes)
        assert found == validate({"epochs": 2}, HymaParams, sizes=sizes)
        (noted,) = settings.by_rule("hyma", found).values()
        shown = dict(part.split(" ") for part in noted.split(", "))
        assert shown.keys() == HymaParams.RULES.keys() - {"epochs"}
        assert {name: float(value) for name, value in shown.items()} == pytest.approx(
            {name: getattr(found, name) for name in shown}
        )
        assert caplog.messages == [f"hyma, by rule: {noted}"]
        # A section that is given to the last key notes nothing, nor one that is off.
        checked(least | {"grid": found_of(GridParams, sizes)})
        assert settings.by_rule("grid", settings.read("grid", GridParams, sizes)) == {}
        assert settings.read("refine", RefineParams | None, sizes) is None  # type: ignore[arg-type]

    def test_what_is_not_there_is_named(self, folder: Path) -> None:
        del folder
        with pytest.raises(HymaError, match=r"^metrics/settings\.yaml: file not found"):
            settings.read("seed", int)


def found_of(section: type[Section], sizes: Shapes) -> dict[str, Any]:
    return validate({}, section, sizes=sizes).model_dump()


class TestExplained:
    def lines(self, text: str) -> dict[str, tuple[str, str]]:
        """Key → origin and value."""
        listed = text[: text.index("\n\n")].splitlines()
        found = {}
        for line in listed:
            key, origin, value = re.split(r" {2,}", line, maxsplit=2)
            found[key] = (origin, value)
        assert len(found) == len(listed)
        return found

    def test_every_setting_in_use_with_its_origin(self, folder: Path, least: dict[str, Any]) -> None:
        del folder
        given = least | {"seed": 5, "refine": {"top": 2}, "grid": {"epochs": 4, "batch": AUTO}} | {
            "search": {"methods": ["cgs", "cca"], "cgs": {"lr": 0.5}, "ridge": {}}
        }  # fmt: skip
        written = checked(given)
        found = self.lines(explained.page(params.load()))
        expected = {"search.methods"}
        for name, content in written.items():
            if name == "search":
                expected |= {f"search.{one}.{key}" for one in ("cgs", "cca") for key in content[one]}
            else:
                expected |= {f"{name}.{key}" for key in content} if isinstance(content, dict) else {name}
        assert found.keys() == expected
        assert found["seed"] == ("params.yaml", "5")
        assert found["device"] == ("default", "auto")
        assert found["search.methods"] == ("params.yaml", "cgs, cca")
        assert found["search.cgs.lr"] == ("params.yaml", "0.5")
        assert found["grid.epochs"] == ("params.yaml", "4")
        assert found["grid.clip"][0] == "default"
        assert {origin for origin, _ in found.values()} == {"params.yaml", "default", "rule"}
        for place, section in (("grid", GridParams), ("hyma", HymaParams), ("finals", FinalsParams)):
            for key in section.RULES.keys() - {"epochs"}:
                origin, value = found[f"{place}.{key}"]
                assert origin == "rule"
                assert value != AUTO

    def test_what_is_off_and_how_sure_it_is(self, folder: Path, least: dict[str, Any]) -> None:
        del folder
        checked(least)
        text = explained.page(params.load())
        assert self.lines(text)["refine"] == ("default", "off")
        assert text.endswith("a guess: data or encoders cannot be looked at yet.")
        pairs = f"{len(least['image_encoders'])} × {len(least['text_encoders'])} encoders"
        assert pairs in text.splitlines()[-1]

    def test_the_command_prints_it(
        self, folder: Path, least: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        del folder
        checked(least)
        assert capsys.readouterr().out == ""
        monkeypatch.setattr("sys.argv", ["check", "--explain"])
        check.main()
        assert capsys.readouterr().out == explained.page(params.load()) + "\n"
