"""What a stage costs before it computes anything: its process, and DVC's look at dvc.lock."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hyma.plan.speed import repeated

LIBRARIES = {
    "search": "hyma.stitching.training",
    "timm": "hyma.encoders.sources.timm_image",
    "sentence-transformers": "hyma.encoders.sources.sentence_text",
    "open_clip": "open_clip",
}
"""What a stage's process imports first, by kind; see `Imports`."""


class Imports:
    """A process that imports what stages import; it runs while other things are done.

    What it gives is processor time, which other work on the machine, such as ours meanwhile, does not lengthen.
    """

    def __init__(self, kinds: list[str]):
        modules = {kind: LIBRARIES[kind] for kind in kinds}
        code = (
            "import importlib, json, time\n"
            "start, found = time.process_time(), {}\n"
            f"for kind, name in {modules!r}.items():\n"
            "    try: importlib.import_module(name)\n"
            "    except ImportError: continue\n"
            "    found[kind] = time.process_time() - start\n"
            "print(json.dumps(found))"
        )
        self.kinds = kinds
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> "Imports":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def result(self) -> dict[str, float]:
        """Seconds by kind: of torch and the library itself, without those imported between them."""
        printed = self.process.communicate()[0]
        if self.process.returncode:
            return {}
        reached = json.loads(printed)
        first, before, found = reached[self.kinds[0]], 0.0, {}
        for kind, seconds in reached.items():
            found[kind] = seconds if not before else first + seconds - before
            before = seconds
        return found


def lock_line() -> float:
    """Seconds that DVC takes to read and write a line of dvc.lock: it does so with the whole file, every stage."""
    from dvc.utils.serialize import modify_yaml

    entry = [
        {"path": f"data/file{number}", "hash": "md5", "md5": "0" * 32, "size": 1} for number in range(60)
    ]
    content = {"schema": "2.0", "stages": {f"stage{n}": {"cmd": "python", "deps": entry} for n in range(8)}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dvc.lock"
        file.write_text(json.dumps({}))
        with modify_yaml(str(file)) as lock:
            lock.update(content)
        lines = len(file.read_text().splitlines())

        def update() -> None:
            with modify_yaml(str(file)) as lock:
                lock["stages"]["stage0"]["cmd"] = str(time.perf_counter())

        return repeated(update) / lines
