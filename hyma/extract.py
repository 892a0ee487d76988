"""Extraction: prepared data set × encoder → one feature file, streamed chunk by chunk."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from tqdm import tqdm

from hyma import features, prepared
from hyma.encoders.load import Encoder
from hyma.encoders.params import ExtractParams


def extract(
    encoder: Encoder, modality: str, folder: Path, out: Path, params: ExtractParams, row_flops: float
) -> None:
    """Encode all images or texts of a prepared data set into a feature file.

    Memory holds one chunk of features and one batch of pictures, however large the data set.

    Args:
        encoder: what to encode with.
        modality: ``image`` or ``text``.
        folder: the prepared data set.
        out: the feature file to write.
        params: batch and chunk sizes.
        row_flops: what `hyma.encoders.flops.flops_per_row` says of the encoder; kept with the features.
    """
    meta = prepared.read_meta(folder)
    table, column = ("images", "image") if modality == "image" else ("texts", "text")
    source = pq.ParquetFile(folder / f"{table}.parquet", memory_map=True)
    info = features.FeatureInfo(encoder.identity, meta.data_hash, encoder.dim, row_flops)
    total = source.metadata.num_rows
    with tqdm(total=total, desc=f"{out.parent.name}/{out.stem}", unit=modality, disable=None) as bar:
        features.write(out, info, _chunks(encoder, source, column, params, bar))


def _chunks(
    encoder: Encoder, source: pq.ParquetFile, column: str, params: ExtractParams, bar: tqdm
) -> Iterator[tuple[list[str], np.ndarray]]:
    for rows in source.iter_batches(params.chunk, columns=["id", column]):
        items = rows[column].to_pylist()
        # Texts of like length share a batch, so that padding costs little.
        order = (
            sorted(range(len(items)), key=lambda row: len(items[row]))
            if column == "text"
            else range(len(items))
        )
        feature_ND = np.empty((len(items), encoder.dim), np.float32)
        for start in range(0, len(items), params.batch):
            chosen = list(order[start : start + params.batch])
            feature_ND[chosen] = encoder.encode([encoder.prepare(_open(items[row])) for row in chosen])
            bar.update(len(chosen))
        yield rows["id"].to_pylist(), feature_ND


def _open(item: Any) -> Any:
    """A text as it is; a picture from its bytes or path."""
    if isinstance(item, str):
        return item
    with Image.open(io.BytesIO(item["bytes"]) if item["bytes"] else item["path"]) as image:
        image.load()
        return image
