"""One thing wrong in a data set: in a file's bytes, in what a table or a json file says, or in names."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
"""Hypothesis's own, within a test."""
NAMES = (
    "{stem}.v2{suffix}", ".{stem}{suffix}", "._{stem}{suffix}", "{stem} copy{suffix}", "{stem}{suffix}.bak", "{stem}",
    "{upper}", "ü{stem}{suffix}", "{stem}\n{suffix}", "{stem}.heic", "-{stem}{suffix}", "Thumbs.db",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 7, -1, 1.5, float("nan"), 10**40, "", " ", "x", "\0", "\ud83d", "a\u2028b", "../../etc/passwd",
    "/dev/zero",
    "y" * 200_000, [], ["a", None], {}, {"a": 1}, [[[]]],
)  # fmt: skip


@dataclass
class Change:
    """What was done, and which records it takes out by itself."""

    what: str
    removed: int = 0
    """Records that are gone because somebody took them out: nothing can tell."""
    harmless: bool = False
    """Whether the data set still says the same."""
    details: dict[str, Any] = field(default_factory=dict)


def change(root: Path, draw: Draw) -> Change:
    """Do one thing to a data set."""
    return draw(st.sampled_from((_bytes, _bytes, _text, _json, _json, _names, _names, _beside)))(root, draw)


def _file(root: Path, draw: Draw, *suffixes: str) -> Path | None:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    files = [path for path in files if path.suffix in suffixes] if suffixes else files
    # Tables and annotations as often as all pictures together.
    few = [path for path in files if path.suffix.lower() not in (".png", ".jpg", ".jpeg")]
    chosen = few if few and draw(st.booleans()) else files
    return draw(st.sampled_from(chosen)) if chosen else None


def _bytes(root: Path, draw: Draw) -> Change:
    file = _file(root, draw)
    assert file is not None
    data = file.read_bytes()
    start = draw(st.integers(0, len(data)))
    stop = min(len(data), start + draw(st.sampled_from((1, 2, 16, 512, 4096))))
    kind = draw(st.sampled_from(("cut", "flip", "delete", "insert", "zero", "append", "joined", "empty")))
    own = draw(st.binary(min_size=1, max_size=8))
    changed = {
        "cut": data[:start],
        "flip": data[:start] + own[: stop - start] + data[start + len(own[: stop - start]) :],
        "delete": data[:start] + data[stop:],
        "insert": data[:start] + own + data[start:],
        "zero": data[:start] + bytes(stop - start) + data[stop:],
        "append": data + own,
        "joined": data + data,
        "empty": b"",
    }[kind]
    file.write_bytes(changed)
    # Whole members of a shard leave no trace, nor do those at its end that became zeros: so it ends.
    traceless = kind == "delete" or (kind == "zero" and not data[stop:].strip(b"\0"))
    members = (stop - start) // 512 if traceless and file.suffix == ".tar" else 0
    return Change(f"{kind} {file.relative_to(root)} at {start} to {stop} {own!r}", removed=members)


def _text(root: Path, draw: Draw) -> Change:
    """A file of lines, saved by another program."""
    file = _file(root, draw, ".csv", ".jsonl", ".txt", ".json")
    if file is None:
        return _bytes(root, draw)
    text = file.read_text(encoding="utf-8")
    kind = draw(
        st.sampled_from(
            ("bom", "crlf", "cr", "latin-1", "utf-16", "quote", "no quote", "twice", "blank", "tab", "comma")
        )
    )
    lines = text.split("\n")
    number = draw(st.integers(0, max(0, len(lines) - 2)))
    harmless = kind in ("bom", "crlf") and file.suffix != ".txt"
    if kind == "quote":
        lines[number] = draw(st.sampled_from(('"{}', '{}"', '{}"'))).format(lines[number])
    elif kind == "no quote":
        lines[number] = lines[number].replace('"', "", 1)
    elif kind == "twice":
        lines.insert(number, lines[number])
    elif kind == "blank":
        lines.insert(number, "")
    elif kind in ("tab", "comma"):
        lines[number] += {"tab": "\tmore", "comma": ",more"}[kind]
    new = "\n".join(lines)
    encoding = {"latin-1": "latin-1", "utf-16": "utf-16", "bom": "utf-8-sig"}.get(kind, "utf-8")
    new = new.replace("\n", {"crlf": "\r\n", "cr": "\r"}.get(kind, "\n"))
    file.write_bytes(new.encode(encoding, "replace"))
    return Change(f"{kind} in line {number} of {file.relative_to(root)}", harmless=harmless)


