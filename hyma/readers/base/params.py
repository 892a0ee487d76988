"""The params section of one data set."""

from typing import Literal

from pydantic import Field

from hyma.common.params import Section

Published = Literal["llava", "imagenet", "cifar100", "coco", "flickr8k", "okvqa", "textvqa"]
Own = Literal["captions", "webdataset", "folders"]


class DataSource(Section):
    """An entry of ``training`` or ``benchmarks``."""

    format: Published | Own
    path: str = Field(
        min_length=1,
        description="folder with the data set as it was unpacked; for captions, the table itself will do",
    )
    max_unreadable: float = Field(
        0.01, ge=0, le=1, description="share of images or texts that may be skipped as broken or empty"
    )
    max_leaked: float = Field(
        0.1, ge=0, le=1, description="share of a benchmark's pictures that may be training pictures, too"
    )
    max_answers: int = Field(100, ge=1, description="length of the closed answer list (okvqa, textvqa)")
