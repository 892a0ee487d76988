"""Section ``search``: what may stand there, what a method's own section may hold, and how mistakes are told."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hyma import methods
from hyma.common import params
from hyma.common.errors import HymaError
from hyma.common.params import Section, validate
from hyma.methods.shared.switch import SearchParams
from hyma.plan.experiment import Experiment
from hyma.stitching.params import ConnectorParams
from stages import check
from tests.test_search import toy

ROOT = Path(__file__).parent.parent
PARAMS = ROOT / "params.yaml"
KNOWN = ", ".join(methods.known())
Change = Callable[[dict[str, Any]], Any]


def test_a_section_by_hand() -> None:
    found = validate(
        {"methods": ["random", "cka"], "recorded": {"asked": {"file": "a/b.json"}}, "cka": {}, "random": {}},
        SearchParams,
    )
    assert found.methods == ["random", "cka"]
    assert found.recorded["asked"].file == Path("a/b.json")
    # What runs needs no section; some methods do where nothing is said.
    assert validate({"methods": ["cka"]}, SearchParams).model_extra == {}
    assert validate({}, SearchParams).methods == ["ridge", "cca", "gcca", "mutual_knn", "random"]
    # Nothing has to run, and a method that does not run may keep its section.
    assert validate({"methods": [], "cka": {"samples": 50}}, SearchParams).recorded == {}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"methods": ["ckka"], "ckka": {}}, f"search: ckka: no such search method; known: {KNOWN}"),
        ({"methods": [], "cka": {}, "samples": 3}, f"search: samples: no such search method; known: {KNOWN}"),
        ({"methods": ["__init__"], "__init__": {}}, "search: __init__: no such search method"),
        ({"methods": ["grid"], "grid": {}}, "search: grid: no such search method"),
        (
            {"methods": ["cka", "random", "cka"], "cka": {}, "random": {}},
            "search: cka: two methods have this name; rename one or list it once",
        ),
        (
            {"methods": ["cka"], "cka": {}, "recorded": {"cka": {"file": "a"}}},
            "search: cka: two methods have this name",
        ),
        ({"methods": [], "recorded": {"hyma": {"file": "a"}}}, "search: hyma: two methods have this name"),
        ({"methods": [], "recorded": {"unimodal": {"file": "a"}}}, "search: unimodal: two methods have this"),
        ({"methods": [], "recorded": {"Ask-LLM": {"file": "a"}}}, "search.recorded.Ask-LLM: string should match"),
        ({"methods": [], "recorded": {"ask": {}}}, "search.recorded.ask.file: missing; add it"),
        ({"methods": [], "recorded": {"ask": {"file": "a", "day": 1}}}, "search.recorded.ask.day: unknown key"),
        ({"methods": "cka", "cka": {}}, "search.methods: input should be a valid list"),
    ],
)  # fmt: skip
def test_mistakes(section: dict[str, Any], message: str) -> None:
    with pytest.raises(HymaError, match="^" + re.escape(f"params.yaml: {message}")):
        validate(section, SearchParams, key="search")


@pytest.mark.parametrize("name", methods.known())
def test_every_method_has_what_the_switch_needs(name: str) -> None:
    module = methods.load(name)
    assert isinstance(module.LABEL, str)
    assert issubclass(module.Params, Section)
    assert callable(module.search)
    assert validate({}, module.Params, key=f"search.{name}") == module.Params()
    with pytest.raises(HymaError, match=rf"^params\.yaml: search\.{name}\.no_such_key: unknown key"):
        validate({"no_such_key": 1}, module.Params, key=f"search.{name}")


@pytest.mark.parametrize("name", methods.known())
def test_a_method_that_makes_steps_says_that_it_trains(name: str) -> None:
    """Those that do not say so run first, and count as what needs no training."""
    module = methods.load(name)
    few: dict[str, Any] = {"batch": 64, "epochs": 1, "bm": 1, "samples": 128, "components": 10, "flops": 1e8}
    own = module.Params(**{key: value for key, value in few.items() if key in module.Params.model_fields})
    connector = ConnectorParams(kind="linear", hidden=8)
    assert (module.search(toy(), own, connector, 0).steps > 0) == methods.trains(name)


def test_labels_differ() -> None:
    labels = [methods.load(name).LABEL for name in methods.known()]
    assert len({*labels, "grid search", "HYMA"}) == len(labels) + 2


def test_the_projects_own_sections_are_valid() -> None:
    experiment = validate(params.load(PARAMS), Experiment)
    sections = experiment.search.model_extra or {}
    for name, content in sections.items():
        validate(content, methods.load(name).Params, key=f"search.{name}")
    assert sections.keys() <= set(methods.known())
    for recorded in experiment.search.recorded.values():
        assert (ROOT / recorded.file).is_file()


def checked(folder: Path, monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Run the stage's own `main` on the project's params.yaml with a change."""
    content = copy.deepcopy(params.load(PARAMS))
    change(content)
    monkeypatch.chdir(folder)
    Path("params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    params._parse.cache_clear()
    monkeypatch.setattr("sys.argv", ["check"])
    check.main()


def test_check_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked(tmp_path, monkeypatch, lambda p: p["search"].update(methods=["random"], cka={"samples": 20}))
    assert Path("metrics/names/checked.txt").read_text() == "params.yaml is valid\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p: p["search"].update(cka={"sampels": 10}),
            "params.yaml: search.cka.sampels: unknown key; did you mean 'samples'?",
        ),
        (
            lambda p: p["search"].update(methods=["random"], cka={"samples": 3}),  # though it does not run
            "params.yaml: search.cka.samples: input should be greater than or equal to 20, but it is 3",
        ),
        (
            lambda p: p["search"]["hyma_two_sided"].update(decoder="dense"),
            "params.yaml: search.hyma_two_sided.decoder: input should be 'factorised', but it is 'dense'",
        ),
        (lambda p: p["search"].update(cka=None), "params.yaml: search.cka: input should be "),
        (
            lambda p: p["search"].update(autopair={"flops": "all"}),
            "params.yaml: search.autopair.flops: input should be a valid number",
        ),
        (
            lambda p: p["search"]["methods"].append("ckka"),
            f"params.yaml: search: ckka: no such search method; known: {KNOWN}",
        ),
        (lambda p: p.update(refine={"tops": 3}), "params.yaml: refine.tops: unknown key; did you mean 'top'?"),
        (
            lambda p: p.update(unimodal={"image": {"vit": "good"}}),
            "params.yaml: unimodal.image.vit: input should be a valid number",
        ),
        (lambda p: p.update(search=None), "params.yaml: search: input should be "),
        (lambda p: p.pop("benchmarks"), "params.yaml: benchmarks: missing; add it"),
    ],
)  # fmt: skip
def test_check_names_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, message: str
) -> None:
    with pytest.raises(HymaError, match="^" + re.escape(message)):
        checked(tmp_path, monkeypatch, change)
    assert not Path("metrics").exists()
