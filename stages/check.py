"""Check the whole of params.yaml before anything runs: python -m stages.check [--explain].

Writes metrics/settings.yaml, every setting with its default filled in; metrics/names/: the names of encoders, data
sets and methods, a file a section, on which stages depend that need no more of it; and checked.txt, which never
changes, for the first stages to depend on: a mistake anywhere in params.yaml stops `dvc repro` within seconds, and a
change elsewhere re-runs nothing else.
"""

import argparse
from importlib import import_module
from pathlib import Path

from hyma.common import experiment as named
from hyma.common import params, settings
from hyma.common.files import write_text
from hyma.plan import experiment
from hyma.stitching import records
from stages._run import run


def main() -> None:
    """Validate params.yaml; write down its settings and names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--explain", action="store_true", help="print every setting, and where its value is from"
    )
    explain = parser.parse_args().explain
    found, given = experiment.read(), params.load()
    settings.write(experiment.settings(given))
    sections = {name: list(getattr(found, name)) for name in named.SECTIONS if name != "methods"}
    methods = records.known(
        found.search.methods, list(found.search.recorded), found.oracle != "none", found.refine is not None
    )
    named.write(sections | {"methods": methods})
    write_text(Path("metrics/names/checked.txt"), "params.yaml is valid\n")
    if explain:  # loaded by name: it looks at much that the stage does not depend on
        print(import_module("hyma.plan.explained").page(given))


if __name__ == "__main__":
    run(main)
