"""What the sources of encoders share: how they name themselves, finish features, and say what they lack."""

import logging
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import Tensor

from hyma.common.errors import HymaError
from hyma.common.files import sha256, sha256_file
from hyma.encoders.base.params import EncoderParams, ImageEncoderParams
from hyma.encoders.base.weights import in_words

log = logging.getLogger(__name__)

CONTENT = {".safetensors", ".bin", ".model", ".json", ".txt"}
"""Endings of the files that a model's features depend on."""

MARKS = 4
"""Tokens that are no part of a text: its beginning, its end, and what else a tokeniser adds."""

NOT_TO_MEND = (HymaError, MemoryError, torch.OutOfMemoryError)
"""What no other weights would mend, or what has its line already."""


def field(params: EncoderParams, slug: str) -> str:
    """Return where an encoder stands, for errors: ``params.yaml: image_encoders.vit``."""
    modality = "image" if isinstance(params, ImageEncoderParams) else "text"
    return f"params.yaml: {modality}_encoders.{slug}"


def identity(
    *parts: object,
    chosen: Sequence[str] = (),
    unit_length: bool = False,
    precision: torch.dtype = torch.float32,
) -> str:
    """Return all that features depend on as one line.

    What was `chosen` among an encoder's features, length and precision are named when they are special.
    """
    extra = [*chosen, *(["unit length"] if unit_length else [])]
    extra += [] if precision == torch.float32 else [str(precision).removeprefix("torch.")]
    return "|".join(map(str, [*parts, *extra]))


def transform_of(identity: str) -> str:
    """Return what an encoder's identity says of its transform; nothing for texts."""
    return "|".join(identity.split("|")[4:])


def digest(folder: Path) -> str:
    """Return the hex digest of all files of a model's folder that its features depend on."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in CONTENT)
    return sha256(*(sha256_file(path) for path in files))


def to_numpy(feature_BD: Tensor, unit_length: bool) -> np.ndarray:
    """Return a model's output as float32 [B, D] in main memory, each row divided by its length if asked for."""
    feature = feature_BD.float().cpu().numpy()
    return unit(feature) if unit_length else feature


def unit(feature_ND: np.ndarray) -> np.ndarray:
    """Divide each row by its length; a row of zeros stays one."""
    length_N1 = np.linalg.norm(feature_ND, axis=1, keepdims=True)
    return feature_ND / np.maximum(length_N1, np.finfo(feature_ND.dtype).tiny)


def unchanged(text: str) -> str:
    """Return a text as it is: the transform of encoders that tokenise by themselves."""
    return text


def may_be_longer(texts: Iterable[str], tokens: int) -> list[str]:
    """Return the texts that may have more than so many tokens: a token is a byte at least, or a mark at an end."""
    return [text for text in texts if len(text.encode(errors="replace")) > tokens - MARKS]


@contextmanager
def in_one_line(line: Callable[[Exception], HymaError]) -> Iterator[None]:
    """Whatever a library raises becomes the line that `line` makes of it: they raise anything at all."""
    try:
        yield
    except NOT_TO_MEND:
        raise
    except Exception as error:
        log.debug("%s", error, exc_info=error)
        raise line(error) from None


def reason(error: Exception) -> str:
    """Return an error's message on one short line."""
    if isinstance(
        error, UnpicklingError
    ):  # its own message teaches how to load the file in spite of the danger
        return "damaged, or more than tensors in it"
    if isinstance(error, KeyError):
        return f"no {error} in it"
    return in_words(error) or textwrap.shorten(str(error) or type(error).__name__, 200, placeholder=" …")


def unreachable(field: str, wanted: str, error: Exception, remedy: str) -> HymaError:
    """Return the error for what a hub did not give.

    Args:
        field: of params.yaml, that names it.
        wanted: repository and file.
        error: what the hub's client said.
        remedy: where to put the file by hand.
    """
    if misfit := in_words(error):
        return HymaError(f"{field}: {wanted} {misfit}; name weights that belong to the model")
    return HymaError(
        f"{field}: cannot get {wanted} from the hub ({reason(error)}); connect to it once, or {remedy}"
    )


def like(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names for a name that is none: those that begin with it, then the most alike."""
    names = list(known)
    begun = [each for each in names if each.startswith(name)]
    return list(dict.fromkeys([*begun, *get_close_matches(name, names, n=3)]))[:3]
