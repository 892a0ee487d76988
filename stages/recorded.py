"""Take a recorded ranking as a search method: python -m stages.recorded <name>.

Writes models/search/recorded/<name>/.
"""

import argparse
from pathlib import Path

from hyma.common import params
from hyma.common.experiment import names
from hyma.common.names import paired
from hyma.common.timing import Stopwatch
from hyma.search.params import RecordedParams
from hyma.search.recorded import search
from hyma.stitching.result import save, timed
from stages._run import run


def main() -> None:
    """Read the answer and check it against the pairs of this experiment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="key under search.recorded in params.yaml")
    name = parser.parse_args().name
    pairs = paired(names("image_encoders"), names("text_encoders"))
    own = params.read(f"search.recorded.{name}", RecordedParams)
    with Stopwatch().running() as spent:
        found = search(own.file, pairs)
    save(timed(found, spent, threads=0), Path("models/search/recorded") / name)


if __name__ == "__main__":
    run(main)
