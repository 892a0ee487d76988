"""What the whole pipeline takes, and what a change runs again: python -m benchmarks.pipeline [FOLDER].

Clones the committed state of this checkout into FOLDER (a temporary one by default), then runs there, with
the Python environment that is active: the main job, the main job again, and the changes that people make
most. Prints seconds, the CPU seconds of DVC itself, and the stages that ran; measure on a quiet machine.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
DVC = """
import resource, sys
from dvc.cli import main
code = main(sys.argv[1:])
own = resource.getrusage(resource.RUSAGE_SELF)
print(f"\\nDVC itself: {own.ru_utime + own.ru_stime}")
sys.exit(code)
"""
"""The command `dvc`, which at its end says what CPU seconds its own process took, its children's left out."""
FILES = tuple(f"{folder}dvc.{kind}" for folder in ("", "inputs/", "embedded/") for kind in ("yaml", "lock"))


def main() -> None:
    """Clone, run, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where to clone to; must not exist yet")
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="hyma-")) / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    print(f"in {folder}, {os.cpu_count()} cores\n")
    start = time.time()
    timed("clean clone to report: dvc repro", folder, "repro")
    print(f"    reports/ranking.md after {(folder / 'reports/ranking.md').stat().st_mtime - start:.0f} s")
    lines = {file: len((folder / file).read_text().splitlines()) for file in FILES}
    print("    lines: " + ", ".join(f"{file} {count}" for file, count in lines.items()))
    print(
        f"    disk: {size(folder) / 1e9:.2f} GB, {size(folder / '.dvc/cache') / 1e9:.2f} of them DVC's cache"
    )
    costs(folder)
    identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    subprocess.run(["git", *identity, "commit", "-qam", "The run on this machine"], cwd=folder, check=True)
    timed("nothing changed: dvc repro", folder, "repro")
    timed("nothing changed: dvc status", folder, "status")
    timed("hyma.bm: dvc exp run", folder, "exp", "run", "-n", "bm", "-S", "hyma.bm=9")
    restore(folder)
    timed("connector.kind: dvc exp run", folder, "exp", "run", "-n", "linear", "-S", "connector.kind=linear")
    restore(folder)
    change(folder, "image_encoders", "tenth", {"source": "timm", "name": "test_vit", "weights": "zoo/vit"})
    timed("a tenth image encoder: dvc repro", folder, "repro")
    restore(folder)
    timed("one method alone: dvc exp run", folder, "exp", "run", "-n", "one", "-S", "search.methods=[cca]")
    restore(folder)
    change(folder, "benchmarks", "again", {"format": "flickr8k", "path": "data/raw/flickr8k"})
    timed("another benchmark: dvc repro", folder, "repro")
    restore(folder)
    timed("the studies: dvc repro studies/dvc.yaml", folder, "repro", "studies/dvc.yaml")


def timed(label: str, folder: Path, *command: str) -> None:
    """Run a command of DVC; print what it took and how many instances of each stage it ran."""
    start = time.perf_counter()
    called = (sys.executable, "-c", DVC, *command)
    done = subprocess.run(called, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{label}: exit code {done.returncode}\n{done.stdout}")
    stages = re.findall(r"Running stage '([^']+)'", done.stdout)
    counts = Counter(stage.rpartition(":")[2].partition("@")[0] for stage in stages)
    itself = float(done.stdout.rpartition("DVC itself: ")[2])
    print(f"{label}: {seconds:.1f} s, {itself:.1f} of CPU in DVC; {len(stages)} stages ran", flush=True)
    print("    " + (", ".join(f"{name} ×{count}" for name, count in counts.items()) or "none"), flush=True)


def costs(folder: Path) -> None:
    """What the run's own report says of the search."""
    cost = json.loads((folder / "metrics/ranking.json").read_text())["cost"]
    for method, spent in cost.items():
        if spent["flops_ratio"] is None:
            continue
        print(
            f"    {method}: {spent['seconds']:.1f} s and {spent['flops']:.3g} FLOPs of search; times cheaper than "
            f"grid search: {spent['time_ratio']:.1f} in CPU seconds, {spent['flops_ratio']:.1f} in FLOPs"
        )


def change(folder: Path, section: str, slug: str, entry: dict[str, str]) -> None:
    """Add an entry to a section of params.yaml."""
    file = folder / "params.yaml"
    content = yaml.safe_load(file.read_text())
    content[section][slug] = entry
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def restore(folder: Path) -> None:
    """Back to the first run, its results from the cache."""
    subprocess.run(["git", "checkout", "-q", "."], cwd=folder, check=True)
    subprocess.run(["checkout", "-q"], cwd=folder, check=True)


def size(folder: Path) -> int:
    """Bytes below a folder; what hard links share counts once."""
    files = (path.lstat() for path in folder.rglob("*") if path.is_file())
    return sum({entry.st_ino: entry.st_size for entry in files}.values())


if __name__ == "__main__":
    main()
