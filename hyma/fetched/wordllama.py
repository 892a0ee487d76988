"""WordLlama: static vectors of a large language model's tokens, 256 dimensions, from the PyPI package of that name.

Written as a sentence-transformers folder: a text's feature is the mean of its tokens' vectors, as the package has it.
Its first dimensions are vectors of their own (they were trained so), which `truncate_dim` takes.
"""

from pathlib import Path

from safetensors.torch import load
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from hyma.fetched import packages

NAME, VERSION = "wordllama", "0.4.0.post1"
WEIGHTS = (
    "wordllama/weights/l2_supercat_256.safetensors",
    "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
)
TOKENIZER = (
    "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
    "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
)
"""File in the package, and its SHA-256."""


def fetch(into: Path) -> None:
    """Write the model into `into`.

    Raises:
        HymaError: if the package cannot be had, or holds something else.
    """
    vectors = load(packages.pypi(NAME, VERSION, *WEIGHTS))["embedding.weight"].float()
    tokenizer = Tokenizer.from_buffer(packages.pypi(NAME, VERSION, *TOKENIZER))
    table = StaticEmbedding(tokenizer, embedding_weights=vectors.numpy())
    SentenceTransformer(modules=[table], device="cpu").save(str(into), create_model_card=False)
