"""Whether the oracle was trained to the end: its loss on held-out data, epoch by epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hyma.wording.markdown import decimal, sentence, table

Json = dict[str, Any]
STILL = 0.01
"""A mean loss that falls by less than this share in an epoch has stopped falling."""


def held_out(grid: Mapping[str, Json]) -> list[float]:
    """Held-out loss after each epoch, the mean over the pairs."""
    return [
        float(mean) for mean in np.mean([record["history"]["held_out_loss"] for record in grid.values()], 0)
    ]


def stopped(loss: list[float]) -> bool | None:
    """Whether a loss has stopped falling; None where a single epoch cannot tell."""
    if len(loss) < 2:
        return None
    return loss[-1] > min(loss) or loss[-1] > (1 - STILL) * loss[-2]


def convergence(grid: Mapping[str, Json], oracle: str) -> str:
    """What the held-out losses say, as a sentence and a table.

    Args:
        grid: pair → the oracle's record.
        oracle: the oracle's name for people.
    """
    loss = held_out(grid)
    epochs = [str(epoch) for epoch in range(1, len(loss) + 1)]
    return (
        f"{sentence(oracle)}'s loss on held-out data, the mean over its pairs, {_verdict(loss, oracle)}\n\n"
        + table(["after epoch", *epochs], [["mean held-out loss", *map(decimal, loss)]])
    )


def _verdict(loss: list[float], oracle: str) -> str:
    done = stopped(loss)
    if done is None:
        return "was taken once, after its only epoch: whether it has stopped falling cannot be told."
    lowest, change = int(np.argmin(loss)) + 1, loss[-1] / loss[-2] - 1
    last = f"is lowest after epoch {lowest} of {len(loss)} and changed by {100 * change:+.1f}% in the last one: it "
    if done:
        return (
            f"{last}has stopped falling, and {oracle} counts as trained to convergence. (Its learning rate ends at "
            "zero: a longer schedule might still find a little more.)"
        )
    return f"{last}is still falling, and {oracle} is not trained to convergence; raise its epochs."


def unruly(gradients: Mapping[str, Json], method: str) -> str:
    """How each encoder's gradient behaved while the hypernetwork trained, the most variable first.

    Args:
        gradients: encoder → ``mean``, ``variance``, ``peak``.
        method: the hypernetwork's name for people.
    """
    if not gradients:
        return ""
    ranked = sorted(gradients.items(), key=lambda entry: -entry[1]["variance"])
    rows = [
        [slug, f"{own['mean']:.2g}", decimal(own["variance"]), f"{own['peak']:.1f}"] for slug, own in ranked
    ]
    return (
        f"Gradients of {method} at each encoder's own parameters, after the warm-up: an encoder whose variance or peak "
        "stands far out from the others' is unruly, and may cost itself and them some score; `connector.normalise: "
        "l2_standardise` is the first thing to try, `hyma.balance: true` the second.\n\n"
        + table(
            ["encoder", "mean length", "variance ÷ mean²", "largest ÷ median"],
            rows,
        )
    )
