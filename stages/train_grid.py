"""Train the connectors of the pairs in metrics/finals.json on their own (grid search): python -m stages.train_grid.

Reads features/training/, writes models/grid/<image>-<text>.safetensors and .json, and whole.json: what the whole grid
costs, counted. A pair whose features and settings stay is not trained again (data/kept/). Without a GPU, pairs are
trained side by side.
"""

import argparse
from pathlib import Path

from hyma.common import device, settings
from hyma.common.files import read_json, remove, write_json
from hyma.common.kept import Kept
from hyma.common.names import PairName
from hyma.common.parallel import side_by_side
from hyma.common.sources import code
from hyma.stitching import records
from hyma.stitching.grid import cost, searching
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import save
from stages._features import inputs, sizes, training_features
from stages._run import run


def main() -> None:
    """Grid search on these pairs."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    connector, seed = settings.read("connector", ConnectorParams), settings.read("seed", int)
    own, place_of_work = (
        settings.read("grid", GridParams, sizes()),
        device.resolve(settings.read("device", str)),
    )
    shared = (own.model_dump_json(), code("hyma.stitching.grid"))
    wanted = read_json(Path("metrics/finals.json"))["pairs"]
    pairs = [pair for pair in sizes().pairs if "-".join(pair) in wanted]
    depends_on = {pair: (*inputs([pair[0]], [pair[1]]), *shared) for pair in pairs}

    with Kept("grid") as kept:
        new = [pair for pair in pairs if not kept.has("-".join(pair), depends_on[pair])]
        if new:
            images, texts = (list(dict.fromkeys(side)) for side in zip(*new, strict=True))
            search = searching(training_features(images, texts), own, connector, seed, new)

        def one(pair: PairName) -> Path:
            name = "-".join(pair)

            def make(folder: Path) -> None:
                found = search(pair)
                found.notes |= settings.by_rule("grid", own)
                save(found, folder, name)

            return kept.result(name, depends_on[pair], make)

        found = side_by_side(one, pairs, place_of_work)
        remove(records.folder("grid"))
        write_json(records.WHOLE, {"pairs": len(sizes().pairs), "flops": cost(sizes(), own)})
        for folder in found:
            kept.place_all(folder, records.folder("grid"))


if __name__ == "__main__":
    run(main)
