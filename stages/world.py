"""Draw the embedded world: python -m stages.world. Writes data/raw/."""

from pathlib import Path

from hyma import params
from hyma.world.params import WorldParams
from hyma.world.write import build
from stages._run import run


def main() -> None:
    """Draw all sets."""
    build(Path("data/raw"), params.read("world", WorldParams))


if __name__ == "__main__":
    run(main)
