"""What a run gave, without what no two runs share: seconds, what follows from them, and the revision."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Figures = dict[str, str]
"""File of an output, relative to the project → digest of what it says."""
TIMED = {"seconds", "cpu_seconds", "time_ratio", "digest"}
"""Keys of json; a record's digest covers its seconds."""
TIMED_PICTURE = "cost.png"
"""It shows seconds: only that it is whole counts."""
ABOUT_TIME = re.compile(r"second|time|cheaper|revision")
IN_PROSE = re.compile(r"(< |&lt; )?\d[\d.,]* ?(s\b|×)|(less|more) (CPU )?time")
EMBEDDED = re.compile(r"data:image/[^\"]*")
"""Pictures within the page: one shows seconds."""
ROW, CELL = re.compile(r"<tr.*?</tr>", re.DOTALL), re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)
BODY = re.compile(r"</?t(head|body)>")


def figures(folder: Path, outs: Sequence[str]) -> Figures:
    """Digest every file of these outputs; hidden ones, which are being written, are left out."""
    files = [
        file
        for out in outs
        for file in ((folder / out).rglob("*") if (folder / out).is_dir() else [folder / out])
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    return {file.relative_to(folder).as_posix(): hashlib.blake2b(said(file)).hexdigest() for file in files}


def said(file: Path) -> bytes:
    """A file's content without its seconds."""
    content = file.read_bytes()
    try:
        if file.suffix == ".json":
            return json.dumps(_untimed(json.loads(content))).encode()
        if file.suffix in (".md", ".html"):
            return without_seconds(content.decode()).encode()
        if file.name == TIMED_PICTURE:
            return content[:8] + content[-12:]
    except ValueError:
        pass  # damaged: as it is
    return content


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(each) for key, each in value.items() if key not in TIMED}
    return [_untimed(each) for each in value] if isinstance(value, list) else value


def without_seconds(text: str) -> str:
    """A page without columns, rows and words about time; tables of html become such of Markdown."""
    text = EMBEDDED.sub("", text)
    if "<tr" in text:
        text = re.sub(r"\s*\n\|", "\n|", BODY.sub("", ROW.sub(_row, text)))
    lines, dropped = list[str](), None
    for line in text.splitlines():
        if not line.startswith("|"):
            lines.append(IN_PROSE.sub("", line))
            dropped = None
            continue
        cells = line.split("|")
        if dropped is None:
            dropped = {number for number, cell in enumerate(cells) if ABOUT_TIME.search(cell)}
        if not ABOUT_TIME.search(cells[1]):
            lines.append("|".join(cell for number, cell in enumerate(cells) if number not in dropped))
    return "\n".join(lines)


def _row(found: re.Match[str]) -> str:
    cells = (re.sub(r"<[^>]*>|\s+", " ", cell).strip() for cell in CELL.findall(found[0]))
    return f"| {' | '.join(cells)} |"
