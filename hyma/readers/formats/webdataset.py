"""A user's own captioned images in WebDataset shards: tar files that stay packed.

Members of a shard that share a key are one sample; the key is a member's name up to the first dot of its base
name, what follows is the kind. A picture is known by where its bytes lie: ``<shard>#<offset>+<size>``.
"""

import json
import tarfile
from pathlib import Path

from tqdm import tqdm

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared, Skipped
from hyma.readers.base.common import Row, caption_rows, captions, image_row, wrong_layout
from hyma.readers.base.params import DataSource

PICTURES = ("jpg", "jpeg", "png", "webp")
Sample = dict[str, tarfile.TarInfo]
"""The members of one key, by kind."""


def read(root: Path, source: DataSource) -> Prepared:
    """Read every ``*.tar`` in `root`, in the order of their names.

    The caption is that of the ``txt`` member, else ``caption`` or ``text`` of the ``json`` member. A sample
    without a picture is left out and listed; one without a caption counts as an empty caption.

    Raises:
        HymaError: if a shard is no tar file or cut short, or a ``json`` member is not as it should be.
    """
    shards = sorted(path for path in root.glob("*.tar") if path.is_file())
    if not shards:
        raise wrong_layout(root, "shards *.tar, not compressed")
    images: list[Row] = []
    texts: list[Row] = []
    skipped: list[Skipped] = []
    for shard in tqdm(shards, desc="reading shards", unit="shard", disable=None):
        try:
            with tarfile.open(shard, "r:") as archive:
                _shard(shard, archive, images, texts, skipped)
        except (tarfile.TarError, OSError) as error:
            raise HymaError(f"{shard}: not a whole, uncompressed tar file ({error}); copy it again") from None
    found = captions(images, texts, source, "pairs")
    found.meta.skipped += skipped
    return found


def _shard(
    shard: Path, archive: tarfile.TarFile, images: list[Row], texts: list[Row], skipped: list[Skipped]
) -> None:
    for key, sample in _samples(archive).items():
        name = f"{shard.stem}/{key}"
        picture = next((sample[kind] for kind in PICTURES if kind in sample), None)
        if picture is None:
            skipped.append(Skipped(f"{shard}: {key}", f"no picture ({', '.join(PICTURES)}) in this sample"))
            continue
        texts += caption_rows(_caption(shard, archive, sample), len(images), name, 0, shard, key)
        images.append(image_row(name, Path(f"{shard}#{picture.offset_data}+{picture.size}")))


def _samples(archive: tarfile.TarFile) -> dict[str, Sample]:
    """The samples by key, in the shard's order; hidden files, such as macOS adds, are none."""
    samples: dict[str, Sample] = {}
    for member in archive:
        folder, slash, base = member.name.removeprefix("./").rpartition("/")
        stem, _, kind = base.partition(".")
        if member.isreg() and stem:
            samples.setdefault(folder + slash + stem, {})[kind.lower()] = member
    return samples


def _caption(shard: Path, archive: tarfile.TarFile, sample: Sample) -> object:
    for kind in ("txt", "json"):
        stream = archive.extractfile(sample[kind]) if kind in sample else None
        if stream is None:
            continue
        try:
            text = stream.read().decode("utf-8-sig")
            record = json.loads(text) if kind == "json" else {"caption": text}
        except ValueError as error:
            raise HymaError(
                f"{shard}: {sample[kind].name}: not UTF-8 text or json ({error}); write the shard again"
            ) from None
        if isinstance(record, dict):
            return record.get("caption", record.get("text"))
    return None
