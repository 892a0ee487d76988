"""Flickr8k's 1,000 test images, in either layout that is in circulation."""

import csv
from collections import defaultdict
from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base.common import Row, captions, first_of, image_row
from hyma.readers.base.params import DataSource

FOLDERS = ("Images", "Flicker8k_Dataset", "Flickr8k_Dataset")
TEST_IMAGES = 1000
CAPTIONS = 5


def read(root: Path, source: DataSource) -> Prepared:
    """Read ``captions.txt`` or ``Flickr8k.token.txt`` and the list of test images.

    Without ``Flickr_8k.testImages.txt`` the last 1,000 images in the file's order are the test images.
    """
    by_image = _captions(root)
    listed = root / "Flickr_8k.testImages.txt"
    names = listed.read_text().split() if listed.is_file() else list(by_image)[-TEST_IMAGES:]
    folder = next((root / name for name in FOLDERS if (root / name).is_dir()), root / FOLDERS[0])
    images: list[Row] = []
    texts: list[Row] = []
    for row, name in enumerate(names):
        if name not in by_image:
            raise HymaError(
                f"{listed}: {name} has no caption; the list and the captions do not belong together"
            )
        images.append(image_row(name, folder / name))
        texts += [
            {"id": f"{name}#{pool}", "text": text, "image": row, "pool": pool, "protocol": "both"}
            for pool, text in enumerate(by_image[name][:CAPTIONS])
        ]
    return captions(images, texts, source, "retrieval")


def _captions(root: Path) -> dict[str, list[str]]:
    file = first_of(root, "captions.txt", "Flickr8k.token.txt")
    by_image = defaultdict(list)
    if file.name == "captions.txt":
        with file.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream)
            next(rows, None)  # the header: image,caption
            for number, row in enumerate(rows, start=2):
                if len(row) < 2:
                    raise HymaError(
                        f"{file}: line {number}: expected image,caption; is this the original file?"
                    )
                # A caption with commas that nobody quoted comes apart: join it again.
                by_image[row[0]].append(",".join(row[1:]).strip())
    else:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            name, tab, caption = line.partition("\t")
            if not tab or "#" not in name:
                raise HymaError(f"{file}: line {number}: expected name.jpg#0<TAB>caption")
            by_image[name.rpartition("#")[0]].append(caption.strip())
    return by_image
