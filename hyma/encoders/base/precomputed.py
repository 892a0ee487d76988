"""Features that somebody else extracted: where they are, and how they become a feature file.

A file has one row an image or text of the prepared data set: a tensor or array [rows, width] in that order
(.pt, .npy, .safetensors), or columns ``id`` and ``feature`` in any order (.parquet, .arrow).
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from tqdm import tqdm

from hyma.common import features, prepared
from hyma.common.errors import HymaError
from hyma.common.files import sha256_file
from hyma.encoders.base.common import field, identity, unit, unreachable
from hyma.encoders.base.matrices import SUFFIXES, Matrix, open_matrix
from hyma.encoders.base.params import HUB, PUBLISHED, EncoderParams, ImageEncoderParams

OWNER = "jaisidhsingh"
REPOSITORIES = {
    "image": {
        "cc3m558k-img-embed-dim-384": ("vit_s16", "deit_s16", "deit3_s16"),
        "cc3m558k-img-embed-dim-768": ("vit_b16", "deit_b16", "deit3-ft_b16"),
        "cc3m558k-img-embed-dim-1024": ("vit_l16", "deit3-ft_l16", "eva2-ft_l16"),
    },
    "text": {"cc3m558k-txt-embed-all-dims": ("minilm", "mpnet", "roberta")},
}
"""The paper's features of CC3M-558K on the hub: data sets, and the stems of their ``.pt`` files."""
UNUSED = -1
"""In place of a data set's row: that row of a file is not needed."""


@dataclass(frozen=True)
class Reference:
    """A file of features, and what to call it."""

    file: Path
    name: str
    """``owner/repository/file@revision`` on the hub, or the local file's name: the same on every machine."""


def reference(params: EncoderParams, slug: str, part: str, data_set: str) -> Reference | None:
    """Return the file that holds a data set's features, downloaded if need be; None if they are to be encoded.

    Args:
        params: the encoder.
        slug: its key, for errors.
        part: ``training`` or ``benchmarks``.
        data_set: the data set's slug.

    Raises:
        HymaError: if the file is missing, or the hub cannot be reached.
    """
    place = field(params, slug)
    if part == "training" and params.training_features is not None:
        modality = "image" if isinstance(params, ImageEncoderParams) else "text"
        return _training(params.training_features, modality, f"{place}.training_features")
    if params.source != "precomputed":
        return None
    if params.weights == HUB:
        return _of_repository(params, f"{place}.name", data_set)
    return _of_folder(Path(params.weights), f"{place}.weights", data_set)


def _training(name: str, modality: str, place: str) -> Reference:
    """The file meant by ``cc3m558k/<stem>``, a local path or ``owner/repository/file``."""
    head, _, stem = name.partition("/")
    if head == PUBLISHED:
        known = {stem: data for data, stems in REPOSITORIES[modality].items() for stem in stems}
        if stem not in known:
            names = ", ".join(f"{PUBLISHED}/{each}" for each in known)
            raise HymaError(f"{place}: no {modality} features {name!r} were published; choose one of {names}")
        return _named(f"{OWNER}/{known[stem]}", f"{stem}.pt", None, place)
    path = Path(name)
    if path.suffix in SUFFIXES and path.is_file():
        return Reference(path, path.name)
    owner, repository, file = _split(name)
    if path.is_absolute() or owner in (".", "..") or path.suffix not in SUFFIXES or not file:
        raise HymaError(
            f"{place}: no file {name!r}; give one that ends in {', '.join(SUFFIXES)}, "
            f"'owner/repository/file' on the hub, or '{PUBLISHED}/<encoder>'"
        )
    return _named(f"{owner}/{repository}", file, None, place)


