"""Two pairs side by side: a table for the terminal, and a page of one file with the pictures."""

from hyma.report.compare_pairs import Comparison, Counts
from hyma.report.gallery import RIGHT
from hyma.report.html import Cell, Column, render
from hyma.report.page import picture
from hyma.wording.markdown import pair as named
from hyma.wording.markdown import points
from hyma.wording.plain import table

CHANCE = (
    "By chance: how often two equally good pairs would differ so much in the items that only one gets right."
)
COLUMNS = [
    Column("benchmark", number=False),
    *(Column(name) for name in ("items", "both", "only first", "only second", "neither")),
    *(Column(name) for name in ("score first", "score second", "by chance")),
]


def text(found: Comparison) -> str:
    """The comparison for people at a terminal."""
    head = f"{named(found.first)} (first) and {named(found.second)} (second), connectors of {found.label}"
    texts = [[cell.text for cell in row] for row in rows(found)]
    return "\n\n".join([head, table([column.name for column in COLUMNS], texts), note(found)])


def html(found: Comparison) -> str:
    """The page, with items that only one of the two gets right."""
    return render(
        "two_pairs.html.j2",
        title=f"{named(found.first)} or {named(found.second)}",
        first=named(found.first),
        second=named(found.second),
        label=found.label,
        note=note(found),
        columns=COLUMNS,
        rows=rows(found),
        cards=[
            (name, example, picture(own.data, example.first))
            for name, own in found.benchmarks.items()
            for example in own.examples
        ],
        names=list(found.benchmarks),
    )


def note(found: Comparison) -> str:
    """How to read the table."""
    tasks = dict.fromkeys(own.data.meta.task for own in found.benchmarks.values())
    right = "; ".join(f"{task}: {RIGHT[task]}" for task in tasks)
    return f"Right, {right}. {CHANCE}"


def rows(found: Comparison) -> list[list[Cell]]:
    """A row a benchmark: items right by both, by one, by none, and the scores in points."""
    return [_row(name, own.counts) for name, own in found.benchmarks.items()]


def _row(name: str, counts: Counts) -> list[Cell]:
    numbers = (counts.both, counts.only_first, counts.only_second, counts.neither)
    return [
        Cell(name),
        Cell(f"{counts.items} {counts.unit}", counts.items),
        *(Cell(str(number), number) for number in numbers),
        *(Cell(points(score), score) for score in (counts.score_first, counts.score_second)),
        Cell(_chance(counts.chance), counts.chance),
    ]


def _chance(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
