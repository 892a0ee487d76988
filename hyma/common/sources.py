"""Which of the project's own modules a module runs, found by reading imports, and a digest of their text.

DVC keeps a stage's result as long as its inputs stay; a stage that keeps several results apart (`hyma.common.kept`)
needs to know the same of each: `code` is equal for two runs if every module that they may import is.
"""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from hyma.common.files import sha256

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("hyma", "stages")


def code(*names: str) -> str:
    """Digest of the modules named and of all of the project's that they import, transitively."""
    return sha256(*(part for name in sorted(closure(names)) for part in (name, _text(name))))


def closure(names: Iterable[str]) -> set[str]:
    """The modules named and all of the project's that importing them may run, packages included."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in seen and _file(name) is not None:
            seen.add(name)
            waiting += imported(name)
    return seen


@cache
def imported(name: str) -> frozenset[str]:
    """The project's modules that a module imports, anywhere in it, and the package that it lies in.

    The front door, ``hyma`` itself, is left out: it hands out names, and nothing inside uses it. So are imports
    for type checkers alone.
    """
    found = {name.rpartition(".")[0]}
    for node in _run(ast.parse(_text(name))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(each for each in found - {"hyma", name, ""} if _file(each) is not None)


def modules(package: str) -> list[str]:
    """The names of all modules of a package, its own included."""
    files = sorted((ROOT / package).rglob("*.py"))
    dotted = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in dotted]


def _run(tree: ast.AST) -> Iterable[ast.AST]:
    """The nodes of a module, without what stands under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _run(node)


@cache
def _text(name: str) -> str:
    file = _file(name)
    return "" if file is None else file.read_text(encoding="utf-8")


@cache
def _file(name: str) -> Path | None:
    if name.partition(".")[0] not in PROJECT:
        return None
    base = ROOT.joinpath(*name.split("."))
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)
