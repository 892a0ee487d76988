"""ImageNet-1K's validation set in folders by wnid; sorted wnids give the class index."""

from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.files import read_json
from hyma.common.names import SUFFIXES
from hyma.common.prepared import Prepared
from hyma.readers.base.common import classification, data_file, image_row, wrong_layout
from hyma.readers.base.params import DataSource


def read(root: Path, source: DataSource) -> Prepared:
    """Read ``val/<wnid>/``. Names come from ``classnames.json`` if the folder has it, else OpenAI's 1,000."""
    val = root / "val"
    wnids = sorted(folder.name for folder in val.iterdir() if folder.is_dir()) if val.is_dir() else []
    if not wnids:
        raise wrong_layout(root, "val/<wnid>/*.JPEG")
    own = root / "classnames.json"
    names = read_json(own) if own.is_file() else data_file("imagenet_classes.json")
    nameless = next((wnid for wnid in wnids if wnid not in names), None)
    if nameless:
        raise HymaError(f"{val / nameless}: no class name for this wnid; add it to {own}")
    images = [
        image_row(f"{wnid}/{path.name}", path, label=label)
        for label, wnid in enumerate(wnids)
        for path in sorted((val / wnid).iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    return classification(images, [names[wnid] for wnid in wnids], source, "imagenet")
