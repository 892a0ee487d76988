"""A stitched model in the shape that open_clip gives its models, for code that works with those.

Letters: B a batch, H, W a picture's height and width, L a text's length, D the width of the shared space.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from hyma.common.errors import HymaError
from hyma.model import inputs
from hyma.model.shapes import Embedder


class OpenClipView(nn.Module):
    """What `open_clip.create_model_and_transforms` gives, in one object: the model, `preprocess`, `tokenizer`.

    Text encoders tokenise by themselves here, each in its own way, so what stands for tokens is the text
    itself: its bytes in UTF-8.
    """

    def __init__(self, model: Embedder):
        super().__init__()
        self.model = [model]  # in a list: not a part that `nn.Module` should look into
        self.logit_scale = nn.Parameter(torch.tensor(model.logit_scale).log(), requires_grad=False)
        self.visual = nn.Identity()  # some callers ask whether it is there

    @property
    def preprocess(self) -> Any:
        """Turns a PIL picture into input [3, H, W]."""
        return self.model[0].preprocess

    @staticmethod
    def tokenizer(texts: str | list[str]) -> Tensor:
        """Turn texts into int64 [B, L]: bytes plus one, 0 where a text has ended.

        Raises:
            HymaError: if there is none, or something that is no text.
        """
        texts = inputs.strings(texts, "texts")
        if not texts:
            raise HymaError("texts: none given; give at least one")
        rows = [torch.tensor(list(text.encode()), dtype=torch.int64) + 1 for text in texts]
        return pad_sequence(rows, batch_first=True)

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        """Encode transformed pictures [B, 3, H, W]; return [B, D], unit vectors whatever `normalize` is.

        Raises:
            HymaError: if it is no such tensor.
        """
        del normalize
        if not isinstance(image, Tensor) or not image.ndim or not len(image):
            raise HymaError(f"image: {inputs.described(image)} given; give a tensor [B, 3, H, W] of pictures")
        return self.model[0].encode_image(image, batch_size=len(image)).to(image.device)

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        """Encode what `tokenizer` made, [B, L]; return [B, D], unit vectors whatever `normalize` is.

        Raises:
            HymaError: if it is anything else.
        """
        del normalize
        if not isinstance(text, Tensor) or text.ndim != 2 or text.dtype != torch.int64:
            raise HymaError(
                f"text: {inputs.described(text)} given; give what `tokenizer` made, [B, L] of int64"
            )
        try:
            texts = [bytes((row[row > 0] - 1).tolist()).decode() for row in text.cpu()]
        except ValueError:
            raise HymaError("text: no tokens of this model; give what its own `tokenizer` made") from None
        return self.model[0].encode_text(texts).to(text.device)

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return both sides' unit vectors [B, D] and the factor that cosines are multiplied by."""
        return self.encode_image(image), self.encode_text(text), self.logit_scale.exp()
