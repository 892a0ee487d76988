"""A user's own labelled pictures, a folder a class, as a zero-shot classification benchmark."""

from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base import listing
from hyma.readers.base.common import classification, image_row, wrong_layout
from hyma.readers.base.params import DataSource


def read(root: Path, source: DataSource) -> Prepared:
    """Read ``<class name>/*.jpg`` and the like; the prompts are ImageNet's, underscores become spaces.

    Raises:
        HymaError: if there are no such folders, one of them holds no picture, or two are of one class.
    """
    folders, skipped = listing.classes(root)
    if not folders:
        raise wrong_layout(root, "<class name>/*.jpg")
    images = []
    names: dict[str, Path] = {}
    for label, (folder, pictures) in enumerate(folders.items()):
        if not pictures:
            raise HymaError(
                f"{folder}: a class without a picture; expected {root}/<class name>/*.jpg, move or delete this folder"
            )
        other = names.setdefault(" ".join(folder.name.replace("_", " ").split()).casefold(), folder)
        if other != folder:
            raise HymaError(f"{folder}: the same class as {other}; move the pictures of one into the other")
        images += [image_row(f"{folder.name}/{path.name}", path, label=label) for path in pictures]
    classes = [folder.name.replace("_", " ") for folder in folders]
    return classification(images, classes, source, "imagenet", skipped)