def _of_folder(folder: Path, place: str, data_set: str) -> Reference:
    found = [folder / f"{data_set}{suffix}" for suffix in SUFFIXES]
    found = [path for path in found if path.is_file()]
    if len(found) == 1:
        return Reference(found[0], found[0].name)
    if found:
        names = " and ".join(path.name for path in found)
        raise HymaError(f"{place}: {folder} holds {names}; keep one of them")
    there = sorted(path.name for path in folder.iterdir())[:5] if folder.is_dir() else []
    raise HymaError(
        f"{place}: no {data_set}.pt (or {', '.join(SUFFIXES[1:])}) in {folder}; "
        f"found {', '.join(there) or 'nothing'}; put it there, one file a data set"
    )


def _of_repository(params: EncoderParams, place: str, data_set: str) -> Reference:
    owner, repository, file = _split(params.name)
    if not repository or (file and Path(file).suffix not in SUFFIXES):
        raise HymaError(
            f"{place}: {params.name!r} is no data set of the hub; give 'owner/repository' or "
            f"'owner/repository/file', or name a folder of features in `weights`"
        )
    if file:
        return _named(f"{owner}/{repository}", file, params.revision, place)
    failure = None
    for suffix in SUFFIXES:
        wanted = (f"{owner}/{repository}", f"{data_set}{suffix}", params.revision, place)
        try:
            # Once the hub was out of reach, another suffix may still lie in the cache.
            found = _download(*wanted, only_cached=failure is not None)
        except HymaError as error:
            failure = failure or error
            continue
        if found:
            return found
    raise failure or HymaError(
        f"{place}: {params.name} has no file {data_set}.pt (or {', '.join(SUFFIXES[1:])}); "
        "name the file as 'owner/repository/file'"
    )


def _split(name: str) -> tuple[str, str, str]:
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    return owner, repository, file


def _named(repository: str, file: str, revision: str | None, place: str) -> Reference:
    found = _download(repository, file, revision, place)
    if found is None:
        raise HymaError(f"{place}: {repository} has no file {file}; look up its name on the hub")
    return found


def _download(
    repository: str, file: str, revision: str | None, place: str, only_cached: bool = False
) -> Reference | None:
    """Get a file of a data set on the hub, or None if the hub says that there is no such file."""
    try:
        path = huggingface_hub.hf_hub_download(
            repository, file, repo_type="dataset", revision=revision, local_files_only=only_cached
        )
    except Exception as error:  # whatever the hub's HTTP client raises
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return None
        encoder = place.split()[-1].rpartition(".")[0]
        remedy = (
            f"give the path of a copy in {encoder}.training_features"
            if place.endswith("training_features")
            else f"put a copy into a folder and name that in {encoder}.weights"
        )
        raise unreachable(place, f"{repository}: {file}", error, remedy) from None
    return Reference(Path(path), f"{repository}/{file}@{revision or 'main'}")


def write(source: Reference, folder: Path, modality: str, out: Path, unit_length: bool, chunk: int) -> None:
    """Check features that somebody else extracted, and write them as a feature file in the data set's order.

    Memory holds a chunk of them, however many there are.

    Args:
        source: the file to read.
        folder: the prepared data set that they belong to.
        modality: ``image`` or ``text``.
        out: the feature file to write.
        unit_length: divide every row by its length.
        chunk: rows read and written at once.

    Raises:
        HymaError: if the file is damaged, does not belong to the data set, or holds NaN.
    """
    matrix = open_matrix(source.file)
    table = "images" if modality == "image" else "texts"
    rows = pq.read_table(folder / f"{table}.parquet", columns=["id", "record"], memory_map=True)
    ids, meta = rows["id"].combine_chunks(), prepared.read_meta(folder)
    if matrix.ids is None and matrix.rows == meta.records.get("image" if modality == "image" else "text"):
        row_N = _of_records(rows["record"].to_numpy(), matrix.rows)
    else:
        row_N = _rows(source.file, matrix, ids, table)
    own_identity = identity("precomputed", source.name, sha256_file(source.file), unit_length=unit_length)
    info = features.FeatureInfo(own_identity, meta.data_hash, matrix.dim, 0.0)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(ids), desc=f"{out.parent.name}/{out.stem}", unit="row", disable=None) as bar:
        chunks = _finite(source.file, matrix, chunk)
        if row_N is not None:
            chunks = _sorted(chunks, row_N, (len(ids), matrix.dim), chunk, out.parent)
        features.write(out, info, _with_ids(chunks, ids, unit_length, bar))


