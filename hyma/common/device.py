"""Which device to compute on."""

import os

import torch

from hyma.common.errors import HymaError


def resolve(name: str, place: str = "params.yaml: device") -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``; make results repeatable on it.

    `place` says in errors where the name stands.

    Raises:
        HymaError: if cuda is asked for and not there.
    """
    # As use_deterministic_algorithms(True, warn_only=True), but without importing torch's compiler (1.5 s a stage).
    torch.set_deterministic_debug_mode("warn")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise HymaError(f"{place}: cuda is not available on this machine; set it to auto or cpu")
    if name == "cuda":
        # cuBLAS repeats itself only with a workspace of fixed size, and reads this when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return torch.device(name)


def free_memory(place: torch.device) -> int:
    """Return the bytes that are free on a device: a GPU's memory, or the machine's."""
    if place.type == "cuda":
        free, _ = torch.cuda.mem_get_info(place)
        return int(free)
    import psutil  # not needed on a GPU

    return int(psutil.virtual_memory().available)
