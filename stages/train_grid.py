"""Train every pair's connector on its own (grid search): python -m stages.train_grid.

Reads features/training/, writes models/grid/<image>-<text>.safetensors and .json. A pair whose features and settings
stay is not trained again (data/kept/). Without a GPU, pairs are trained side by side.
"""

import argparse
from pathlib import Path

from hyma.common import device, params
from hyma.common.experiment import names
from hyma.common.files import remove
from hyma.common.kept import Kept
from hyma.common.names import PairName
from hyma.common.parallel import side_by_side
from hyma.common.run import run
from hyma.common.sources import code
from hyma.stitching import records
from hyma.stitching.grid import searching
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import save
from stages._features import inputs, training_features


def main() -> None:
    """Grid search on all pairs."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)
    own, place_of_work = params.read("grid", GridParams), device.resolve(params.read("device", str))
    shared = (own.model_dump_json(), code("hyma.stitching.grid"))
    pairs = [(image, text) for image in names("image_encoders") for text in names("text_encoders")]
    depends_on = {pair: (*inputs([pair[0]], [pair[1]]), *shared) for pair in pairs}

    with Kept("grid") as kept:
        new = [pair for pair in pairs if not kept.has("-".join(pair), depends_on[pair])]
        if new:
            images, texts = (list(dict.fromkeys(side)) for side in zip(*new, strict=True))
            search = searching(training_features(images, texts), own, connector, seed, new)

        def one(pair: PairName) -> Path:
            name = "-".join(pair)
            return kept.result(name, depends_on[pair], lambda folder: save(search(pair), folder, name))

        found = side_by_side(one, pairs, place_of_work)
        remove(records.folder("grid"))
        for folder in found:
            for file in folder.iterdir():
                kept.place(file, records.folder("grid") / file.name)


if __name__ == "__main__":
    run(main)
