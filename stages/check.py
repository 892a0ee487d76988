"""Check the whole of params.yaml before anything runs: python -m stages.check.

Writes metrics/names/: the names of encoders, data sets and methods, a file a section, on which stages depend that
need no more of it; and checked.txt, which never changes, for the first stages to depend on: a mistake anywhere in
params.yaml stops `dvc repro` within seconds, and a change elsewhere re-runs nothing else.
"""

from pathlib import Path

from hyma.common import experiment as named
from hyma.common import params
from hyma.common.files import write_text
from hyma.common.run import run
from hyma.methods import load
from hyma.plan.experiment import Experiment
from hyma.stitching import records


def main() -> None:
    """Validate params.yaml; write down its names."""
    experiment = params.validate(params.load(), Experiment)
    search = experiment.search
    for name, content in (search.model_extra or {}).items():
        params.validate(content, load(name).Params, key=f"search.{name}")
    sections = {name: list(getattr(experiment, name)) for name in named.SECTIONS if name != "methods"}
    named.write(sections | {"methods": records.known(search.methods, list(search.recorded))})
    write_text(Path("metrics/names/checked.txt"), "params.yaml is valid\n")


if __name__ == "__main__":
    run(main)
