"""Train the connector of one pair on its own: python -m stages.train_grid <image slug> <text slug>.

Reads features/training/<slug>/ of both, writes models/grid/<image>-<text>.safetensors and .json.
"""

import argparse
from pathlib import Path

from hyma.common import params
from hyma.common.run import run
from hyma.stitching.grid import search
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.result import save
from stages._features import training_features


def main() -> None:
    """Grid search on one pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", help="key under image_encoders in params.yaml")
    parser.add_argument("text", help="key under text_encoders in params.yaml")
    args = parser.parse_args()
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)
    features = training_features([args.image], [args.text])
    result = search(features, params.read("grid", GridParams), connector, seed)
    save(result, Path("models/grid"), f"{args.image}-{args.text}")


if __name__ == "__main__":
    run(main)