def _of_records(record_N: np.ndarray, count: int) -> np.ndarray | None:
    """As `_rows`, for features of all that the data set lists, what was left out of it included; `UNUSED` for that."""
    row_R = np.full(count, UNUSED)
    row_R[record_N] = np.arange(len(record_N))
    return None if len(record_N) == count else row_R


def _rows(file: Path, matrix: Matrix, ids: pa.Array, table: str) -> np.ndarray | None:
    """Which of the data set's rows each row of the file is; None if they come in the same order."""
    if matrix.rows != len(ids):
        raise HymaError(
            f"{file}: feature: {matrix.rows} rows, but the data set has {len(ids)} {table}; "
            "extract the features of exactly those, or prepare the data set that they were made from"
        )
    if matrix.ids is None or matrix.ids.equals(ids):
        return None
    remedy = "take the ids that the prepared data set has"
    unknown = pc.is_null(pc.index_in(matrix.ids, value_set=ids))
    if pc.any(unknown).as_py():
        row = pc.index(unknown, True).as_py()
        raise HymaError(
            f"{file}: id: row {row} is {matrix.ids[row].as_py()!r}, which the data set lacks "
            f"(its own row {row} is {ids[row].as_py()!r}); {remedy}"
        )
    lacking = pc.is_null(pc.index_in(ids, value_set=matrix.ids))
    if pc.any(lacking).as_py():
        row = pc.index(lacking, True).as_py()
        raise HymaError(
            f"{file}: id: {ids[row].as_py()!r}, the data set's row {row}, is missing, and another is there twice; "
            f"{remedy}"
        )
    return pc.index_in(matrix.ids, value_set=ids).to_numpy()


def _finite(file: Path, matrix: Matrix, chunk: int) -> Iterator[np.ndarray]:
    row = 0
    for feature_ND in matrix.chunks(chunk):
        finite_N = np.isfinite(feature_ND).all(axis=1)
        if not finite_N.all():
            first = row + int(np.argmin(finite_N))
            name = f" ({matrix.ids[first].as_py()!r})" if matrix.ids is not None else ""
            raise HymaError(f"{file}: feature: NaN or infinite in row {first}{name}; extract it again")
        row += len(feature_ND)
        yield feature_ND


def _sorted(
    chunks: Iterator[np.ndarray], row_N: np.ndarray, shape: tuple[int, int], chunk: int, folder: Path
) -> Iterator[np.ndarray]:
    """Put rows where `row_N` says, by way of a nameless file in `folder`: they need not fit into memory."""
    with tempfile.TemporaryFile(dir=folder) as scratch:
        sorted_ND = np.memmap(scratch, np.float32, "w+", shape=shape)
        start = 0
        for feature_ND in chunks:
            place_N = row_N[start : start + len(feature_ND)]
            sorted_ND[place_N[place_N != UNUSED]] = feature_ND[place_N != UNUSED]
            start += len(feature_ND)
        for start in range(0, len(sorted_ND), chunk):
            yield sorted_ND[start : start + chunk]


def _with_ids(
    chunks: Iterator[np.ndarray], ids: pa.Array, unit_length: bool, bar: tqdm
) -> Iterator[tuple[list[str], np.ndarray]]:
    start = 0
    for feature_ND in chunks:
        stop = start + len(feature_ND)
        yield ids[start:stop].to_pylist(), unit(feature_ND) if unit_length else feature_ND
        bar.update(stop - start)
        start = stop
