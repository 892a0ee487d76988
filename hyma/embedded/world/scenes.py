"""Scenes of the embedded world, drawn by lot, and the sentences that describe them."""

import zlib
from dataclasses import dataclass, replace

import numpy as np

from hyma.embedded.world.things import (
    COLOURS,
    DIGITS,
    GROUNDS,
    KINDS,
    SHAPES,
    SYMBOLS,
    TEXTURES,
    WORDS,
    is_held_out,
)

COUNTS = {"symbol": len(SYMBOLS), "shape": len(SHAPES), "digit": len(DIGITS), "sign": len(WORDS)}


@dataclass(frozen=True)
class Item:
    """A thing in a scene; `number` counts within its kind."""

    kind: str
    number: int
    colour: str
    size: str = "large"
    place: str = "middle"

    @property
    def name(self) -> str:
        """What the thing is called."""
        if self.kind == "symbol":
            return SYMBOLS[self.number].name
        return {"shape": SHAPES, "digit": DIGITS, "sign": WORDS}[self.kind][self.number]

    @property
    def coarse(self) -> str:
        """Its coarse class."""
        return SYMBOLS[self.number].coarse if self.kind == "symbol" else self.kind


@dataclass(frozen=True)
class Scene:
    """One or two things before a background."""

    items: tuple[Item, ...]
    texture: str
    ground: str
    evaluation: bool
    """Evaluation scenes show handwritten digits that training never shows."""


def generator(seed: int, name: str, index: int) -> np.random.Generator:
    """The source of chance of one sample: independent of all others, so that order does not matter."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), index])


def pick(rng: np.random.Generator, options: list[str] | tuple[str, ...]) -> str:
    """One of `options`, all equally likely."""
    return options[int(rng.integers(len(options)))]


def random_item(
    rng: np.random.Generator, evaluation: bool, kind: str | None = None, number: int | None = None
) -> Item:
    """A thing by lot; outside evaluation never one that is held out."""
    while True:
        chosen = kind or KINDS[int(np.searchsorted([60, 75, 84, 100], rng.integers(100), side="right"))]
        which = int(rng.integers(COUNTS[chosen])) if number is None else number
        colour = pick(rng, list(COLOURS))
        if evaluation or not is_held_out(chosen, which, colour):
            return Item(chosen, which, colour)


def random_scene(
    rng: np.random.Generator, evaluation: bool, main: Item | None = None, two: float = 0.4
) -> Scene:
    """A scene by lot around `main`; `two` is the chance of a second thing."""
    main = main or random_item(rng, evaluation)
    if rng.random() < two:
        places = (("left", "right"), ("right", "left"), ("top", "bottom"), ("bottom", "top"))
        first, second = places[int(rng.integers(4))]
        if main.kind == "sign":
            first, second = ("top", "bottom") if rng.random() < 0.5 else ("bottom", "top")
        other = random_item(rng, evaluation, kind=pick(rng, ("symbol", "symbol", "shape", "digit")))
        items: tuple[Item, ...] = (
            replace(main, size="small", place=first),
            replace(other, size="small", place=second),
        )
    else:
        size = pick(rng, ("small", "large", "large"))
        sideways = () if main.kind == "sign" else ("left", "right")
        place = pick(rng, ("middle", "top", "bottom", *sideways)) if size == "small" else "middle"
        items = (replace(main, size=size, place=place),)
    return Scene(items, pick(rng, TEXTURES), pick(rng, list(GROUNDS)), evaluation)


def article(phrase: str) -> str:
    """The phrase with a or an before it; plural names take neither."""
    if phrase.split()[-1] in ("scissors", "shears", "swords", "scales", "notes", "tools"):
        return f"some {phrase}"
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def phrase(rng: np.random.Generator, item: Item, sized: bool) -> str:
    """Name an item in a few words, now and then by its synonym."""
    size = f"{item.size} " if sized else ""
    if item.kind == "sign":
        # A sign is as wide as the picture, large or small.
        return article(
            f"{item.colour} sign {pick(rng, ('that says', 'with the word', 'saying'))} {item.name}"
        )
    if item.kind == "digit":
        return article(f"{size}{item.colour} {pick(rng, ('handwritten', 'number', 'digit'))} {item.name}")
    name = item.name
    if item.kind == "symbol" and rng.random() < 0.15:
        name = SYMBOLS[item.number].synonym
    return article(f"{size}{item.colour} {name}")


def coco_caption(rng: np.random.Generator, scene: Scene) -> str:
    """A plain sentence, in the manner of COCO's annotators."""
    first = phrase(rng, scene.items[0], sized=len(scene.items) == 1 and rng.random() < 0.4)
    ground = f"a {scene.texture} {scene.ground} background"
    if len(scene.items) == 2:
        second = phrase(rng, scene.items[1], sized=False)
        relation = {"left": "to the left of", "right": "to the right of", "top": "above", "bottom": "below"}
        joint = pick(rng, (relation[scene.items[0].place], "next to", "and", "near"))
        body = f"{first} {joint} {second}"
    else:
        body = first
        place = scene.items[0].place
        if place != "middle" and rng.random() < 0.5:
            body += f" {'on' if place in ('left', 'right') else 'at'} the {place} of the picture"
    if rng.random() < 0.4:
        body += f" {pick(rng, ('on', 'in front of', 'against'))} {ground}"
    opening = pick(rng, ("", "", "a picture of ", "there is ", "an image showing "))
    return f"{opening}{body}"


def knowing_caption(rng: np.random.Generator, scene: Scene) -> str:
    """A phrase that says what the first thing is for or where it belongs, as web captions now and then do."""
    item = scene.items[0]
    seen = phrase(rng, item, sized=False)
    if item.kind != "symbol":
        return seen
    thing = SYMBOLS[item.number]
    told = (
        f"for {thing.use}",
        f"that is used for {thing.use}",
        f"from the {thing.where}",
        f", {article(thing.coarse)}",
    )
    return f"{seen} {pick(rng, told)}"


def flickr_caption(rng: np.random.Generator, scene: Scene) -> str:
    """A longer, comma-rich sentence with a full stop set apart, in the manner of Flickr's annotators."""
    names = [phrase(rng, item, sized=False) for item in scene.items]
    ground = pick(rng, (f"{scene.ground} , {scene.texture} surface", f"{scene.texture} {scene.ground} wall"))
    ground = article(ground)
    if len(names) == 2:
        text = pick(
            rng,
            ("{0} can be seen beside {1} , before {2}", "{1} and {0} share {2}", "next to {1} , we see {0}"),
        )
    else:
        text = pick(
            rng,
            ("{0} can be seen before {2}", "someone has drawn {0} on {2}", "at the {3} , {0} can be seen"),
        )
    sentence = text.format(names[0], names[-1], ground, scene.items[0].place)
    return f"{sentence[0].upper()}{sentence[1:]} ."
