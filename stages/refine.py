"""Train HYMA's best pairs further: python -m stages.refine. Reads models/hyma/, writes models/refine/.

Where section ``refine`` is left out, nothing is trained.
"""

from pathlib import Path

from hyma.common import sealed, settings
from hyma.common.files import remove, write_json
from hyma.search.params import RefineParams
from hyma.search.refine import search
from hyma.stitching.connectors import load as load_connectors
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import save
from stages._features import sizes, training_features
from stages._run import run

OUT = Path("models/refine")


def main() -> None:
    """Refine from where HYMA ended, if that is asked for."""
    own = settings.read("refine", RefineParams | None, sizes())  # type: ignore[arg-type]
    if own is None:
        remove(OUT)
        write_json(OUT / "off.json", {"refine": None})  # DVC warns of empty folders
        return
    connector, seed = settings.read("connector", ConnectorParams), settings.read("seed", int)
    features = training_features()
    before = Path("models/hyma")
    found = search(
        features,
        own,
        connector,
        seed,
        sealed.read(before / "result.json"),
        load_connectors(before / "result.safetensors"),
    )
    save(found, OUT)


if __name__ == "__main__":
    run(main)
