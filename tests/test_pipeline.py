"""The pipeline's promises about caching: every stage declares all that it imports and reads, and no more."""

import ast
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from hyma.common.settings import FILE as SETTINGS
from hyma.common.sources import closure, imported, modules
from hyma.methods import known
from hyma.methods.shared.run import OWN
from hyma.readers.base.params import Own, Published
from tests.project import Project

ROOT = Path(__file__).parent.parent
PIPELINES = ("dvc.yaml", "embedded/dvc.yaml", "inputs/dvc.yaml", "studies/dvc.yaml")
STAGES: dict[str, Any] = {
    name: entry.get("do", entry)
    for pipeline in PIPELINES
    for name, entry in yaml.safe_load((ROOT / pipeline).read_text())["stages"].items()
}
ALL_METHODS = [f"hyma.methods.{name}" for name in known()]
BY_NAME = {
    "check": ALL_METHODS,
    "untrained": ALL_METHODS,
    "search": ALL_METHODS,
    "study_seeds": ALL_METHODS,
    "fetch": modules("hyma.fetched"),
    "extract_image": modules("hyma.encoders.sources"),
    "extract_text": modules("hyma.encoders.sources"),
}
"""Stage → the modules that it loads by name, which no import shows."""
NO_MATTER = {"stages", "stages._run", "hyma.cli.ending"}
"""How threads wait and how errors are told changes no result."""
PLUMBING = {f"hyma.common.{name}" for name in ("errors", "files", "params", "plain_yaml")}
"""Not declared by the stages that train the zoo, whose results git keeps: how files are written changes none."""
READ_BY_NAME = {"study_seeds": set(OWN)}
"""Stage → the sections that it reads by name, which no call shows."""
READERS = {"hyma/model/of_run.py"}
"""Modules of the library that read sections by themselves."""
NAMES = "metrics/names"
PARAMS = Path("params.yaml")
NEEDS_NETWORK = "fetch"
CHECKS_ALL = "check"
"""The one stage that reads the whole of params.yaml, and depends on the file itself."""


def file_of(module: str) -> Path:
    """The module's file, from the project's root on."""
    base = Path(*module.split("."))
    return base / "__init__.py" if (ROOT / base).is_dir() else base.with_suffix(".py")


@cache
def runs(name: str) -> set[str]:
    """Files of the modules that a stage may run; those that hold a docstring alone are left out."""
    start = re.match(r"python -m ([\w.]+)", STAGES[name]["cmd"])
    assert start
    found = closure([start[1], *BY_NAME.get(name, [])]) - NO_MATTER
    if name.startswith("train_") and name.endswith("_encoder"):
        found -= PLUMBING
    files = map(file_of, found)
    return {str(file) for file in files if len(ast.parse((ROOT / file).read_text()).body) > 1}


def code(name: str) -> list[str]:
    """The code that a stage declares: packages and single files."""
    return [dep for dep in STAGES[name]["deps"] if dep.startswith(("hyma/", "stages/")) and "$" not in dep]


def covers(dep: str, file: str) -> bool:
    """Whether a dependency is the file, or a folder that it lies in."""
    return file == dep or file.startswith(f"{dep}/")


@pytest.mark.parametrize("name", STAGES)
def test_every_module_is_in_a_declared_package(name: str) -> None:
    assert [file for file in sorted(runs(name)) if not any(covers(dep, file) for dep in code(name))] == []


@pytest.mark.parametrize("name", STAGES)
def test_every_declared_package_is_used(name: str) -> None:
    assert [dep for dep in code(name) if not any(covers(dep, file) for file in runs(name))] == []


@pytest.mark.parametrize("name", [name for name in STAGES if name != CHECKS_ALL])
def test_code_is_declared_by_package(name: str) -> None:
    """Beside its scripts in stages/ a stage names single files rarely: the lock is written again after each stage."""
    assert len([dep for dep in code(name) if dep.startswith("hyma/") and dep.endswith(".py")]) <= 1


@pytest.mark.parametrize("name", [*get_args(Published), *get_args(Own)])
def test_a_reader_is_a_file_that_needs_no_other(name: str) -> None:
    found = {str(file_of(module)) for module in closure([f"hyma.readers.formats.{name}"])}
    own = f"hyma/readers/formats/{name}.py"
    assert own in found
    declared = [
        own,
        "hyma/readers/base",
        "hyma/common",
        "hyma/readers/__init__.py",
        "hyma/readers/formats/__init__.py",
    ]
    assert [file for file in found if not any(covers(dep, file) for dep in declared)] == []
    for stage in ("prepare", "prepare_training"):
        assert "hyma/readers/formats/${item.format}.py" in STAGES[stage]["deps"]


@pytest.mark.parametrize("name", known())
def test_a_method_imports_no_other(name: str) -> None:
    others = closure([f"hyma.methods.{name}"]) & set(ALL_METHODS)
    assert others == {f"hyma.methods.{name}"}


def test_a_missing_package_would_be_found() -> None:
    assert "hyma/stitching/losses.py" in runs("train_grid")
    assert "hyma/search/network.py" in runs("train_hyma")
    assert not any(file.startswith("hyma/search/") for file in runs("train_grid"))
    assert "hyma.common.errors" in imported("hyma.common.files")