def _json(root: Path, draw: Draw) -> Change:
    """Another value somewhere in a json file; in any line of a jsonl file."""
    file = _file(root, draw, ".json", ".jsonl")
    if file is None:
        return _bytes(root, draw)
    lines = file.suffix == ".jsonl"
    content = file.read_text(encoding="utf-8")
    value = [json.loads(line) for line in content.splitlines()] if lines else json.loads(content)
    place = draw(st.sampled_from(list(_places(value))))
    holder = value
    for step in place[:-1]:
        holder = holder[step]
    kind = draw(st.sampled_from(("replace", "replace", "replace", "delete", "again", "rename")))
    removed = 0
    if kind == "delete":
        del holder[place[-1]]
        removed = 2 if isinstance(place[-1], int) else 0  # a record, or a caption
    elif kind == "again" and isinstance(holder, list):
        holder.append(holder[place[-1]])
    elif kind == "rename" and isinstance(holder, dict):
        holder[f"{place[-1]}_"] = holder.pop(place[-1])
    else:
        new = draw(st.sampled_from(VALUES))
        removed = RECORDS_OF_ALL if isinstance(holder[place[-1]], list) and isinstance(new, list) else 0
        removed = max(removed, 2 if place[-1] in ("split", *NAMING) else 0)
        holder[place[-1]] = new
    text = "".join(json.dumps(row) + "\n" for row in value) if lines else json.dumps(value)
    file.write_text(text, encoding="utf-8")
    return Change(f"{kind} {'.'.join(map(str, place))} in {file.relative_to(root)}", removed)


RECORDS_OF_ALL = 100
NAMING = ("image", "image_id", "id", "file_name", "filename", "filepath")
"""Keys that say which picture is meant: another name, and nobody names this one."""


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*above, key)
        yield from _places(value[key], (*above, key))


def _names(root: Path, draw: Draw) -> Change:
    """A file or folder under another name, elsewhere, or of another kind."""
    paths = sorted(root.rglob("*"))
    path = draw(st.sampled_from(paths))
    short, holds = path.relative_to(root), _records_in(path)
    kind = draw(
        st.sampled_from(
            ("rename", "rename", "bytes", "deeper", "delete", "folder", "dangling", "loop", "copy", "fifo")
        )
    )
    if kind == "rename":
        named = draw(st.sampled_from(NAMES))
        parts = {"stem": path.stem, "suffix": path.suffix, "upper": path.name.upper()}
        return _moved(path, path.with_name(named.format(**parts)), f"{named} for {short}")
    if kind == "bytes":
        return _moved(
            path,
            Path(os.fsdecode(os.fsencode(path.parent) + b"/caf\xe9" + os.fsencode(path.suffix))),
            f"no UTF-8 for {short}",
        )
    if kind == "deeper":
        (path.parent / "deeper").mkdir()
        return _moved(path, path.parent / "deeper" / path.name, f"{short} deeper")
    if kind == "copy":
        _copied(path, path.with_name(f"copy of {path.name}"))
        return Change(f"copy of {short}")
    _deleted(path)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind != "delete":
        path.symlink_to("nowhere" if kind == "dangling" else path.name)
    return Change(f"{kind} in place of {short}", removed=holds if kind == "delete" else 0)


def _records_in(path: Path) -> int:
    """Labelled pictures and shards are records of their own: what was deleted of them cannot be missed."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    shards = sum(file.suffix == ".tar" for file in files)
    return len(files) + 3 * shards


def _moved(path: Path, to: Path, what: str) -> Change:
    if to != path and not to.exists():
        path.rename(to)
    return Change(what)


def _copied(path: Path, to: Path) -> None:
    (shutil.copytree if path.is_dir() else shutil.copy)(path, to)


def _deleted(path: Path) -> None:
    (shutil.rmtree if path.is_dir() else os.remove)(path)


def _beside(root: Path, draw: Draw) -> Change:
    """Something more in a folder that is none of the data set's."""
    folders = [root, *sorted(path for path in root.rglob("*") if path.is_dir())]
    folder = draw(st.sampled_from(folders))
    name = draw(
        st.sampled_from(
            (".DS_Store", "._0.png", "Thumbs.db", "notes.txt", "readme.md", ".ipynb_checkpoints/0.png")
        )
    )
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\0\5\26\7")
    return Change(f"{name} in {folder.relative_to(root)}", harmless=True)
