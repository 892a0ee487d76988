"""Recall of finished connectors on held-out captions, from files: what training said of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hyma.common import features, prepared
from hyma.common.prepared import IMAGES, QUESTIONS, TEXTS, Meta, Prepared, table
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching import grid
from hyma.stitching.held_out import HeldOut
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.training_set import load

CONNECTOR = ConnectorParams(hidden=8, normalise="standardise", logit_scale=20, holdout=0.25)
ROWS = 80


def test_the_recalls_are_those_of_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two captions a picture, features in several chunks; one-sided and two-sided connectors."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images = [{"id": str(row), "content": str(row), "protocol": "both"} for row in range(ROWS)]
    texts: list[dict[str, Any]] = [
        {"id": str(row), "text": f"text {row}", "image": row % ROWS, "protocol": "both"}
        for row in range(2 * ROWS)
    ]
    folder = tmp_path / "captions"
    data = Prepared(
        Meta("pairs", "made"), table(images, IMAGES), table(texts, TEXTS), QUESTIONS.empty_table()
    )
    prepared.write(folder, data)
    latent_ND = rng.normal(size=(ROWS, 6))
    values = {
        ("image", "i"): latent_ND @ rng.normal(size=(6, 5)),
        ("text", "t"): np.tile(latent_ND, (2, 1)) + 0.5 * rng.normal(size=(2 * ROWS, 6)),
    }
    for (side, slug), found in values.items():
        info = features.FeatureInfo(slug, prepared.read_meta(folder).data_hash, found.shape[1], 1.0)
        ids = [str(row) for row in range(len(found))]
        chunks = [(ids[part : part + 30], found[part : part + 30]) for part in range(0, len(found), 30)]
        features.write(features.file_of("training", side, slug, "captions"), info, chunks)  # type: ignore[arg-type]
    training = load(folder, ["i"], ["t"], CONNECTOR, 3, torch.device("cpu"))
    own = HeldOut(folder, CONNECTOR, 3)
    for found in (
        grid.search(training, GridParams(batch=30, epochs=3, lr=0.01), CONNECTOR, 3),
        hyma_search.search(training, HymaParams(bm=1, batch=30, epochs=2), CONNECTOR, 3, two_sided=True),
    ):
        assert 0.1 < found.scores["i-t"] < 1
        assert own.recalls(found.stitches) == pytest.approx(found.scores)
    assert HeldOut(folder, CONNECTOR, 4).recalls(found.stitches) != pytest.approx(found.scores)
