"""An experiment that is kept beside the committed one: a folder of its own under the one definition of the pipeline.

experiments/<name>/ is a DVC project whose pipelines, code and params.yaml are links to the project's own; its lock
files, metrics, data, features and models are its own. Its reports are in reports/<name>/. DVC leaves a project inside
another alone, so the outer one takes as long as without.
"""

import os
import re
from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.files import write_json

PRESETS, EXPERIMENTS, REPORTS = "presets", "experiments", "reports"
LINKED = (".dvc/config", ".dvc/plots", ".dvcignore", "answers", "dvc.yaml", "hyma", "stages", "zoo/HUB")
"""What the folder shares with the project, beside the pipelines in folders below and params.yaml."""
DEFAULTS, LUCK = "studies/beside.json", "studies/luck.json"
"""The results of the experiment in params.yaml, to be held against; and what studies of its own found: nothing yet."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def lay(root: Path, name: str) -> Path:
    """Make the folder of an experiment, or complete it, and return it; what is there stays.

    Args:
        root: the project's folder.
        name: the experiment's, whose params.yaml is presets/<name>.yaml.

    Raises:
        HymaError: if there is no such preset, this is not the project's folder, or the system has no links.
    """
    preset = root / PRESETS / f"{name}.yaml"
    if not (root / "dvc.yaml").is_file() or not (root / ".dvc").is_dir():
        raise HymaError(f"{root.resolve()}: no dvc.yaml and .dvc; run from the project's root")
    if not NAME.fullmatch(name) or not preset.is_file():
        known = ", ".join(sorted(file.stem for file in (root / PRESETS).glob("*.yaml"))) or "none"
        raise HymaError(f"no experiment {name!r}: there is no {preset}; presets: {known}")
    folder = root / EXPERIMENTS / name
    (root / REPORTS / name).mkdir(parents=True, exist_ok=True)
    for place, target in links(root, name).items():
        _link(folder / place, target)
    luck = folder / LUCK
    if not luck.exists():
        write_json(luck, {})
    return folder


def links(root: Path, name: str) -> dict[str, Path]:
    """What the folder of an experiment links to, by place in it."""
    pipelines = [file.relative_to(root).as_posix() for file in sorted(root.glob("*/dvc.yaml"))]
    found = {place: root / place for place in (*LINKED, *pipelines) if (root / place).exists()}
    return found | {
        "params.yaml": root / PRESETS / f"{name}.yaml",
        "reports": root / REPORTS / name,
        DEFAULTS: root / "metrics/ranking.json",
    }


def _link(place: Path, target: Path) -> None:
    """Make `place` a relative link to `target`, unless something is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(place):
        return
    try:
        place.symlink_to(os.path.relpath(target, place.parent), target_is_directory=target.is_dir())
    except OSError as error:
        raise HymaError(f"{place}: cannot be made a link ({error.strerror or error}); allow links") from None
