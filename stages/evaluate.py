"""Evaluate every pair of every method on every benchmark: python -m stages.evaluate searches|grid.

Reads models/, features/benchmarks/ and data/prepared/benchmarks/, writes metrics/benchmarks/<benchmark>.json for all
methods but grid search, or metrics/grid/<benchmark>.json for the pairs that it trained. What is known of a method's
connectors on a benchmark is not worked out again (data/kept/).
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch
from tqdm import tqdm

from hyma.common import features, settings
from hyma.common.experiment import finals, names
from hyma.common.files import atomic, read_json, write_json
from hyma.common.kept import Kept, content
from hyma.common.names import paired
from hyma.common.pictures import cores
from hyma.common.sources import code
from hyma.evaluation import assess
from hyma.evaluation.benchmark import Benchmark
from hyma.evaluation.params import EvaluateParams
from hyma.stitching import records, result
from hyma.stitching.connectors import Stitch
from stages._run import run

OUT = {"searches": Path("metrics/benchmarks"), "grid": Path("metrics/grid")}


def pairs_of(method: str) -> list[str]:
    """The pairs that a method has looked at."""
    if method == "grid":
        return list(finals()["pairs"])
    return paired(names("image_encoders"), names("text_encoders"))


@cache
def stitched(method: str) -> dict[str, Stitch]:
    """A method's connectors, read when a benchmark first needs them."""
    pairs = pairs_of(method)
    return result.stitched(method, records.read(method, pairs), pairs)


def evaluate(bench: Benchmark, methods: dict[str, str], kept: Kept, bar: tqdm) -> dict[str, assess.Scores]:
    """Score every method that has connectors on one benchmark.

    Args:
        bench: the benchmark.
        methods: method → digest of its connectors.
        kept: what is known already.
        bar: moves on by a step a method.
    """
    slug = bench.slug
    files = [features.file_of("benchmarks", "image", each, slug) for each in names("image_encoders")]
    files += [features.file_of("benchmarks", "text", each, slug) for each in names("text_encoders")]
    inputs = (
        *map(content, files),
        bench.data.meta.data_hash,
        str(bench.salt),
        code("hyma.evaluation.assess"),
    )
    found = {}
    for method, connectors in methods.items():

        def score(folder: Path, method: str = method) -> None:
            scores = assess.score(bench.evaluators, bench.features, stitched(method))
            write_json(folder / "scores.json", scores)

        made = kept.result(f"{slug}-{method}", (*inputs, connectors), score)
        found[method] = read_json(made / "scores.json")
        bar.update()
    return found


def main() -> None:
    """Load, score, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=list(OUT))
    kind = parser.parse_args().kind
    own = settings.read("evaluate", EvaluateParams)
    wanted = [name for name in names("methods") if (name == "grid") == (kind == "grid") and pairs_of(name)]
    found = {method: records.read(method, pairs_of(method)) for method in wanted}
    methods = {
        method: content(
            *records.files(method, [pair for pair in pairs_of(method) if pair not in record["failed"]])
        )
        for method, record in found.items()
        if record["connectors"] != "none"
    }
    benchmarks = names("benchmarks")
    total = len(benchmarks) * len(methods)
    with (
        Kept(f"evaluate-{kind}", places=False) as kept,
        atomic(OUT[kind]) as out,
        tqdm(total=total, desc="methods × benchmarks", disable=None) as bar,
    ):
        out.mkdir()

        def one(slug: str) -> None:
            bench = Benchmark(slug, own.salt)
            scores = evaluate(bench, methods, kept, bar)
            write_json(out / f"{slug}.json", assess.content(bench, scores, own))

        # A thread a core, each computing on its own: the products are too small for several.
        torch.set_num_threads(1)
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(one, benchmarks))


if __name__ == "__main__":
    run(main)
