"""Whether a sentence-transformers model was given all of its weights: transformers warns, and draws what is missing.

What it finds of every checkpoint is noted while it loads. Nothing but a layer's effect tells whether the features need
it: of a model without its pooler, all is well as long as nobody looks there.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import PreTrainedModel

from hyma.common.files import read_json
from hyma.encoders.base.weights import misfit

BUFFERS = {"position_ids", "token_type_ids", "inv_freq"}
"""Last parts of names that stand for what a model works out by itself, and that older checkpoints hold."""
HEADS = {
    *(
        "classifier",
        "cls",
        "lm_head",
        "mlm_head",
        "pooler",
        "pre_classifier",
        "predictions",
        "qa_outputs",
        "score",
    ),
    *("discriminator_predictions", "generator_predictions", "logit_scale"),
    *("vocab_layer_norm", "vocab_projector", "vocab_transform"),
}
"""First parts of names of what other tasks have on top of a model."""
MODEL2VEC = {"embeddings", "mapping", "weights"}
"""The other names that a table of word vectors may have in its file."""
TEXTS = ["a", "two dogs on a red field", "12 keys, and one more"]


Noted = list[tuple[PreTrainedModel, dict[str, Any]]]
"""Models of transformers, and which of their weights were missing, unexpected or of another shape."""


@contextmanager
def noted() -> Iterator[Noted]:
    """Have what transformers finds of checkpoints noted, as long as this lasts."""
    found: Noted = []
    before = vars(PreTrainedModel)["from_pretrained"]

    def noting(cls: type, *given: Any, output_loading_info: bool = False, **more: Any) -> Any:
        # What has another shape is spoken of here: transformers would only point at a table in its log.
        more |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
        model, info = before.__func__(cls, *given, **more)
        found.append((model, info))
        return (model, info) if output_loading_info else model

    setattr(PreTrainedModel, "from_pretrained", classmethod(noting))  # noqa: B010
    try:
        yield found
    finally:
        setattr(PreTrainedModel, "from_pretrained", before)  # noqa: B010


def misfits(model: SentenceTransformer, found: Noted, source: str, revision: str | None) -> str:
    """Say what is wrong with the checkpoints of a model on the CPU, in single precision; nothing if nothing is.

    Weights that are missing and matter nothing are noise afterwards.

    Args:
        model: the model.
        found: what was noted while it was loaded.
        source: where it came from, a folder or a name on the hub.
        revision: of the hub's.
    """
    return ", ".join(filter(None, [*_of_bodies(model, found), *_of_modules(model, source, revision)]))


def _of_bodies(model: SentenceTransformer, found: Noted) -> Iterator[str]:
    for body, info in found:
        missing = set(info["missing_keys"])
        if missing and not _matter(model, body, missing):
            missing = set()
        unexpected = [name for name in info["unexpected_keys"] if not _beside(name, body)]
        yield misfit(missing, unexpected, (name for name, *_ in info["mismatched_keys"]))


def _of_modules(model: SentenceTransformer, source: str, revision: str | None) -> Iterator[str]:
    """Of modules beside those of transformers: they refuse what is missing, and some overlook what is too many."""
    first: Any = model[0]
    file = partial(first.load_file_path, source, revision=revision, local_files_only=True)
    listed = file("modules.json")
    for entry, module in zip(read_json(Path(listed)) if listed else [], model, strict=False):
        own = set(module.state_dict())
        weights = file("model.safetensors", subfolder=entry["path"]) if own else None
        if weights and not any(isinstance(each, PreTrainedModel) for each in module.modules()):
            with safe_open(weights, "pt") as content:
                names = set(content.keys())
            yield misfit([], names - (own if own & names else MODEL2VEC), [])


def _matter(model: SentenceTransformer, body: PreTrainedModel, names: Iterable[str]) -> bool:
    """Whether features change when these weights do."""
    before_BD = _features(model)
    own = {**dict(body.named_parameters()), **dict(body.named_buffers())}
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name in names:
            if name not in own:
                return True
            own[name].normal_(generator=chance)
    return not torch.equal(_features(model), before_BD)


def _features(model: SentenceTransformer) -> Tensor:
    return model.encode(TEXTS, convert_to_tensor=True, show_progress_bar=False)


def _beside(name: str, body: PreTrainedModel) -> bool:
    """Whether a weight that the model does not know belongs to another task's head, not to a layer too many."""
    parts = name.removeprefix(f"{body.base_model_prefix}.").split(".")
    if parts[-1] in BUFFERS:
        return True
    if parts[0] in dict(body.named_children()):
        return False
    # A checkpoint that another class wrote has what that one has on top, whatever its name.
    return parts[0] in HEADS or type(body).__name__ not in (body.config.architectures or [])
