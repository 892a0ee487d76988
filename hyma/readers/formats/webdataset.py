"""A user's own captioned images in WebDataset shards: tar files that stay packed.

Members of a shard that share a key are one sample; the key is a member's name up to the first dot of its base
name, what follows is the kind. A picture is known by where its bytes lie: ``<shard>#<offset>+<size>``.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

from hyma.common.errors import HymaError, reason
from hyma.common.names import SUFFIXES
from hyma.common.prepared import Prepared, Skipped
from hyma.readers.base.common import Row, caption_rows, captions, image_row, wrong_layout
from hyma.readers.base.listing import entries, is_hidden, passed_over, writable
from hyma.readers.base.params import DataSource
from hyma.readers.base.tar import Member, Other, members

FIRST = ("jpg", "jpeg", "png", "webp")
PICTURES = dict.fromkeys([*FIRST, *sorted(suffix[1:] for suffix in SUFFIXES)])
"""Kinds that are pictures; of a sample's, the first of these is taken."""
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")
Sample = dict[str, Member]
"""The members of one key, by kind."""


def read(root: Path, source: DataSource) -> Prepared:
    """Read every ``*.tar`` in `root`, in the order of their names.

    The caption is that of the ``txt`` member, else ``caption`` or ``text`` of the ``json`` member. A sample
    without a picture is left out and listed; one without a caption counts as an empty caption.

    Raises:
        HymaError: if a shard is no tar file, packed or cut short, or a ``json`` member is not as it should be.
    """
    own = entries(root)
    shards = [
        path for path in own if path.suffix.lower() == ".tar" and path.is_file() and not is_hidden(path)
    ]
    packed = [path for path in own if path.name.lower().endswith(PACKED)]
    if not shards:
        raise wrong_layout(root, "shards *.tar, not compressed")
    if packed:
        raise HymaError(f"{packed[0]}: packed, beside shards that are not; unpack it, or move it elsewhere")
    images: list[Row] = []
    texts: list[Row] = []
    skipped = passed_over(path for path in own if path not in set(shards))
    for shard in tqdm(shards, desc="reading shards", unit="shard", disable=None):
        _shard(shard, images, texts, skipped)
    return captions(images, texts, source, "pairs", skipped)


def _shard(shard: Path, images: list[Row], texts: list[Row], skipped: list[Skipped]) -> None:
    names: Counter[str] = Counter()
    with shard.open("rb") as stream:
        for key, sample in _samples(shard, skipped):
            names[key] += 1
            name = f"{shard.stem}/{writable(key)}" + (f"~{names[key]}" if names[key] > 1 else "")
            own = [kind for kind in PICTURES if kind in sample]
            if not own:
                skipped.append(Skipped(f"{shard}: {writable(key)}", "no picture in this sample"))
                continue
            skipped += [
                Skipped(f"{shard}: {writable(sample[kind].name)}", "a second picture of its sample", "file")
                for kind in own[1:]
            ]

            def content(member: Member) -> bytes:
                stream.seek(member.offset)
                return stream.read(member.size)

            picture = sample[own[0]]
            texts += caption_rows(
                _caption(shard, sample, content), len(images), name, 0, shard, writable(key)
            )
            images.append(image_row(name, Path(f"{shard}#{picture.offset}+{picture.size}")))


def _samples(shard: Path, skipped: list[Skipped]) -> Iterator[tuple[str, Sample]]:
    """Yield the samples of a shard in its order, each with its key.

    A kind that occurs again under a key is of another sample. Where no member of a sample is a picture but one ends as
    pictures do, names hold dots: then the last one parts key and kind.
    """
    samples = _Samples(shard)
    for member in members(shard):
        if is_hidden(Path(member.name)):
            continue
        if isinstance(member, Other):
            skipped.append(Skipped(f"{shard}: {writable(member.name)}", member.reason, "file"))
            continue
        folder, slash, base = member.name.rpartition("/")
        stem, _, kind = base.partition(".")
        samples.put(folder + slash + stem, kind.lower(), member)
    for key, sample in samples:
        endings = {kind.rpartition(".")[2] for kind in sample}
        if sample.keys() & PICTURES.keys() or not endings & PICTURES.keys():
            yield key, sample
            continue
        apart = _Samples(shard)
        for member in sample.values():
            stem, _, kind = member.name.rpartition(".")
            apart.put(stem, kind.lower(), member)
        yield from apart


class _Samples:
    """Samples in the order of their first members; several may share a key."""

    def __init__(self, shard: Path):
        self.shard, self.last = shard, ""
        self.found: dict[str, list[Sample]] = {}

    def put(self, key: str, kind: str, member: Member) -> None:
        """Put a member into its sample: the one before it in the shard, or the one of its key that lacks its kind."""
        own = self.found.setdefault(key, [])
        lacking = [sample for sample in own if kind not in sample]
        if key == self.last and lacking and lacking[-1] is own[-1]:
            lacking = own[-1:]
        if len(lacking) > 1:
            raise HymaError(
                f"{self.shard}: {writable(member.name)}: {len(own)} samples have this key, and it may belong to any; "
                "write the shard with a key a sample"
            )
        if not lacking:
            own.append({})
            lacking = own[-1:]
        lacking[0][kind] = member
        self.last = key

    def __iter__(self) -> Iterator[tuple[str, Sample]]:
        yield from ((key, sample) for key, own in self.found.items() for sample in own)


def _caption(shard: Path, sample: Sample, content: Callable[[Member], bytes]) -> object:
    for kind in ("txt", "json"):
        if kind not in sample:
            continue
        try:
            text = content(sample[kind]).decode("utf-8-sig")
            record = json.loads(text) if kind == "json" else {"caption": text}
        except (ValueError, RecursionError) as error:
            raise HymaError(
                f"{shard}: {writable(sample[kind].name)}: not UTF-8 text or json ({reason(error)}); "
                "write the shard again"
            ) from None
        if isinstance(record, dict):
            return record.get("caption", record.get("text"))
    return None
