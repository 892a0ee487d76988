"""Run every method with each of several seeds and judge it on resampled benchmarks: python -m stages.study_seeds.

Reads features/ and data/prepared/benchmarks/, writes metrics/studies/seeds/<seed>.json. A seed whose inputs and
settings stay is not run again (data/kept/).
"""

import argparse
from functools import cache
from pathlib import Path

from hyma.common import features, settings
from hyma.common.experiment import names
from hyma.common.files import atomic, read_json, write_json
from hyma.common.kept import Kept, content
from hyma.common.params import Section
from hyma.common.sources import code
from hyma.methods.shared.run import OWN, model, run_method
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import SearchResult
from hyma.stitching.training_set import TrainingFeatures
from hyma.studies.judge import Judge
from hyma.studies.seeds import one_seed
from stages._features import SIDES, inputs, sizes, training_features
from stages._run import run
from stages._study import judge, require_oracle

OUT = Path("metrics/studies/seeds")


@cache
def measured() -> tuple[TrainingFeatures, Judge]:
    """What all seeds share, loaded if one has to run."""
    return training_features(), judge()


def study(seed: int, sections: dict[str, Section], resamples: int, seeds: list[int]) -> dict[str, object]:
    """Search with all methods and judge them; each seed is also the salt of the benchmarks' halves."""
    (data, bench), found = measured(), dict[str, SearchResult]()
    connector = settings.read("connector", ConnectorParams)
    for name, section in sections.items():
        found[name] = run_method(name, data, section, connector, seed, found.get("hyma"))
    pairs = ["-".join(pair) for pair in data.pairs]
    return one_seed(found, bench, "grid", pairs, resamples, seed, seeds)


def main() -> None:
    """Study every seed; write."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    require_oracle()
    methods = [name for name in OWN if name in names("methods")]
    methods += settings.read("search.methods", list[str])
    sections = {name: settings.read(_key(name), model(name), sizes()) for name in methods}
    resamples, seeds = settings.read("studies.resamples", int), settings.read("studies.seeds", list[int])
    files = [
        features.file_of("benchmarks", side, slug, name)
        for name in names("benchmarks")
        for side, section in SIDES
        for slug in names(section)
    ]
    depends_on = (
        *inputs(names("image_encoders"), names("text_encoders")),
        *map(content, files),
        *(section.model_dump_json() for section in sections.values()),
        code("hyma.studies.seeds", *(f"hyma.methods.{name}" for name in methods if "." in _key(name))),
        str(resamples),
        str(seeds),
    )
    with Kept("seeds", places=False) as kept, atomic(OUT) as out:
        for seed in seeds:

            def make(folder: Path, seed: int = seed) -> None:
                write_json(folder / "found.json", study(seed, sections, resamples, seeds))

            made = kept.result(str(seed), (*depends_on, str(seed)), make)
            write_json(out / f"{seed}.json", read_json(made / "found.json"))


def _key(name: str) -> str:
    return name if name in OWN else f"search.{name}"


if __name__ == "__main__":
    run(main)
