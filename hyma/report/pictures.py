"""All pictures of both pages."""

from pathlib import Path

from hyma.common.names import MAIN, ORACLE
from hyma.report import figures, similarity_picture, trade_off
from hyma.report.inputs import Inputs, label, of_two


def draw(folder: Path, inputs: Inputs) -> None:
    """Draw them into `folder`; what there are no measurements for is left out."""
    ranking = of_two(inputs).ranking
    folder.mkdir(parents=True, exist_ok=True)
    if ORACLE in ranking["scores"]:
        figures.scatter(folder / "scatter.png", ranking, MAIN)
    figures.heatmap(folder / "pairs.png", ranking)
    if ranking["unimodal"] is not None:
        figures.unimodal(folder / "unimodal.png", ranking)
    labels = label(ranking, MAIN), label(ranking, ORACLE) if ORACLE in ranking["methods"] else ""
    figures.training(folder / "training.png", inputs.steps, inputs.grid, labels)
    if ranking["oracle"]:
        figures.cost_quality(folder / "cost.png", ranking)
        trade_off.methods(folder / "methods.png", inputs.ranking)
    similarity_picture.draw(folder / "cka.png", inputs.ranking)
