"""Draw the embedded world: python -m stages.world <name>. Writes data/raw/."""

import argparse
from pathlib import Path

from hyma.common import params
from hyma.embedded.world.params import WorldParams
from hyma.embedded.world.write import build
from stages._run import run


def main() -> None:
    """Draw all sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="key under world in params.yaml")
    name = parser.parse_args().name
    build(Path("data/raw"), params.read(f"world.{name}", WorldParams))


if __name__ == "__main__":
    run(main)
