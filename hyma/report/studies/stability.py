"""The page on unruly encoders: what the others lose beside one, and how its gradient gives it away."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from hyma.report.figures import COLOURS, figure
from hyma.wording.markdown import decimal, points, table, times

Json = dict[str, Any]
TOLERABLE = 0.01
"""Share of the others' mean score that may be lost."""
NAMES = {"factorised": "Factorised decoder", "dense": "Dense decoder (the paper's)"}


def page(found: Json) -> str:
    """reports/stability.md."""
    slug = found["encoder"]
    parts = [
        "# One unruly encoder among tame ones",
        "Some encoders have features of wild scales: a few dimensions a thousand times larger than the rest, others "
        "orders of magnitude apart, lengths that change from picture to picture. MaxViT is one, and the paper left it "
        f"out for instability. Here the features of `{slug}` are given all three, and HYMA is trained on all pairs "
        "twice: with it as it is, and with it wild. What counts is what the pairs of the *other* image encoders lose.",
        verdict(found),
        "![What the other encoders lose, by remedy](studies/stability.png)",
    ]
    for decoder, title in NAMES.items():
        parts += [f"## {title}", _losses(found, decoder)]
    parts += ["## How it shows in the gradient", _explained(), _gradients(found)]
    return "\n\n".join(part for part in parts if part) + "\n"


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


def verdict(found: Json) -> str:
    """For each decoder, which remedies keep the others whole, and which of these gives the best pairs."""
    sentences = []
    for decoder, title in NAMES.items():
        losses = {remedy: lost(found, decoder, remedy) for remedy in found["remedies"]}
        enough = [remedy for remedy, share in losses.items() if share is not None and share <= TOLERABLE]
        if not enough:
            sentences.append(
                f"**{title}:** under every remedy the others lose more than {points(TOLERABLE)}%."
            )
            continue
        best = max(enough, key=lambda remedy: case(found, decoder, remedy, True)["others"])
        sentences.append(
            f'**{title}:** the best pairs come with "{best}": beside the wild encoder the others '
            f"{_in_words(losses[best])}. {len(enough)} of {len(losses)} settings keep the loss within "
            f"{points(TOLERABLE)}%{_untreated(losses)}."
        )
    return "\n\n".join(sentences)


def _untreated(losses: Mapping[str, float | None]) -> str:
    first = next(iter(losses.values()))
    return "" if first is None else f"; without a remedy the others {_in_words(first)}"


def _in_words(share: float | None) -> str:
    return (
        "train with an error" if share is None else f"{'gain' if share < 0 else 'lose'} {_signed(abs(share))}"
    )


def _signed(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"


def _losses(found: Json, decoder: str) -> str:
    rows = []
    for remedy in found["remedies"]:
        tame, wild = (case(found, decoder, remedy, is_wild) for is_wild in (False, True))
        numbers = [own.get(key) for key in ("others", "own") for own in (tame, wild)]
        rows.append(
            [
                remedy,
                *map(points, numbers[:2]),
                _signed(lost(found, decoder, remedy)),
                *map(points, numbers[2:]),
            ]
        )
    header = [
        "remedy",
        "others, all tame",
        "others, beside the wild one",
        "lost",
        "its own pairs, tame",
        "its own, wild",
    ]
    return table(header, rows)


def _explained() -> str:
    return (
        "The length of the loss's gradient at each image encoder's own parameters, over the steps after the warm-up: "
        "its mean, its variance in units of the squared mean, and its largest value in units of the median. All pairs "
        "of a step share one optimizer and one limit on the gradient's length, so an encoder whose gradient is long or "
        "jumpy can take from the others. Standardising takes the common direction and the scales of dimensions out "
        "before training, but lengths that differ from row to row rule its statistics, unless rows are brought to unit "
        "length first. The factorised decoder whitens every encoder besides, and keeps parameters of its own for each."
    )


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
