"""Templates of a package's folder ``templates``, each of which reads like its page."""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined

from hyma.wording import markdown as words


def environment(package: str, autoescape: bool = False) -> Environment:
    """A package's templates, with the number formats as filters."""
    made = Environment(
        loader=PackageLoader(package),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not autoescape,
    )
    shown = (
        words.points,
        words.percent,
        words.decimal,
        words.flops,
        words.seconds,
        words.times,
        words.pair,
        words.sentence,
    )
    made.filters |= {show.__name__: show for show in shown}
    made.globals |= {show.__name__: show for show in (*shown, words.head, words.row, words.cheaper)}
    return made


def flowing(text: str) -> str:
    """Markdown in its final form: each paragraph and list item in one line, one blank line between blocks.

    Lines of code between fences stay as they are.
    """
    parts = text.split("```")
    for row in range(0, len(parts), 2):
        lines = re.sub(r"(?<=\S) *\n(?! *(?:[\n#|>!]|- |$)) *", " ", parts[row])
        parts[row] = re.sub(r"\n{3,}", "\n\n", lines)
    return "```".join(parts).strip() + "\n"
