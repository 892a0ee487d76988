"""The page on unruly encoders: what the others lose beside one, and how its gradient gives it away."""

from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from hyma.report import markdown
from hyma.report.figures import COLOURS, figure
from hyma.wording.markdown import decimal, table, times

Json = dict[str, Any]
TOLERABLE = 0.01
"""Share of the others' mean score that may be lost."""
NAMES = {"factorised": "Factorised decoder", "dense": "Dense decoder (the paper's)"}


def page(found: Json) -> str:
    """reports/stability.md."""
    return markdown.page(
        "stability",
        found,
        NAMES=NAMES,
        TOLERABLE=TOLERABLE,
        judged={decoder: judge(found, decoder) for decoder in NAMES},
        in_words=_in_words,
        case=case,
        gradients=_gradients(found),
    )


def lost(found: Json, decoder: str, remedy: str) -> float | None:
    """Share of the others' mean score that is lost beside the wild encoder; None if a run failed."""
    tame, wild = (case(found, decoder, remedy, is_wild) for is_wild in (False, True))
    if "failed" in tame or "failed" in wild:
        return None
    return float(1 - wild["others"] / tame["others"])


def case(found: Json, decoder: str, remedy: str, wild: bool) -> Json:
    """One of the study's runs."""
    key = decoder, remedy, wild
    return next(own for own in found["cases"] if (own["decoder"], own["remedy"], own["wild"]) == key)


def judge(found: Json, decoder: str) -> tuple[dict[str, float | None], list[str], str | None]:
    """What the others lose by remedy, the remedies that keep them whole, and which of these gives the best pairs."""
    losses = {remedy: lost(found, decoder, remedy) for remedy in found["remedies"]}
    enough = [remedy for remedy, share in losses.items() if share is not None and share <= TOLERABLE]
    best = max(enough, key=lambda remedy: case(found, decoder, remedy, True)["others"], default=None)
    return losses, enough, best


def _in_words(share: float) -> str:
    return f"{'gain' if share < 0 else 'lose'} {100 * abs(share):.1f}%"


def _gradients(found: Json) -> str:
    slug = found["encoder"]
    rows = []
    for decoder, title in NAMES.items():
        for remedy in found["remedies"]:
            for own in (case(found, decoder, remedy, is_wild) for is_wild in (False, True)):
                if "failed" in own or slug not in own["gradients"]:
                    continue
                others = [numbers for name, numbers in own["gradients"].items() if name != slug]
                cells = [
                    f"{show(own['gradients'][slug][key])} / {show(median(entry[key] for entry in others))}"
                    for key, show in (("mean", lambda x: f"{x:.2g}"), ("variance", decimal), ("peak", times))
                    if others
                ]
                rows.append([title, remedy, "wild" if own["wild"] else "tame", *cells])
    header = ["decoder", "remedy", f"`{slug}`", "mean: its own / others' median", "variance", "peak"]
    return table(header, rows, left=3)


def draw(path: Path, found: Json) -> None:
    """What the others lose, a bar a remedy and decoder."""
    remedies = list(reversed(found["remedies"]))

    def bars(canvas: Figure) -> None:
        axes = canvas.subplots()
        for row, (decoder, title) in enumerate(NAMES.items()):
            losses = [lost(found, decoder, remedy) for remedy in remedies]
            places = [place + 0.19 - 0.38 * row for place in range(len(remedies))]
            widths = [100 * (share or 0.0) for share in losses]
            axes.barh(places, widths, 0.36, color=COLOURS[row], label=title)
            for place, width, share in zip(places, widths, losses, strict=True):
                text = "training failed" if share is None else f"{width:.1f}%"
                axes.annotate(
                    text,
                    (max(width, 0), place),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=9,
                )
        axes.axvline(100 * TOLERABLE, color="0.4", ls="--", lw=1, label=f"{100 * TOLERABLE:.0f}%")
        axes.set_yticks(range(len(remedies)), remedies)
        axes.margins(x=0.15)
        axes.set(xlabel="mean score that the other encoders' pairs lose (% of it; below 0: gain)")
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.14), ncols=3)

    figure(path, 8.5, 1.2 + 0.7 * len(remedies), bars)
