"""CIFAR-100's test split, from the original pickles, read without executing anything."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hyma.common.errors import HymaError
from hyma.common.prepared import Prepared
from hyma.readers.base.common import classification, field, first_of
from hyma.readers.base.params import DataSource

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


class _PlainUnpickler(pickle.Unpickler):
    """Admits numpy arrays and plain containers: a pickle that asks for anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read(root: Path, source: DataSource) -> Prepared:
    """Read ``cifar-100-python/test`` and ``meta``; names get spaces for underscores."""
    folder = root / "cifar-100-python"
    test, meta = (_unpickle(first_of(root, f"cifar-100-python/{name}")) for name in ("test", "meta"))
    names = field(meta, b"fine_label_names", folder / "meta", "top level")
    classes = [name.decode().replace("_", " ") for name in names]
    data = np.asarray(field(test, b"data", folder / "test", "top level"))
    labels = field(test, b"fine_labels", folder / "test", "top level")
    if data.ndim != 2 or data.shape[1] != 3072 or len(labels) != len(data):
        raise HymaError(f"{folder / 'test'}: data: should be N×3072 with a label each, it is {data.shape}")
    images = [
        {
            "id": f"test/{row}",
            "image": {"bytes": _png(pixels), "path": None},
            "label": label,
            "protocol": "both",
        }
        for row, (pixels, label) in enumerate(zip(data, labels, strict=True))
    ]
    return classification(images, classes, source, "cifar100")


def _unpickle(file: Path) -> Any:
    try:
        return _PlainUnpickler(io.BytesIO(file.read_bytes()), encoding="bytes").load()
    except Exception as error:
        raise HymaError(
            f"{file}: not one of CIFAR-100's pickles ({error}); unpack the archive again"
        ) from None


def _png(pixels: np.ndarray) -> bytes:
    """A channel-major row of 3072 values as a PNG."""
    stream = io.BytesIO()
    picture = pixels.astype(np.uint8).reshape(3, 32, 32).transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, "PNG")
    return stream.getvalue()
