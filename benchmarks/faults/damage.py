"""Files cut short or overwritten behind everybody's back: of DVC's cache, data/kept/, data/unfinished/, outputs."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.faults.disk import plain
from benchmarks.faults.table import Row, timed
from benchmarks.faults.tiny import Running, Tiny, last_words
from hyma.common.files import remove


def cut(file: Path) -> None:
    """Keep the first half."""
    _behind(file, lambda content: content[: len(content) // 2])


def overwritten(file: Path) -> None:
    """Change a digit or a bit of every 16th byte of the second half; the length stays."""

    def changed(content: bytes) -> bytes:
        found = bytearray(content)
        for place in range(len(found) // 2, len(found), 16):
            found[place] = ord("7") if found[place : place + 1].isdigit() else found[place] ^ 1
        return bytes(found)

    _behind(file, changed)


def _behind(file: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file where it lies, so that what shares its bytes changes, too; its mode stays."""
    mode = file.stat().st_mode
    file.chmod(0o644)
    content = change(file.read_bytes())
    with file.open("r+b") as stream:
        stream.write(content)
        stream.truncate()
    file.chmod(mode)


KINDS = (cut, overwritten)
CACHED = {
    "data/prepared/training/captions": "train_hyma",
    "features/training/image": "train_hyma",
    "features/benchmarks/text": "evaluate",
    "models/search/untrained": "evaluate",
    "models/search/trained": "evaluate",
    "models/search/recorded/ask_llm": "rank",
    "models/search/unimodal": "rank",
    "models/hyma": "refine",
    "models/refine": "evaluate",
    "models/grid": "evaluate_grid",
}
"""Outputs of which the largest file is damaged → a stage that reads it."""
KEPT = {
    "extract-image": "extract_image",
    "extract-text": "extract_text",
    "untrained": "untrained",
    "search": "search",
    "grid": "train_grid",
    "evaluate-searches": "evaluate",
    "evaluate-grid": "evaluate_grid",
}
"""Folder of data/kept/ → stage."""


def damage(tiny: Tiny) -> Iterator[Row]:
    """Each place, each kind of damage."""
    for fault, each in (
        ("a file of DVC's cache damaged, its output gone, who reads it forced", _cached),
        ("a file of data/kept/ damaged, its stage forced", _kept),
        ("a file of features/ or models/ damaged where it lies", _outputs),
        ("a chunk of data/unfinished/ damaged", _unfinished),
    ):
        row = Row(fault)
        with timed(row):
            for kind in KINDS:
                each(tiny, row, kind)
        yield row


def _judge(tiny: Tiny, row: Row, folder: Path, where: str, *command: str) -> None:
    """The next run: right, or one plain line that names what to delete, after which all is right."""
    row.tried += 1
    run = Running(folder, "dvc", "repro", *command)
    if code := run.end():
        said = stage_said(run.printed)
        file = folder / last_words(said).removeprefix("error: ").partition(":")[0]
        if not plain(said) or not file.is_file():
            row.bad("wrong", f"{where}: {last_words(said)}")
            return
        remove(file)
        if (run := Running(folder, "dvc", "repro")).end():
            row.bad("wrong", f"{where}: the file deleted: {last_words(stage_said(run.printed))}")
            return
    if different := tiny.differing(folder):
        row.bad("wrong", f"{where}, ended with {code}: {', '.join(different[:3])}")
    else:
        row.seen[
            "refused by name; right once that was deleted" if code else "noticed and made anew, or not used"
        ] += 1


def stage_said(printed: str) -> str:
    """What a stage said, without DVC's own line that it failed."""
    return "\n".join(line for line in printed.splitlines() if not line.startswith("ERROR: failed to"))


def _cached(tiny: Tiny, row: Row, kind: Callable[[Path], None]) -> None:
    """DVC may bring the damaged file back, and believe it; so the stage that reads it has to notice."""
    outs = {out["path"]: out for entry in tiny.locked().values() for out in entry["outs"]}
    for path, reader in CACHED.items():
        with tiny.copy("done") as project:
            cache = project.folder / ".dvc/cache/files/md5"
            members = json.loads(_object(cache, outs[path]["md5"]).read_text())
            kind(max((_object(cache, each["md5"]) for each in members), key=lambda file: file.stat().st_size))
            remove(project.folder / path)
            remove(project.folder / "data/kept")
            Running(project.folder, "dvc", "repro").end()
            _judge(tiny, row, project.folder, f"{path} in the cache {kind.__name__}", "-f", "-s", reader)


def _object(cache: Path, digest: str) -> Path:
    return cache / digest[:2] / digest[2:]


def _kept(tiny: Tiny, row: Row, kind: Callable[[Path], None]) -> None:
    for name, stage in KEPT.items():
        with tiny.copy("done") as project:
            for result in sorted((project.folder / "data/kept" / name).iterdir()):
                kind(max(result.glob("[!.]*"), key=lambda file: file.stat().st_size))
            remove(project.folder / ".dvc/cache/runs")  # DVC's shortcut around the stage
            _judge(tiny, row, project.folder, f"data/kept/{name} {kind.__name__}", "-f", "-s", stage)


def _outputs(tiny: Tiny, row: Row, kind: Callable[[Path], None]) -> None:
    for path in CACHED:
        with tiny.copy("done") as project:
            files = (file for file in (project.folder / path).rglob("*") if file.is_file())
            kind(max(files, key=lambda file: file.stat().st_size))
            _judge(tiny, row, project.folder, f"{path} {kind.__name__}")


def _unfinished(tiny: Tiny, row: Row, kind: Callable[[Path], None]) -> None:
    for side in ("image", "text"):
        with tiny.copy("prepared") as project:
            run = Running(project.folder, "dvc", "repro", f"extract_{side}")
            while not (chunks := sorted(project.folder.glob(f"data/unfinished/**/{side}/**/*.arrow"))):
                if run.process.poll() is not None:
                    break
                time.sleep(0.001)
            run.kill()
            for chunk in chunks:
                if chunk.exists():
                    kind(chunk)
            if not chunks:
                row.seen["no chunk was there yet"] += 1
            _judge(tiny, row, project.folder, f"data/unfinished of {side}s {kind.__name__}")
