"""A first params.yaml for folders of pictures: look at them, choose what trains, propose encoders, write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.files import write_text
from hyma.common.params import FILE
from hyma.plan import params_text, short_lists, specs
from hyma.plan.choose import Sets, choose
from hyma.plan.short_lists import Encoders
from hyma.readers.hints import why_not
from hyma.readers.look import Survey, holds, look

AUTO = "auto"


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line."""

    folders: Sequence[Path]
    training: Path | None
    benchmarks: Sequence[Path]
    image: Sequence[str]
    text: Sequence[str]
    size: str
    """`AUTO`, or a key of `hyma.plan.short_lists.SIZES`."""
    demo: bool
    output: Path
    force: bool
    command: str
    """The line that was given, for the file's head."""


@dataclass(frozen=True)
class Written:
    """What was found and written."""

    survey: Survey
    sets: Sets
    encoders: Encoders
    origin: str
    """Where the encoders come from, in a few words."""
    output: Path


def init(wanted: Wanted) -> Written:
    """Look, choose and write.

    Raises:
        HymaError: if the file is there already, there are no captioned pictures to train on, or an encoder is not as
            it should be.
    """
    _refuse_to_overwrite(wanted)
    proposed, origin = _proposed(wanted)
    encoders = specs.encoders(wanted.image, wanted.text, proposed)
    survey = _survey(wanted)
    sets = choose(survey.found, wanted.training, wanted.benchmarks)
    write_text(wanted.output, params_text.text(wanted.command, sets, encoders))
    return Written(survey, sets, encoders, origin, wanted.output)


def _survey(wanted: Wanted) -> Survey:
    named = [wanted.training] if wanted.training else []
    places = [*wanted.folders, *named, *wanted.benchmarks]
    if not places:
        raise HymaError("no folder given; name that of your pictures and captions: hyma init photos")
    survey = look(places)
    for place in wanted.benchmarks:
        if not any(holds(place, one.source.path) for one in survey.found):
            said = survey.problem(place) or f"{place}: no data set; {why_not([place])}"
            raise HymaError(f"--benchmark: {said}")
    if not any(one.trains for one in survey.found):
        others = ", ".join(f"{one.source.path}: format {one.source.format}" for one in survey.found[:3])
        there = f" ({others})" if others else ""
        raise HymaError(f"{places[0]}: no captions to train on{there}; {why_not(places)}")
    return survey


def _refuse_to_overwrite(wanted: Wanted) -> None:
    if wanted.output.is_dir():
        raise HymaError(f"--output: {wanted.output} is a folder; name a file, there or elsewhere")
    if wanted.output.exists() and not wanted.force:
        kept = " (git keeps the committed one)" if wanted.output == FILE else ""
        raise HymaError(
            f"{wanted.output} is there already: give --force to replace it{kept}, "
            "or --output to write another file"
        )


def _proposed(wanted: Wanted) -> tuple[Encoders, str]:
    """The encoders that are taken on a side where none are given, and what they are."""
    if wanted.image and wanted.text:
        return Encoders({}, {}), "as given"
    given = (
        f"{'image' if wanted.image else 'text'} encoders as given, " if wanted.image or wanted.text else ""
    )
    if wanted.demo:
        return short_lists.DEMO, f"{given}those that come with HYMA: nothing is downloaded"
    size = short_lists.size_of_machine() if wanted.size == AUTO else wanted.size
    return short_lists.SIZES[size], f"{given}the short list for {short_lists.MACHINES[size]}"
