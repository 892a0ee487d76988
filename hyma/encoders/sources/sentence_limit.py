"""How many tokens a sentence-transformers model reads of a text: what its config says, as far as it has positions."""

import math

from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import PreTrainedModel

TABLES = {"position_embeddings", "position_embedding", "embed_positions", "wpe"}
"""What transformers calls the table of positions that a model learned; others it works out for any length."""


def clamped(model: SentenceTransformer) -> int | None:
    """Bring the tokens that a model reads down to the positions that it has; return how many; None is any number."""
    allowed = model.get_max_seq_length() or math.inf
    there = min(map(_positions, _bodies(model)), default=math.inf)
    if there < allowed:
        model.max_seq_length = allowed = there
    # transformers' way to say that there is no limit is a very large number.
    return None if allowed > 10**9 else int(allowed)


def _bodies(model: SentenceTransformer) -> list[PreTrainedModel]:
    return [module for module in model.modules() if isinstance(module, PreTrainedModel)]


def _positions(body: PreTrainedModel) -> float:
    """How many positions a model of texts has; those before the first one, as RoBERTa has them, do not count."""
    found = [math.inf]
    for name, table in body.named_modules():
        above, _, own = name.rpartition(".")
        if own in TABLES and isinstance(table, nn.Embedding) and "vision" not in above:
            padding = getattr(body.get_submodule(above), "padding_idx", None)
            before = padding + 1 if isinstance(padding, int) else getattr(table, "offset", 0)
            found.append(table.num_embeddings - before)
    return min(found)
