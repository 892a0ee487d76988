"""A text encoder of nothing but captions: TF-IDF and truncated SVD, latent semantic analysis, by scikit-learn.

It is written as a sentence-transformers folder. A text's TF-IDF row times the SVD's directions V is a sum over its
words of idf · V, up to the row's length; so the mean of such word vectors, brought to length 1, is the LSA vector
brought to length 1.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Split
from torch import nn

UNKNOWN = "[UNK]"
WORD = r"\b\w\w+\b"
"""What scikit-learn takes for a word, too."""


def fit(captions: Sequence[str], dimensions: int) -> tuple[TfidfVectorizer, TruncatedSVD]:
    """Fit both on captions."""
    words = TfidfVectorizer()
    svd = TruncatedSVD(dimensions, n_iter=10, random_state=0)
    svd.fit(words.fit_transform(captions))
    return words, svd


def write(folder: Path, captions: Sequence[str], dimensions: int) -> None:
    """Fit on captions and write the encoder to `folder`."""
    encoder(*fit(captions, dimensions)).save(str(folder), create_model_card=False)


def encoder(words: TfidfVectorizer, svd: TruncatedSVD) -> SentenceTransformer:
    """The encoder whose features are the LSA vectors, of length 1; a text of unknown words alone has the vector 0."""
    terms = [UNKNOWN, *words.get_feature_names_out().tolist()]
    vector_VD = words.idf_[:, None] * svd.components_.T
    table_VD = np.concatenate([np.zeros((1, vector_VD.shape[1])), vector_VD]).astype(np.float32)
    tokenizer = Tokenizer(WordLevel({term: number for number, term in enumerate(terms)}, unk_token=UNKNOWN))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Split(Regex(WORD), behavior="removed", invert=True)
    modules: list[nn.Module] = [StaticEmbedding(tokenizer, embedding_weights=table_VD), Normalize()]
    return SentenceTransformer(modules=modules, device="cpu")
