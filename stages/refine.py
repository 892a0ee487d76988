"""Train HYMA's best pairs further: python -m stages.refine. Reads models/hyma/, writes models/refine/."""

from pathlib import Path

from hyma import params
from hyma.connectors import load as load_connectors
from hyma.files import read_json
from hyma.search.params import ConnectorParams, RefineParams
from hyma.search.refine import search
from hyma.search.result import save
from stages._features import training_features
from stages._run import run


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
