"""Run one of the search methods that params.yaml switches: python -m stages.search <method>.

Reads features/training/, writes models/search/<method>/.
"""

import argparse
from pathlib import Path

from hyma.common import params
from hyma.common.run import run
from hyma.methods import known
from hyma.methods import load as load_method
from hyma.stitching.params import ConnectorParams
from hyma.stitching.result import save
from stages._features import training_features


def main() -> None:
    """Search with one method on all pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=known(), help="a name under search.methods in params.yaml")
    name = parser.parse_args().method
    method = load_method(name)
    connector, seed = params.read("connector", ConnectorParams), params.read("seed", int)
    features = training_features()
    own = params.read(f"search.{name}", method.Params)
    save(method.search(features, own, connector, seed), Path("models/search") / name)


if __name__ == "__main__":
    run(main)
