"""The stitched model: two frozen encoders and the connector between them, ready to classify and to search.

Letters: N pictures, M texts, C labels, D the width of the shared space.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor
from tqdm import tqdm

from hyma.common import device
from hyma.common.errors import HymaError
from hyma.common.files import sha256
from hyma.encoders.base.load import Encoder
from hyma.encoders.base.params import EncoderParams
from hyma.model import config as configs
from hyma.model import export, inputs, loading
from hyma.model.index import Hit, ImageIndex
from hyma.model.inputs import Picture
from hyma.model.open_clip_view import OpenClipView
from hyma.model.sides import Side
from hyma.stitching import connectors
from hyma.stitching.connectors import Stitch

AnyEncoder = Encoder | EncoderParams


class StitchedModel(
    PyTorchModelHubMixin,
    library_name="hyma",
    tags=["hyma", "model-stitching"],
    pipeline_tag="zero-shot-image-classification",
):
    """A vision–language model: pictures and texts as unit vectors of one space.

    >>> from PIL import Image
    >>> from hyma import StitchedModel
    >>> model = StitchedModel.from_pretrained("models/best")
    >>> pictures = [Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")]
    >>> model.classify(pictures, ["red", "green", "blue"], ["a {} picture", "something {}"]).shape
    torch.Size([2, 3])
    >>> model.encode_image(pictures) @ model.encode_text(["a red square"]).T  # cosines, [2, 1]
    tensor(...)

    The encoders are loaded when they are first needed, each for itself.
    """

    def __init__(
        self,
        stitch: Stitch,
        image_encoder: AnyEncoder | None = None,
        text_encoder: AnyEncoder | None = None,
        *,
        logit_scale: float = 100.0,
        device: str = "auto",
        dtype: torch.dtype = torch.float32,
        pair: str = "image-text",
        method: str | None = None,
        protocol: str | None = None,
    ):
        """Put a model together from a connector and two encoders.

        Args:
            stitch: the pair's connector, from a search.
            image_encoder: what the section ``image_encoders.<slug>`` says, or any object of the form
                `hyma.encoders.base.load.Encoder`; None: only `embed_image` works.
            text_encoder: the same for texts.
            logit_scale: what cosines are multiplied by before a softmax.
            device: ``auto``, ``cpu`` or ``cuda``.
            dtype: precision of the encoders' forward pass; embeddings are float32 whatever it is.
            pair: ``<image slug>-<text slug>``.
            method: the search method that made the connector.
            protocol: the evaluation protocol that ranked the pairs.
        """
        self.device = _device(device)
        self.stitch, self.logit_scale = stitch.to(self.device), logit_scale
        self.pair, self.method, self.protocol = pair, method, protocol
        image, _, text = pair.partition("-")
        self.image_side = Side("image", image, image_encoder, stitch.spec.d_image, self.device, dtype)
        self.text_side = Side("text", text, text_encoder, stitch.spec.d_text, self.device, dtype)
        self.folder: Path | None = None

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        model: str | Path,
        *,
        device: str = "auto",
        dtype: torch.dtype = torch.float32,
        image_encoder: Encoder | None = None,
        text_encoder: Encoder | None = None,
        **hub: Any,
    ) -> Self:
        """Load a model from a folder, or from a repository of the Hugging Face hub.

        Args:
            model: the folder that `save_pretrained`, `dvc repro` or `hyma export` wrote, or ``owner/name``.
            device: ``auto``, ``cpu`` or ``cuda``.
            dtype: precision of the encoders' forward pass.
            image_encoder: in place of the one that config.json names; has to give the same features.
            text_encoder: the same for texts.
            hub: options of `huggingface_hub.snapshot_download`, such as ``revision``, ``token`` or ``cache_dir``.

        Raises:
            HymaError: if there is no such model, or a file is missing, altered or of another format version.
        """
        folder = loading.folder_of(model, hub)
        config = configs.read(folder)
        made = cls(
            loading.stitch_of(folder, config),
            image_encoder,
            text_encoder,
            logit_scale=config.logit_scale,
            device=device,
            dtype=dtype,
            pair=config.pair,
            method=config.method,
            protocol=config.protocol,
        )
        made.folder = folder
        for side, given in ((made.image_side, image_encoder), (made.text_side, text_encoder)):
            if given is None:
                side.of_folder(folder, config)
        return made

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write the model into a folder, in place of a model that is there; `options` are the mixin's."""
        export.clear(self, Path(save_directory))
        return super().save_pretrained(save_directory, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write config.json, connector.safetensors, local weights of the encoders and a README.md."""
        export.write(self, save_directory)

    @property
    def dim(self) -> int:
        """The width of the shared space."""
        return self.stitch.spec.shared or self.stitch.spec.d_image

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of the connector and of the image encoder: equal for equal embeddings of pictures."""
        tensors = sorted(connectors.tensors(self.pair, self.stitch).items())
        content = [part for name, tensor in tensors for part in (name, tensor.numpy().tobytes())]
        return sha256(self.image_side.key, *content)

    @property
    def preprocess(self) -> Any:
        """Turns a PIL picture into the image encoder's input [3, H, W]."""
        return self.image_side.encoder.transform

    def encode_image(
        self, images: Iterable[Picture] | Tensor, batch_size: int = 64, progress: bool = False
    ) -> Tensor:
        """Encode pictures.

        Args:
            images: PIL pictures, paths or arrays [H, W, 3] of uint8, as many as you like, opened as they are needed;
                or a tensor [N, 3, H, W] of pictures that `preprocess` made.
            batch_size: pictures encoded at once.
            progress: show a progress bar.

        Returns:
            Unit vectors [N, D], float32, on the CPU.

        Raises:
            HymaError: if there is no picture, one cannot be read, or it is none.
        """
        found = list(self.embedded(images, batch_size, progress))
        if not found:
            raise HymaError("images: none given; give at least one picture")
        return torch.cat(found)

    def embedded(
        self, images: Iterable[Picture] | Tensor, batch_size: int = 64, progress: bool = False
    ) -> Iterator[Tensor]:
        """Yield the unit vectors of pictures batch by batch, [n, D] each, in the memory of one batch."""
        size = inputs.count(batch_size, "batch_size")
        images = inputs.pictures(images, self.image_side.shape if isinstance(images, Tensor) else None)
        total = len(images) if isinstance(images, Sized) else None
        with tqdm(total=total, desc="images", unit="image", disable=None if progress else True) as bar:
            # One picture at a time becomes an input: of large ones, a batch would fill the memory.
            waiting = images if isinstance(images, Tensor) else map(self._input, images)
            for batch in inputs.batches(waiting, size):
                input_B3HW = batch if isinstance(batch, Tensor) else torch.stack(batch)
                yield self.embed_image(self.image_side.encode(input_B3HW))
                bar.update(len(input_B3HW))

    def _input(self, picture: Picture) -> Tensor:
        return self.preprocess(inputs.opened(picture))

    def encode_text(self, texts: Sequence[str], batch_size: int = 256) -> Tensor:
        """Encode texts; return unit vectors [M, D], float32, on the CPU.

        Raises:
            HymaError: if there is no text, or something that is none.
        """
        texts, size = inputs.strings(texts, "texts"), inputs.count(batch_size, "batch_size")
        if not texts:
            raise HymaError("texts: none given; give at least one")
        encode = self.text_side.encode
        return torch.cat([self.embed_text(encode(part)) for part in inputs.batches(texts, size)])

    @torch.no_grad()
    def embed_image(self, feature_ND: Tensor) -> Tensor:
        """Carry features [N, D_image] of the image encoder into the shared space: unit vectors [N, D].

        Raises:
            HymaError: if they are of another shape, or hold NaN or infinite values.
        """
        feature_ND = inputs.features(feature_ND, self.stitch.spec.d_image, "image features")
        return self.stitch.embed_image(feature_ND.to(self.device, torch.float32)).cpu()

    @torch.no_grad()
    def embed_text(self, feature_ME: Tensor) -> Tensor:
        """Carry features [M, D_text] of the text encoder into the shared space: unit vectors [M, D].

        Raises:
            HymaError: as `embed_image`.
        """
        feature_ME = inputs.features(feature_ME, self.stitch.spec.d_text, "text features")
        return self.stitch.embed_text(feature_ME.to(self.device, torch.float32)).cpu()

    def classify(
        self,
        images: Iterable[Picture] | Tensor,
        labels: Sequence[str],
        templates: Sequence[str] = ("{}",),
        batch_size: int = 64,
        progress: bool = False,
    ) -> Tensor:
        """Say how likely each label is for each picture (zero-shot classification).

        Args:
            images: as for `encode_image`.
            labels: what to choose from, two at least.
            templates: sentences with ``{}`` where the label goes. A label's vector is the mean of its sentences'
                unit vectors, brought to unit length (Radford et al. 2021).
            batch_size: pictures encoded at once.
            progress: show a progress bar.

        Returns:
            Probabilities [N, C]: the softmax of cosines times `logit_scale`.

        Raises:
            HymaError: if there are fewer than two labels, a template has no place for them, or as `encode_image`.
        """
        label_CD = self.label_vectors(labels, templates)
        image_ND = self.encode_image(images, batch_size, progress)
        return (self.logit_scale * image_ND @ label_CD.T).softmax(-1)

    def label_vectors(self, labels: Sequence[str], templates: Sequence[str] = ("{}",)) -> Tensor:
        """Return a unit vector for each label, [C, D]; see `classify`."""
        labels, templates = inputs.several(labels), inputs.sentences(templates)
        texts = [template.replace("{}", label) for label in labels for template in templates]
        text_CTD = self.encode_text(texts).reshape(len(labels), len(templates), -1)
        return torch.nn.functional.normalize(text_CTD.mean(1), dim=-1)

    def search(self, query: str, index: ImageIndex, top: int = 10) -> list[Hit]:
        """Return the `top` pictures of an index that a text describes best, best first.

        Raises:
            HymaError: if the query is no text, or the index was made with another model.
        """
        if not isinstance(index, ImageIndex):
            raise HymaError(f"index: {inputs.described(index)} given; give an ImageIndex")
        text, count = inputs.asked(query), inputs.count(top, "top")
        index.check(self.fingerprint)
        return index.nearest(self.encode_text([text])[0], count)

    def as_open_clip(self) -> OpenClipView:
        """The model as open_clip shapes one: for code that evaluates such models, CLIP_benchmark for one."""
        return OpenClipView(self)

    def __repr__(self) -> str:
        image, text = self.image_side.name, self.text_side.name
        return f"StitchedModel({image} × {text}, {self.dim} wide, on {self.device})"


def _device(name: str) -> torch.device:
    return device.resolve(name, "device")
