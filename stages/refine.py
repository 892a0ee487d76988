"""Train HYMA's best pairs further: python -m stages.refine. Reads models/hyma/, writes models/refine/."""

from pathlib import Path

from hyma.common import params
from hyma.common.files import read_json
from hyma.common.run import run
from hyma.search.params import RefineParams
from hyma.search.refine import search
from hyma.stitching.connectors import load as load_connectors
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import save
from stages._features import training_features


def main() -> None:
    """Refine from where HYMA ended."""
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)
    features = training_features()
    before = Path("models/hyma")
    found = search(
        features,
        params.read("refine", RefineParams),
        connector,
        seed,
        read_json(before / "result.json"),
        load_connectors(before / "result.safetensors"),
    )
    save(found, Path("models/refine"))


if __name__ == "__main__":
    run(main)
