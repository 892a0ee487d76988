"""The params section of evaluation."""

from pydantic import Field

from hyma.common.names import Protocol
from hyma.common.params import Section


class EvaluateParams(Section):
    """Section ``evaluate``."""

    protocol: Protocol = Field("standard", description="which protocol's scores rank the pairs")
    salt: int = Field(
        0,
        ge=0,
        lt=2**31,
        description="another one parts every benchmark into other halves, to choose by and to report",
    )
