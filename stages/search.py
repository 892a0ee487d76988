"""Run the search methods that params.yaml switches: python -m stages.search untrained|trained.

Reads features/training/, writes models/search/untrained/<method>/ or models/search/trained/<method>/ for each in the
list search.methods that trains nothing, or does. A method whose features, settings and code stay is not run again
(data/kept/).
"""

import argparse
from functools import cache, partial
from pathlib import Path

from hyma.common import settings
from hyma.common.experiment import names
from hyma.common.files import remove, write_json
from hyma.common.kept import Kept
from hyma.common.params import Section
from hyma.common.sources import code
from hyma.methods import known, trains
from hyma.methods import load as load_method
from hyma.methods.shared.run import run_method
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import save
from hyma.stitching.training_set import TrainingFeatures
from stages._features import inputs, sizes, training_features
from stages._run import run

OUT = Path("models/search")


@cache
def features() -> TrainingFeatures:
    """Those of all encoders, loaded once and only if a method has to run."""
    return training_features()


@cache
def own(name: str) -> Section:
    """A method's section."""
    found: Section = settings.read(f"search.{name}", load_method(name).Params, sizes())
    return found


def main() -> None:
    """Search with every method of the kind on all pairs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("untrained", "trained"))
    kind = parser.parse_args().kind
    chosen = [name for name in names("methods") if name in known() and trains(name) == (kind == "trained")]
    shared = inputs(names("image_encoders"), names("text_encoders"))
    connector, seed = settings.read("connector", ConnectorParams), settings.read("seed", int)

    def search(name: str, folder: Path) -> None:
        found = run_method(name, features(), own(name), connector, seed)
        found.notes |= settings.by_rule(f"search.{name}", own(name))
        save(found, folder)

    with Kept("search" if kind == "trained" else kind) as kept:
        found = {}
        for name in chosen:
            depends_on = (*shared, own(name).model_dump_json(), code(f"hyma.methods.{name}"))
            found[name] = kept.result(name, depends_on, partial(search, name))
        remove(OUT / kind)
        write_json(OUT / kind / "methods.json", chosen)  # DVC warns of a folder without a file
        for name, folder in found.items():
            kept.place_all(folder, OUT / kind / name)


if __name__ == "__main__":
    run(main)
