"""What a figure needs to be reproduced: versions, machine, revision of the code."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "hyma", "torch", "torchvision", "timm", "sentence-transformers", "transformers", "scikit-learn", "numpy",
    "pyarrow", "pillow", "pot", "fvcore", "dvc",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> str:
    """Processor and cores."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123
            name = next(
                (line.split(":")[1].strip() for line in stream if line.startswith("model name")), name
            )
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"


def revision() -> str:
    """The commit of the working tree, and whether it has changes; "unknown" outside git."""
    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        # In an experiment's folder these are links, and what counts is what they lead to.
        code = map(os.path.realpath, ("hyma", "stages", "zoo", "params.yaml", "dvc.yaml"))
        changed = git("status", "--porcelain", "--", *code)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}{' with changes' if changed else ''}"


def git(*arguments: str, folder: Path | None = None) -> str:
    """What git says in a folder, the current one if None.

    Raises:
        CalledProcessError: if it refuses.
        OSError: if there is no git.
    """
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.strip()
