"""A user's own labelled pictures, a folder a class, as a zero-shot classification benchmark."""

from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.names import SUFFIXES
from hyma.common.prepared import Prepared
from hyma.readers.base.common import classification, image_row, wrong_layout
from hyma.readers.base.params import DataSource


def read(root: Path, source: DataSource) -> Prepared:
    """Read ``<class name>/*.jpg`` and the like; the prompts are ImageNet's, underscores become spaces.

    Raises:
        HymaError: if there are no such folders, or one of them holds no picture.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise wrong_layout(root, "<class name>/*.jpg")
    images = []
    for label, folder in enumerate(folders):
        pictures = sorted(
            path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != "."
        )
        if not pictures:
            raise HymaError(
                f"{folder}: a class without a picture; expected {root}/<class name>/*.jpg, move or delete this folder"
            )
        images += [image_row(f"{folder.name}/{path.name}", path, label=label) for path in pictures]
    classes = [folder.name.replace("_", " ") for folder in folders]
    return classification(images, classes, source, "imagenet")
