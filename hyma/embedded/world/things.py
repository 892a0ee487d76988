"""What there is in the embedded world: things with their names and what people know about them."""

from typing import NamedTuple


class Thing(NamedTuple):
    """A symbol of DejaVu Sans, and what people know of it."""

    code: int
    name: str
    synonym: str
    coarse: str
    use: str
    where: str


SYMBOLS = [
    Thing(0x2600, "sun", "sunshine", "weather", "warming", "sky"),
    Thing(0x2601, "cloud", "rain cloud", "weather", "raining", "sky"),
    Thing(0x26A1, "lightning bolt", "thunderbolt", "weather", "raining", "sky"),
    Thing(0x2744, "snowflake", "flake of snow", "weather", "cooling", "snow"),
    Thing(0x2603, "snowman", "man of snow", "weather", "playing", "snow"),
    Thing(0x2602, "umbrella", "parasol", "clothing", "keeping dry", "street"),
    Thing(0x2605, "star", "bright star", "space", "stargazing", "space"),
    Thing(0x263D, "moon", "half moon", "space", "stargazing", "space"),
    Thing(0x2644, "saturn sign", "symbol of saturn", "space", "astrology", "space"),
    Thing(0x2604, "comet", "shooting star", "space", "stargazing", "space"),
    Thing(0x265A, "king", "chess king", "chess piece", "playing chess", "chess board"),
    Thing(0x265B, "queen", "chess queen", "chess piece", "playing chess", "chess board"),
    Thing(0x265C, "rook", "chess tower", "chess piece", "playing chess", "chess board"),
    Thing(0x265E, "knight", "chess horse", "chess piece", "playing chess", "chess board"),
    Thing(0x265F, "pawn", "chess pawn", "chess piece", "playing chess", "chess board"),
    Thing(0x2660, "spade", "card of spades", "card suit", "playing cards", "casino"),
    Thing(0x2665, "heart", "card of hearts", "card suit", "playing cards", "casino"),
    Thing(0x2663, "club", "card of clubs", "card suit", "playing cards", "casino"),
    Thing(0x2684, "die", "game cube", "toy", "playing dice", "casino"),
    Thing(0x266B, "music notes", "melody", "music", "making music", "concert hall"),
    Thing(0x266F, "sharp sign", "musical sharp", "music", "making music", "concert hall"),
    Thing(0x2669, "quarter note", "crotchet", "music", "making music", "concert hall"),
    Thing(0x2692, "hammer and pick", "mining tools", "tool", "mining", "mine"),
    Thing(0x2693, "anchor", "ship anchor", "vehicle", "mooring", "harbour"),
    Thing(0x2694, "crossed swords", "pair of blades", "weapon", "fighting", "castle"),
    Thing(0x2696, "scales", "balance", "tool", "weighing", "court"),
    Thing(0x2697, "alembic", "still", "science", "distilling", "laboratory"),
    Thing(0x269B, "atom", "atom model", "science", "physics", "laboratory"),
    Thing(0x2699, "gear", "cogwheel", "tool", "driving machines", "factory"),
    Thing(0x2702, "scissors", "shears", "tool", "cutting", "workshop"),
    Thing(0x270F, "pencil", "crayon", "stationery", "writing", "desk"),
    Thing(0x2712, "pen nib", "fountain pen", "stationery", "writing", "desk"),
    Thing(0x2709, "envelope", "letter", "stationery", "sending mail", "post office"),
    Thing(0x260E, "telephone", "phone", "machine", "calling", "office"),
    Thing(0x2328, "keyboard", "computer keyboard", "machine", "typing", "office"),
    Thing(0x2708, "airplane", "aircraft", "vehicle", "flying", "airport"),
    Thing(0x2615, "cup of coffee", "hot drink", "food", "drinking", "cafe"),
    Thing(0x2618, "shamrock", "clover", "plant", "bringing luck", "meadow"),
    Thing(0x273F, "blossom", "flower", "plant", "decorating", "garden"),
    Thing(0x2622, "radiation sign", "nuclear symbol", "warning", "warning", "power plant"),
    Thing(0x2620, "skull", "skull and bones", "warning", "warning", "pirate ship"),
    Thing(0x2623, "biohazard sign", "germ warning", "warning", "warning", "laboratory"),
    Thing(0x267F, "wheelchair", "wheelchair user", "health", "moving about", "hospital"),
    Thing(0x2695, "snake staff", "rod of medicine", "health", "healing", "hospital"),
    Thing(0x262F, "yin yang", "taoist circle", "faith", "meditating", "temple"),
    Thing(0x271D, "cross", "christian cross", "faith", "praying", "church"),
    Thing(0x2625, "ankh", "egyptian cross", "faith", "praying", "temple"),
    Thing(0x26B1, "urn", "ash vase", "grave", "burying", "cemetery"),
]
HELD_OUT = {"comet", "pawn", "club", "quarter note", "pen nib", "biohazard sign", "ankh", "urn"}
"""Objects that are pictured and captioned in evaluation only."""
NOT_IN_IMAGENET = {
    "saturn sign", "die", "radiation sign", "alembic", "lightning bolt", "cross", "queen", "heart",
}  # fmt: skip
"""What the ImageNet-style set leaves out, to have 40 classes."""

COLOURS = {
    "red": (214, 40, 40),
    "orange": (245, 130, 30),
    "yellow": (240, 214, 50),
    "green": (40, 150, 60),
    "teal": (30, 170, 170),
    "blue": (40, 80, 210),
    "purple": (130, 50, 170),
    "pink": (245, 130, 180),
    "white": (250, 250, 250),
    "black": (20, 20, 20),
}
SHAPES = ["circle", "square", "triangle", "pentagon", "rhombus", "ring", "oval", "arrow", "bar"]
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
WORDS = [
    "open", "closed", "stop", "go", "exit", "sale", "taxi", "bus", "hotel", "motel", "cafe", "pizza", "tea",
    "fish", "meat", "bread", "bakery", "market", "museum", "cinema", "theatre", "library", "school", "bank",
    "police", "garage", "zoo", "spa", "inn", "gym", "books", "shoes", "toys", "push", "pull", "no", "yes",
    "private", "pharmacy", "restaurant",
]  # fmt: skip
TEXTURES = ["plain", "striped", "checked", "dotted", "shaded", "grainy"]
GROUNDS = {
    "grey": (150, 150, 150),
    "beige": (205, 190, 160),
    "brown": (120, 85, 60),
    "navy": (50, 60, 100),
    "olive": (120, 125, 70),
    "lilac": (185, 170, 205),
}
PLACES = ["middle", "left", "right", "top", "bottom"]
COARSE = sorted({thing.coarse for thing in SYMBOLS} | {"shape", "digit", "sign"})
KINDS = ("symbol", "shape", "digit", "sign")


def is_held_out(kind: str, number: int, colour: str) -> bool:
    """Whether this thing is kept for evaluation: whole objects, and one colour combination in seven."""
    if kind == "symbol" and SYMBOLS[number].name in HELD_OUT:
        return True
    return kind in ("symbol", "shape") and (number * 3 + list(COLOURS).index(colour)) % 7 == 0
