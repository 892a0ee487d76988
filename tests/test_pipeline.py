"""The pipeline's promises about caching: every stage declares all that it imports and reads."""

import ast
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from hyma.methods import known
from tests.imports import METHOD, ROOT, files_of, is_module, module_of, modules_of
from tests.project import Project

STAGES: dict[str, Any] = {
    name: entry.get("do", entry)
    for pipeline in ("dvc.yaml", "studies/dvc.yaml")
    for name, entry in yaml.safe_load((ROOT / pipeline).read_text())["stages"].items()
}
NO_CODE = sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "hyma").rglob("*.json") if "__pycache__" not in path.parts
)
CHECKS_ALL = "check"
"""The one stage that reads the whole of params.yaml, and depends on the file itself."""


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_imported_modules(name: str) -> None:
    deps = STAGES[name]["deps"]
    imported = modules_of(STAGES[name])
    declared = {dep for dep in deps if is_module(dep)}
    assert declared == imported, "run `python -m tests.imports`"
    sources = "".join((ROOT / path).read_text() for path in imported)
    assert [path for path in NO_CODE if Path(path).name in sources and path not in deps] == []


@pytest.mark.parametrize("name", known())
def test_a_method_is_a_dependency_of_its_own_stage(name: str) -> None:
    """And whatever it imports is too; none imports another."""
    imported = files_of(f"hyma.methods.{name}")
    own = f"hyma/methods/{name}.py"
    assert {path for path in imported if METHOD.fullmatch(path)} == {own}
    assert imported - {own} <= set(STAGES["search"]["deps"])
    assert own.replace(f"{name}.py", "${item}.py") in STAGES["search"]["deps"]


@pytest.mark.parametrize("name", ["check", "study_seeds", "study_unseen"])
def test_stages_that_load_methods_depend_on_them(name: str) -> None:
    imported = files_of(module_of(STAGES[name]["cmd"]))
    deps = STAGES[name]["deps"]
    methods = {path for path in imported if METHOD.fullmatch(path)}
    assert methods
    assert "hyma/methods" in deps or methods <= set(deps)


def test_imports_are_followed() -> None:
    found = files_of("stages.prepare")
    assert {"hyma/common/run.py", "hyma/readers/formats/textvqa.py", "hyma/readers/base/vqa_text.py"} <= found
    assert "hyma/__init__.py" not in found  # names alone
    assert "hyma/stitching/flops.py" not in found


@pytest.mark.parametrize("name", [name for name in STAGES if name != CHECKS_ALL])
def test_declared_params_are_read(name: str) -> None:
    """What a stage declares and never reads would run it again for nothing."""
    files = files_of(module_of(STAGES[name]["cmd"]))
    readers = ("hyma/stitching/records.py", "hyma/model/of_run.py")
    scripts = [path for path in files if path.startswith("stages/") or path in readers]
    read = set.union(*(keys_named(ROOT / path) for path in scripts))
    declared = {key.split(".")[0] for key in STAGES[name].get("params", [])}
    assert declared <= read


def keys_named(file: Path) -> set[str]:
    """The sections that a script names in calls of params.read and params.names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            texts = [part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
            if node.func.attr in ("read", "names") and ast.unparse(node.func.value) == "params":
                found |= {str(text).split(".")[0] for text in texts}
    return found


@pytest.mark.parametrize("name", [name for name in STAGES if name != CHECKS_ALL])
def test_read_params_are_declared(name: str, scratch: Project) -> None:
    """Every stage does its work with a params.yaml that holds only what it declares."""
    params = scratch.params()
    stage = STAGES[name]
    command, declared = filled(stage["cmd"], name, params), stage.get("params", [])
    keys = [filled(key, name, params) for key in declared]
    scratch.write_params(cut(params, keys))
    if name == "study_report":  # the committed studies: the small experiment's may not have run
        shutil.copytree(ROOT / "metrics/studies", scratch.folder / "metrics/studies", dirs_exist_ok=True)
    scratch.run(*command.split())


def test_an_undeclared_param_is_found_missing(scratch: Project) -> None:
    params = scratch.params()
    scratch.write_params(cut(params, ["benchmarks"]))
    message = scratch.run("python", "-m", "stages.rank", code=1)
    assert message == "error: params.yaml: image_encoders: missing; add it\n"


def filled(text: str, stage: str, params: dict[str, Any]) -> str:
    """The text with placeholders filled for one instance of the stage."""
    sections = {
        "train_image_encoder": ("zoo", "image"), "train_text_encoder": ("zoo", "text"), "evaluate": ("benchmarks",),
        "prepare": ("benchmarks",), "prepare_training": ("training",),
        "extract_image": ("image_encoders",), "extract_image_benchmarks": ("image_encoders",),
        "extract_text": ("text_encoders",), "extract_text_benchmarks": ("text_encoders",),
        "recorded": ("search", "recorded"), "world": ("world",),
    }  # fmt: skip
    if "${key}" in text:
        section = params
        for step in sections[stage]:
            section = section[step]
        text = text.replace("${key}", list(section)[-1])
    text = text.replace("${item}", str(params["studies"]["seeds"][0] if stage == "study_seeds" else "cka"))
    text = text.replace("${item.i}", next(iter(params["image_encoders"])))
    text = text.replace("${item.t}", next(iter(params["text_encoders"])))
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
