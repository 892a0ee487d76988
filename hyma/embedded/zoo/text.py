"""Training a small text encoder on paraphrases alone, saved as a sentence-transformers folder."""

import csv
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding, Transformer
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer, WordLevelTrainer
from torch.nn import functional
from tqdm import tqdm
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from hyma.common.files import atomic, read_json
from hyma.embedded.zoo.params import HEADS, ZooTextParams

BATCH = 256
PIECES = 300
"""Pieces of letters that an encoder which spells knows."""
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
Loss = Callable[[torch.Tensor, torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]
"""Two sides of a batch and the scale of their cosines → loss and accuracy."""


def train(sentences: Path, out: Path, params: ZooTextParams, seed: int, loss: Loss) -> float:
    """Train on a tsv of (group, sentence), sentences of a group belonging together; write the model to `out`.

    Args:
        sentences: the tsv; beside it words.json says what words are about.
        out: the model's folder.
        params: what is trained.
        seed: of weights and batches.
        loss: the contrastive loss: texts [B, D], their paraphrases of unit length [B, D], the scale of cosines.

    Returns:
        The last epoch's mean accuracy at finding a sentence's paraphrase in its batch.
    """
    unknown = _unknown(sentences.with_name("words.json"), params)
    groups = [[_without(sentence, unknown) for sentence in group] for group in _groups(sentences)]
    torch.use_deterministic_algorithms(True, warn_only=True)
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as scratch:
        torch.manual_seed(seed)
        tokens, build = {
            "letters": (_pieces, _mean),
            "words": (_whole_words, _mean),
            "transformer": (_whole_words, _transformer),
        }[params.kind]
        tokenizer = tokens([sentence for group in groups for sentence in group])
        model = build(tokenizer, params, Path(scratch))
        accuracy = _fit(model, groups, params, np.random.default_rng(seed), loss)
    with atomic(out) as folder:
        model.half().save(str(folder), create_model_card=False)
    return accuracy


def _unknown(words: Path, params: ZooTextParams) -> set[str]:
    """The words that it is never shown; `words` lists those of each aspect, entry by entry."""
    if not params.without and params.things is None:
        return set()
    entries = read_json(words)
    unknown = {word for aspect in params.without for entry in entries[aspect] for word in entry}
    if params.things is not None:
        named = entries["thing"]
        known = {word for entry in named[: params.things] for word in entry}
        unknown |= {word for entry in named[params.things :] for word in entry} - known
    return unknown


def _without(sentence: str, unknown: set[str]) -> str:
    """The sentence with these words taken out."""
    return " ".join(word for word in sentence.split() if word.lower().strip(".,?:") not in unknown)


def _pieces(sentences: list[str]) -> Tokenizer:
    """Pieces of a few letters, so that every word can be spelt."""
    tokenizer = Tokenizer(BPE(unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.train_from_iterator(
        sentences, BpeTrainer(vocab_size=PIECES, special_tokens=SPECIAL, show_progress=False)
    )
    return tokenizer


def _groups(sentences: Path) -> list[list[str]]:
    groups = defaultdict(list)
    with sentences.open(encoding="utf-8", newline="") as stream:
        for group, sentence in csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            groups[group].append(sentence)
    return [group for group in groups.values() if len(group) > 1]


def _whole_words(sentences: list[str]) -> Tokenizer:
    """One token a word or punctuation mark; words seen once are unknown."""
    tokenizer = Tokenizer(WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.train_from_iterator(
        sentences, WordLevelTrainer(special_tokens=SPECIAL, min_frequency=2, show_progress=False)
    )
    return tokenizer


def _mean(tokenizer: Tokenizer, params: ZooTextParams, _: Path) -> SentenceTransformer:
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=params.dim)], device="cpu")


def _transformer(tokenizer: Tokenizer, params: ZooTextParams, scratch: Path) -> SentenceTransformer:
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(mark, SPECIAL.index(mark)) for mark in ("[CLS]", "[SEP]")]
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=params.dim,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        intermediate_size=2 * params.dim,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(scratch)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(scratch)
    body = Transformer(str(scratch), max_seq_length=64)
    return SentenceTransformer(modules=[body, Pooling(params.dim)], device="cpu")


def _fit(
    model: SentenceTransformer,
    groups: list[list[str]],
    params: ZooTextParams,
    rng: np.random.Generator,
    contrast: Loss,
) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=params.lr, weight_decay=0.01)
    accuracy = 0.0
    model.train()
    # A group of many sentences is drawn more often: once for every four of them.
    often = np.repeat(np.arange(len(groups)), [-(-len(group) // 4) for group in groups])
    size = min(BATCH, len(groups))
    for _ in tqdm(range(params.epochs), desc=params.kind, unit="epoch", disable=None):
        order = rng.permutation(often)
        accuracies = []
        for start in range(0, len(order) - size + 1, size):
            sides = [rng.choice(groups[row], 2, replace=False) for row in order[start : start + size]]
            left_BD, right_BD = (_embed(model, [str(pair[side]) for pair in sides]) for side in (0, 1))
            loss, step_accuracy = contrast(left_BD, functional.normalize(right_BD, dim=-1), 20.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            accuracies.append(float(step_accuracy))
        accuracy = float(np.mean(accuracies)) if accuracies else 0.0
    model.eval()
    return accuracy


def _embed(model: SentenceTransformer, sentences: list[str]) -> torch.Tensor:
    return model(model.preprocess(sentences))["sentence_embedding"]
