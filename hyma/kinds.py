"""The closed sets of names that params and code share."""

from typing import Literal

ConnectorKind = Literal["linear", "mlp1", "mlp2"]
NormaliseKind = Literal["l2", "standardise", "l2_standardise"]
DecoderKind = Literal["dense", "factorised"]
DeviceName = Literal["auto", "cpu", "cuda"]
Protocol = Literal["standard", "paper"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
