"""ImageNet-1K's validation set in folders by wnid; sorted wnids give the class index."""

from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.files import read_json
from hyma.common.prepared import Prepared
from hyma.readers.base import listing
from hyma.readers.base.common import classification, data_file, image_row, wrong_layout
from hyma.readers.base.params import DataSource


def read(root: Path, source: DataSource) -> Prepared:
    """Read ``val/<wnid>/``. Names come from ``classnames.json`` if the folder has it, else OpenAI's 1,000."""
    val = root / "val"
    folders, skipped = listing.classes(val) if val.is_dir() else ({}, [])
    if not folders:
        raise wrong_layout(root, "val/<wnid>/*.JPEG")
    own = root / "classnames.json"
    names = read_json(own) if own.is_file() else data_file("imagenet_classes.json")
    if not isinstance(names, dict):
        raise HymaError(f"{own}: should be an object: wnid → class name")
    for folder in folders:
        if not isinstance(names.get(folder.name), str):
            raise HymaError(f"{folder}: no class name for this wnid; add it to {own}")
    skipped += listing.passed_over(
        (folder for folder, own in folders.items() if not own), "a class without a picture"
    )
    images = [
        image_row(f"{folder.name}/{path.name}", path, label=label)
        for label, (folder, pictures) in enumerate(folders.items())
        for path in pictures
    ]
    return classification(images, [names[folder.name] for folder in folders], source, "imagenet", skipped)
