"""Which precision forward passes compute in."""

import torch

from hyma.common.names import Precision

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve(name: Precision, device: torch.device) -> torch.dtype:
    """Return the type for ``fp32``, ``bf16``, ``fp16`` or ``auto``: half precision on a GPU, single on a CPU."""
    if name == "auto":
        name = "fp16" if device.type == "cuda" else "fp32"
    return DTYPES[name]


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Compute in `dtype` where that is safe; float32 changes nothing."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
