"""What may be chosen among the features that an encoder has: a layer by its number, and how many values of each."""

from hyma.common.errors import HymaError

STATES = "hidden states, the first of which goes into the first layer"
"""What a transformer's layers are counted by."""


def position(layer: int, count: int, what: str, place: str) -> int:
    """Return the number of a layer from the first, 0, given from the first or, below 0, from the end.

    Args:
        layer: as in params.yaml.
        count: how many there are.
        what: they are, for errors.
        place: where the encoder stands, for errors.

    Raises:
        HymaError: if there is none of that number.
    """
    if -count <= layer < count:
        return layer % count
    raise HymaError(
        f"{place}.layer: {layer}, but there are {count} {what}; give 0 to {count - 1}, or -{count} to -1 from the end"
    )


def width(wanted: int | None, dim: int, place: str) -> int:
    """Return how many values of features that are `dim` wide are kept.

    Raises:
        HymaError: if more are wanted than there are.
    """
    if wanted is not None and wanted > dim:
        raise HymaError(
            f"{place}.truncate_dim: {wanted}, but the features are {dim} wide; give less, or leave it out"
        )
    return wanted or dim
