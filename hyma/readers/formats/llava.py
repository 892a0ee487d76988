"""LLaVA-Pretrain: a json list of conversations whose first answer is the image's caption."""

from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base.common import (
    caption_row,
    captions,
    field,
    first_of,
    image_row,
    list_of,
    records,
    text_of,
)
from hyma.readers.base.listing import writable
from hyma.readers.base.params import DataSource

NAMES = ("blip_laion_cc_sbu_558k.json", "chat.json")


def read(root: Path, source: DataSource) -> Prepared:
    """Read ``blip_laion_cc_sbu_558k.json`` (or the older ``chat.json``) and the images that it names.

    They lie beside it, or in ``images/``, where many unpack ``images.zip``.
    """
    file = first_of(root, *NAMES)
    images, texts = [], []
    for number, record in enumerate(records(file)):
        place = f"record {number}"
        name = text_of(field(record, "image", file, place), file, place, "image")
        turns = list_of(field(record, "conversations", file, place), file, place, "conversations")
        answer = next((turn for turn in turns if isinstance(turn, dict) and turn.get("from") == "gpt"), None)
        if answer is None:
            raise HymaError(f"{file}: {place}: no turn from 'gpt'; is this the original file?")
        inside = (root / "images").is_dir() and not name.startswith("images/")
        images.append(image_row(name, root / "images" / name if inside else root / name))
        caption = text_of(field(answer, "value", file, place), file, place)
        texts.append(caption_row(name, caption, number, 0) | {"id": f"{number}/{writable(name)}"})
    return captions(images, texts, source, "pairs")
