"""Which of the project's files a module imports, transitively, found by reading the source.

After a change of imports, ``python -m tests.imports`` brings the stages' `deps` in dvc.yaml up to date.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hyma.methods import known

ROOT = Path(__file__).parent.parent
FRONT_DOOR = Path("hyma/__init__.py")
METHOD = re.compile(r"hyma/methods/(?!__init__).*\.py")


def files_of(module: str) -> set[str]:
    """Paths of the project's modules that importing `module` may run, its own included.

    A module that holds a docstring and nothing else is left out: no change of it can change a result. So is
    the package's own front door, which hands out names and which stages do not use.
    """
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        path = _path(waiting.pop())
        if path is None or path == FRONT_DOOR or str(path) in seen:
            continue
        seen.add(str(path))
        waiting += _imported(path)
        waiting += [".".join(parent.parts) for parent in path.parents if parent.parts]
    return {path for path in seen if len(ast.parse((ROOT / path).read_text()).body) > 1}


def modules_of(stage: dict[str, Any]) -> set[str]:
    """The modules that a stage of dvc.yaml has to name."""
    return {path for path in files_of(module_of(stage["cmd"])) if not METHOD.fullmatch(path)}


def is_module(dep: str) -> bool:
    """Whether a dependency is a module that `update` looks after."""
    return dep.endswith(".py") and not METHOD.fullmatch(dep)


def module_of(cmd: str) -> str:
    """The module that a stage's command runs."""
    match = re.match(r"python -m ([\w.]+)", cmd)
    assert match, cmd
    return match[1]


def _path(module: str) -> Path | None:
    base = Path(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate
    return None


@cache
def _imported(path: Path) -> list[str]:
    """Every module named by an import anywhere in the file, within functions too."""
    names = []
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    # Readers, encoders and search methods are chosen by name at run time: every one of them counts.
    if path in (Path("hyma/readers/base/prepare.py"), Path("hyma/encoders/base/load.py")):
        names += [".".join([*path.parts[:-1], file.stem]) for file in (ROOT / path.parent).glob("*.py")]
    if path in (Path("stages/check.py"), Path("stages/search.py"), Path("stages/study_seeds.py")):
        names += [f"hyma.methods.{method}" for method in known()]
    return names


def update(file: Path) -> None:
    """Rewrite the modules among every stage's `deps`; other dependencies stay.

    Files of search methods are left out: the stages that load them name the folder, or the one they run.
    """
    yaml = YAML()
    yaml.width = 200
    content = yaml.load(file)
    for entry in content["stages"].values():
        stage = entry.get("do", entry)
        data = [dep for dep in stage.get("deps", []) if not is_module(dep)]
        stage["deps"] = [*data, *sorted(modules_of(stage))]
    yaml.dump(content, file)


if __name__ == "__main__":
    for pipeline in ("dvc.yaml", "studies/dvc.yaml"):
        update(ROOT / pipeline)
