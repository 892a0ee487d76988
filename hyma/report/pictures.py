"""All pictures of both pages."""

from pathlib import Path

from hyma.common.names import MAIN
from hyma.report import figures, trade_off
from hyma.report.inputs import Inputs, label, of_two


def draw(folder: Path, inputs: Inputs) -> None:
    """Draw them into `folder`; where the encoders were not probed, the one of their strength is left out."""
    ranking = of_two(inputs).ranking
    figures.scatter(folder / "scatter.png", ranking, MAIN)
    figures.heatmap(folder / "pairs.png", ranking)
    figures.cost_quality(folder / "cost.png", ranking)
    if ranking["unimodal"] is not None:
        figures.unimodal(folder / "unimodal.png", ranking)
    labels = label(ranking, MAIN), label(ranking, ranking["oracle"])
    figures.training(folder / "training.png", inputs.steps, inputs.grid, labels)
    trade_off.methods(folder / "methods.png", inputs.ranking)
