"""Drawing a scene as pixels. Whole-number arithmetic wherever it matters, so that all machines agree."""

import math
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

from hyma.embedded.world.scenes import Item, Scene
from hyma.embedded.world.things import COLOURS, GROUNDS, SYMBOLS

SIDE = 64
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
BOLD = FONT.with_name("DejaVuSans-Bold.ttf")
TRAINING_DIGITS = 1200
"""The handwritten digits before this one are for training, the others for evaluation."""


def draw(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Return the scene as uint8 pixels [64, 64, 3]."""
    pixels = _background(scene, rng)
    for item in scene.items:
        large = item.size == "large"
        extent = int(rng.integers(40, 53) if large else rng.integers(25, 31))
        if item.kind == "sign":
            _paste_sign(pixels, item, 60 if large else 56, rng)
        else:
            mask = _mask(item, extent, scene.evaluation, rng)
            _paste(pixels, mask, COLOURS[item.colour], *_corner(mask.shape, item.place, rng))
    noise = rng.integers(-12, 13, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def _background(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    base = np.array(GROUNDS[scene.ground]) + rng.integers(-12, 13, 3)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    period = int(rng.integers(8, 15))
    if scene.texture == "striped":
        tone = np.where((x if rng.random() < 0.5 else y) // (period // 2) % 2 == 0, 14, -14)
    elif scene.texture == "checked":
        tone = np.where((x // (period // 2) + y // (period // 2)) % 2 == 0, 14, -14)
    elif scene.texture == "dotted":
        tone = np.where((x % period - period // 2) ** 2 + (y % period - period // 2) ** 2 <= 6, 30, -4)
    elif scene.texture == "shaded":
        tone = (x if rng.random() < 0.5 else y) - SIDE // 2
    elif scene.texture == "grainy":
        tone = rng.integers(-32, 33, (SIDE, SIDE))
    else:
        tone = np.zeros((SIDE, SIDE), int)
    return base[None, None, :] + tone[:, :, None]


def _corner(shape: tuple[int, int], place: str, rng: np.random.Generator) -> tuple[int, int]:
    """The top left corner of something of this shape at this place, with a little play."""
    height, width = shape
    free_y, free_x = max(0, SIDE - height), max(0, SIDE - width)
    play = rng.integers(-3, 4, 2)
    top = {"top": 2, "bottom": free_y - 2}.get(place, free_y // 2) + int(play[0])
    left = {"left": 2, "right": free_x - 2}.get(place, free_x // 2) + int(play[1])
    return min(max(top, 0), free_y), min(max(left, 0), free_x)


def _paste(pixels: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], top: int, left: int) -> None:
    """Lay `colour` over the pixels where the mask (0..255) says, in place."""
    height, width = min(mask.shape[0], SIDE - top), min(mask.shape[1], SIDE - left)
    alpha = mask[:height, :width, None].astype(int)
    window = pixels[top : top + height, left : left + width]
    window[:] = (window * (255 - alpha) + np.array(colour) * alpha) // 255


def _mask(item: Item, extent: int, evaluation: bool, rng: np.random.Generator) -> np.ndarray:
    """The thing as coverage 0..255, `extent` pixels at its longer side, slightly turned."""
    if item.kind == "symbol":
        image = glyph(SYMBOLS[item.number].code)
    elif item.kind == "shape":
        image = _shape(item.number)
    else:
        image = _digit(item.number, evaluation, rng)
    image = image.rotate(int(rng.integers(-12, 13)), Image.Resampling.BILINEAR)
    box = image.getbbox() or (0, 0, *image.size)
    image = image.crop(box)
    scale = extent / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC))


@cache
def glyph(code: int) -> Image.Image:
    """A symbol of DejaVu Sans, drawn once, large, as coverage."""
    font = ImageFont.truetype(str(FONT), 96, layout_engine=ImageFont.Layout.BASIC)
    image = Image.new("L", (160, 160), 0)
    ImageDraw.Draw(image).text((80, 80), chr(code), fill=255, font=font, anchor="mm")
    return image


@cache
def _shape(number: int) -> Image.Image:
    image = Image.new("L", (160, 160), 0)
    pen = ImageDraw.Draw(image)
    box = (32, 32, 128, 128)
    if number == 0:
        pen.ellipse(box, fill=255)
    elif number in (1, 2, 3, 4):
        sides, turn = {1: (4, 45), 2: (3, -90), 3: (5, -90), 4: (4, 0)}[number]
        pen.polygon(_polygon(sides, turn, narrow=number == 4), fill=255)
    elif number == 5:
        pen.ellipse(box, outline=255, width=18)
    elif number == 6:
        pen.ellipse((32, 52, 128, 108), fill=255)
    elif number == 7:
        pen.polygon([(30, 66), (84, 66), (84, 40), (130, 80), (84, 120), (84, 94), (30, 94)], fill=255)
    else:
        pen.rectangle((30, 68, 130, 92), fill=255)
    return image


def _polygon(sides: int, turn: int, narrow: bool) -> list[tuple[int, int]]:
    angles = [math.radians(turn + 360 * corner / sides) for corner in range(sides)]
    width = 34 if narrow else 52
    return [(round(80 + width * math.cos(angle)), round(82 + 52 * math.sin(angle))) for angle in angles]


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    data = load_digits()
    return (data.images * 255 / 16).astype(np.uint8), data.target


def _digit(number: int, evaluation: bool, rng: np.random.Generator) -> Image.Image:
    pictures, targets = _digits()
    rows = np.nonzero(targets == number)[0]
    rows = rows[rows >= TRAINING_DIGITS] if evaluation else rows[rows < TRAINING_DIGITS]
    small = Image.fromarray(pictures[rows[int(rng.integers(len(rows)))]])
    canvas = Image.new("L", (80, 80), 0)
    canvas.paste(small.resize((64, 64), Image.Resampling.BICUBIC), (8, 8))
    return canvas


def _paste_sign(pixels: np.ndarray, item: Item, width: int, rng: np.random.Generator) -> None:
    """A word in the sign's colour on a board of dark or light contrast."""
    text = _word(item.name, width - 4)
    height = text.shape[0] + 6
    dark = sum(COLOURS[item.colour]) > 380
    board = (30, 30, 45) if dark else (240, 238, 225)
    top, left = _corner((height, width), item.place, rng)
    _paste(pixels, np.full((height, width), 255), board, top, left)
    offset = (width - text.shape[1]) // 2
    _paste(pixels, text, COLOURS[item.colour], top + 3, left + offset)


@cache
def _word(word: str, width: int) -> np.ndarray:
    """The word as coverage, as large as fits `width` pixels and 22 pixels of height."""
    for size in range(26, 5, -1):
        font = ImageFont.truetype(str(BOLD), size, layout_engine=ImageFont.Layout.BASIC)
        left, top, right, bottom = font.getbbox(word)
        if right - left <= width and bottom - top <= 22:
            break
    image = Image.new("L", (int(right - left), int(bottom - top)), 0)
    ImageDraw.Draw(image).text((-left, -top), word, fill=255, font=font)
    return np.asarray(image)
