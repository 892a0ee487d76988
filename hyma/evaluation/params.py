"""The params section of evaluation."""

from pydantic import Field

from hyma.common.names import Protocol
from hyma.common.params import Section


class EvaluateParams(Section):
    """Section ``evaluate``."""

    protocol: Protocol = Field("standard", description="which protocol's scores rank the pairs")
