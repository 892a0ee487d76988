"""The params.yaml that `hyma init` writes: what the user brings, and nothing that has a default."""

from collections.abc import Mapping
from typing import Any

from hyma.common import plain_yaml
from hyma.encoders.base.params import EncoderParams
from hyma.plan.choose import Entry, Sets
from hyma.plan.short_lists import Encoders

HEAD = """# Written by: {command}
# `hyma plan` says what will run and how long it takes, `dvc repro` runs it. What is not said here has a default.
"""
FOOT = """
oracle: audit         # full | audit | none: every pair is trained as the yardstick, a few, or none

# What people change first; docs/own.md has the rest.
# finals: {top: 3}                   # how many of the best pairs are trained in full
# connector: {kind: linear}          # linear | mlp1 | mlp2: what is trained for a pair
# extract: {batch: 64, workers: 2}   # if memory is short
# evaluate: {protocol: paper}        # standard | paper: how benchmarks are scored
# rank: {by: held_out}               # choose | held_out: what picks the pair, half of each benchmark or captions
# seed: 1
"""


def text(command: str, sets: Sets, encoders: Encoders) -> str:
    """The whole file, with comments; `command` is the line that made it."""
    parts = [
        HEAD.format(command=command),
        "\ntraining:             # the one data set that connectors are trained on\n",
        *_data([sets.training]),
        "\nbenchmarks:           # what pairs are ranked by; nothing in them may be in the training set\n",
        *_data(sets.benchmarks),
        "\nimage_encoders:       # a line an encoder: add one, and only its pairs are trained\n",
        *_encoders(encoders.image),
        "\ntext_encoders:\n",
        *_encoders(encoders.text),
        FOOT,
    ]
    return "".join(parts)


def _data(entries: list[Entry]) -> list[str]:
    lines = [_line(own.slug, own.source.model_dump(exclude_defaults=True)) for own in entries]
    width = max(map(len, lines), default=0)
    return [f"{line.ljust(width)}   # {own.note}\n" for line, own in zip(lines, entries, strict=True)]


def _encoders(entries: Mapping[str, EncoderParams]) -> list[str]:
    return [f"{_line(slug, entry(own))}\n" for slug, own in entries.items()]


def entry(own: EncoderParams) -> dict[str, Any]:
    """An encoder as it stands in params.yaml; `weights` always, since DVC watches what it names."""
    return {"source": own.source, "name": own.name, "weights": own.weights} | own.model_dump(
        exclude_defaults=True
    )


def _line(slug: str, value: dict[str, Any]) -> str:
    """An entry on one line, quoted where YAML needs it."""
    flow = plain_yaml.dump(value, default_flow_style=True, width=float("inf")).strip()
    key = plain_yaml.dump(slug).removesuffix("...\n").strip()  # 100 is a number unless it is quoted
    return f"  {key}: {flow}"
