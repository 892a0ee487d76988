"""The params section of the embedded world: how much of each set is drawn."""

from pydantic import Field

from hyma.common.params import Section


class WorldParams(Section):
    """Section ``world``; counts are pictures unless they say otherwise."""

    seed: int = Field(0, ge=0, lt=2**31)
    train_pairs: int = Field(10_000, ge=1, description="captioned training pictures")
    label_images: int = Field(8_000, ge=1, description="labelled pictures that train the image zoo")
    corpus_lines: int = Field(12_000, ge=10, description="sentences that train the text zoo")
    imagenet_per_class: int = Field(25, ge=1)
    cifar_per_class: int = Field(10, ge=1)
    coco_images: int = Field(400, ge=1, description="Karpathy test pictures")
    coco_2017_images: int = Field(200, ge=1)
    flickr_images: int = Field(400, ge=1, description="test pictures")
    okvqa_questions: int = Field(800, ge=1)
    textvqa_questions: int = Field(800, ge=1)
