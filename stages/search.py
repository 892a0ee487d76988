"""Run the search methods that params.yaml switches: python -m stages.search.

Reads features/training/, writes models/search/methods/<method>/ for each in the list search.methods. A
method whose features, settings and code stay is not run again (data/kept/).
"""

import argparse
from functools import cache, partial
from pathlib import Path

from hyma.common import params
from hyma.common.experiment import names
from hyma.common.files import remove
from hyma.common.kept import Kept
from hyma.common.run import run
from hyma.common.sources import code
from hyma.methods import known
from hyma.methods import load as load_method
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import save
from hyma.stitching.training_set import TrainingFeatures
from stages._features import inputs, training_features

OUT = Path("models/search/methods")


@cache
def features() -> TrainingFeatures:
    """Those of all encoders, loaded once and only if a method has to run."""
    return training_features()


def main() -> None:
    """Search with every method on all pairs."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    chosen = [name for name in names("methods") if name in known()]
    shared = inputs(names("image_encoders"), names("text_encoders"))
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)

    def search(name: str, folder: Path) -> None:
        method = load_method(name)
        save(method.search(features(), params.read(f"search.{name}", method.Params), connector, seed), folder)

    with Kept("search") as kept:
        found = {}
        for name in chosen:
            settings = params.read(f"search.{name}", load_method(name).Params).model_dump_json()
            depends_on = (*shared, settings, code(f"hyma.methods.{name}"))
            found[name] = kept.result(name, depends_on, partial(search, name))
        remove(OUT)
        OUT.mkdir(parents=True)  # there may be no method
        for name, folder in found.items():
            for file in folder.iterdir():
                kept.place(file, OUT / name / file.name)


if __name__ == "__main__":
    run(main)
