"""The names and the few constants that params and code of every layer share."""

from typing import Annotated, Literal

from pydantic import StringConstraints

ConnectorKind = Literal["linear", "mlp1", "mlp2"]
NormaliseKind = Literal["l2", "standardise", "l2_standardise"]
DecoderKind = Literal["dense", "factorised"]
LeaksKind = Literal["report", "refuse", "drop"]
DeviceName = Literal["auto", "cpu", "cuda"]
Protocol = Literal["standard", "paper"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
"""The key of an encoder or a data set in params.yaml."""
PairName = tuple[str, str]
"""Slugs of an image encoder and a text encoder; written out they are joined by a hyphen."""
ORACLE, MAIN = "grid", "hyma"
"""The method that all others are held against, and the one that the project is about."""
TIE = 1e-6
"""Cosines no further apart than this are equal: a tie counts against whoever claims the rank."""
_ENDINGS = """
    apng avif avifs blp bmp bw cur dcx dds dib flc fli ftc ftu gif icb icns ico im j2c j2k jfif jp2 jpc jpe jpeg jpf
    jpg jpx msp pbm pcx pfm pgm png pnm ppm psd pxr qoi ras rgb rgba sgi tga tif tiff vda vst webp xbm xpm
"""
SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())
"""Endings of picture files: what Pillow opens, but for data, drawings and films that are no pictures."""


def paired(images: list[str], texts: list[str]) -> list[str]:
    """The pairs of these encoders as they are written, ``<image slug>-<text slug>``, image by image."""
    return [f"{image}-{text}" for image in images for text in texts]
