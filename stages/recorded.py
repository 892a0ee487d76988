"""Take a recorded ranking as a search method: python -m stages.recorded <name>. Writes models/search/<name>/."""

import argparse
from pathlib import Path

from hyma import params
from hyma.search.recorded import search
from hyma.search.result import save
from hyma.search.switch import RecordedParams
from stages._run import run


def main() -> None:
    """Read the answer and check it against the pairs of this experiment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="key under search.recorded in params.yaml")
    name = parser.parse_args().name
    pairs = [f"{i}-{t}" for i in params.names("image_encoders") for t in params.names("text_encoders")]
    own = params.read(f"search.recorded.{name}", RecordedParams)
    save(search(own.file, pairs), Path("models/search") / name)


if __name__ == "__main__":
    run(main)
