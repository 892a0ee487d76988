"""Check the whole of params.yaml before anything runs: python -m stages.check.

Writes a file that never changes, on which the first stages depend: a mistake anywhere in params.yaml stops
`dvc repro` within seconds, and a change elsewhere re-runs nothing else.
"""

from pathlib import Path

from hyma.common import params
from hyma.common.files import write_text
from hyma.common.run import run
from hyma.methods import load
from hyma.plan.experiment import Experiment


def main() -> None:
    """Validate params.yaml."""
    experiment = params.validate(params.load(), Experiment)
    for name, content in (experiment.search.model_extra or {}).items():
        params.validate(content, load(name).Params, key=f"search.{name}")
    write_text(Path("data/params.checked"), "params.yaml is valid\n")


if __name__ == "__main__":
    run(main)
