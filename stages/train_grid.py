"""Train the connectors of one image encoder's pairs, each on its own: python -m stages.train_grid <image slug>.

Reads features/training/, writes models/grid/<image>/<image>-<text>.safetensors and .json. A pair whose features
and settings stay is not trained again (data/kept/).
"""

import argparse
from functools import cache, partial
from pathlib import Path

from hyma.common import params
from hyma.common.experiment import names
from hyma.common.files import atomic
from hyma.common.kept import Kept, place
from hyma.common.run import run
from hyma.common.sources import code
from hyma.stitching import records
from hyma.stitching.grid import search
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import save
from hyma.stitching.training_set import TrainingFeatures
from stages._features import inputs, training_features


def main() -> None:
    """Grid search on the pairs of one image encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", help="key under image_encoders in params.yaml")
    image, texts = parser.parse_args().image, names("text_encoders")
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)
    own = params.read("grid", GridParams)

    @cache
    def features() -> TrainingFeatures:
        return training_features([image], texts)

    def train(text: str, folder: Path) -> None:
        save(search(features(), own, connector, seed, [(image, text)]), folder, f"{image}-{text}")

    with Kept(f"grid-{image}") as kept, atomic(records.folder("grid") / image) as out:
        out.mkdir()
        for text in texts:
            depends_on = (*inputs([image], [text]), own.model_dump_json(), code("hyma.stitching.grid"))
            made = kept.result(f"{image}-{text}", depends_on, partial(train, text))
            for file in made.iterdir():
                place(file, out / file.name)


if __name__ == "__main__":
    run(main)