@pytest.mark.parametrize("name", [name for name in STAGES if name != CHECKS_ALL])
def test_declared_params_and_names_are_read(name: str) -> None:
    """What a stage declares and never reads would run it again for nothing."""
    files = [ROOT / file for file in runs(name) if file.startswith("stages/") or file in READERS]
    given, settings, listed = (
        set.union(*(named(file, call) for file in files))
        for call in ("params.read", "settings.read", "names")
    )
    read = {str(PARAMS): given, str(SETTINGS): settings | READ_BY_NAME.get(name, set())}
    declared = params_of(name)
    assert declared.keys() <= read.keys()
    for file, keys in declared.items():
        assert {key.split(".")[0] for key in keys} <= read[file], file
    assert {Path(dep).stem for dep in STAGES[name]["deps"] if dep.startswith(f"{NAMES}/")} - {
        "checked"
    } <= listed
    assert listed or NAMES not in STAGES[name]["deps"]


def params_of(name: str) -> dict[str, list[str]]:
    """The keys that a stage declares, by the file that they stand in."""
    found: dict[str, list[str]] = {}
    for entry in STAGES[name].get("params", []):
        for file, keys in (entry if isinstance(entry, dict) else {str(PARAMS): [entry]}).items():
            found.setdefault(file, []).extend(keys)
    return found


def test_params_are_told_apart_by_file() -> None:
    found = params_of("export")
    assert found.keys() == {"params.yaml", "metrics/settings.yaml"}
    assert "benchmarks" in found["params.yaml"]
    assert "export" in found["metrics/settings.yaml"]


def named(file: Path, function: str) -> set[str]:
    """The sections that a script names in calls of a function."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) == function:
            texts = [part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
            found |= {str(text).split(".")[0] for text in texts}
    return found


@pytest.mark.parametrize("name", [name for name in STAGES if name not in (CHECKS_ALL, NEEDS_NETWORK)])
def test_read_params_are_declared(name: str, scratch: Project) -> None:
    """Every stage does its work with params and settings that hold only what it declares, and none but its inputs.

    Of what other stages left, that is: their names, figures and models.
    """
    params = scratch.params()
    stage, declared = STAGES[name], params_of(name)
    command = filled(stage["cmd"], name, params)
    for file in map(str, (PARAMS, SETTINGS)):
        content = yaml.safe_load((scratch.folder / file).read_text())
        keys = [filled(key, name, params) for key in declared.get(file, [])]
        (scratch.folder / file).write_text(yaml.safe_dump(cut(content, keys), sort_keys=False))
    if name == "study_report":  # the committed studies: the small experiment's may not have run
        shutil.copytree(ROOT / "metrics/studies", scratch.folder / "metrics/studies", dirs_exist_ok=True)
    hide(scratch.folder, [filled(dep, name, params) for dep in stage["deps"] if "${item" not in dep])
    shutil.rmtree(scratch.folder / "models/best", ignore_errors=True)  # DVC takes outputs away before it runs
    scratch.run(*command.split())


def hide(folder: Path, inputs: list[str]) -> None:
    """Take away what other stages left, but for these inputs and the settings."""
    for file in [*(folder / "metrics").rglob("*"), *(folder / "models").rglob("*")]:
        place = file.relative_to(folder)
        if file.is_file() and place != SETTINGS and not any(covers(dep, str(place)) for dep in inputs):
            file.unlink()


def test_an_undeclared_param_is_found_missing(scratch: Project) -> None:
    settings = yaml.safe_load((scratch.folder / SETTINGS).read_text())
    (scratch.folder / SETTINGS).write_text(yaml.safe_dump(cut(settings, ["seed"])))
    message = scratch.run("python", "-m", "stages.train_hyma", code=1)
    assert message == "error: metrics/settings.yaml: connector: missing; add it\n"


def test_an_undeclared_input_is_found_missing(scratch: Project) -> None:
    hide(scratch.folder, ["metrics/names", "metrics/finals.json"])
    message = scratch.run("python", "-m", "stages.rank", code=1)
    assert message.startswith("error: metrics/benchmarks/imagenet.json: file not found")


def filled(text: str, stage: str, params: dict[str, Any]) -> str:
    """The text with placeholders filled for one instance of the stage."""
    sections = {
        "train_image_encoder": ("zoo", "image"), "train_text_encoder": ("zoo", "text"),
        "prepare": ("benchmarks",), "prepare_training": ("training",),
        "image_weights": ("image_encoders",), "text_weights": ("text_encoders",),
        "recorded": ("search", "recorded"), "world": ("world",),
    }  # fmt: skip
    if "${key}" in text:
        section = params
        for step in sections[stage]:
            section = section[step]
        text = text.replace("${key}", list(section)[-1])
    assert not re.search(r"\$\{", text), text
    return text


def cut(params: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """Only the values under these dotted keys."""
    kept: dict[str, Any] = {}
    for key in keys:
        source, target = params, kept
        *path, last = key.split(".")
        for step in path:
            source, target = source[step], target.setdefault(step, {})
        target[last] = source[last]
    return kept
