"""The search in memory: what it finds, what it says of it, and what it says of wrong arguments."""

import doctest
import sys
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import torch

import hyma
from hyma import methods
from hyma.common.errors import HymaError
from hyma.common.params import by_rule
from hyma.memory import search_pairs as pairs
from hyma.memory.pair_ranking import Ranking
from hyma.memory.search_pairs import search_pairs
from hyma.methods.shared.run import known, model, run_method
from hyma.ranking.agreement import agreement
from hyma.search import hyma_search
from hyma.search.params import HymaParams
from hyma.stitching import grid
from hyma.stitching.connectors import Stitch
from hyma.stitching.params import STEPS, ConnectorParams, GridParams
from hyma.stitching.result import SearchResult
from hyma.stitching.shapes import Shapes
from hyma.stitching.table import Streamed
from hyma.stitching.training_set import TrainingFeatures, assemble

CPU = torch.device("cpu")
Side = dict[str, Any]
TABLES = "tables need the extra `notebook`"


def features(count: int = 200, captions: int = 1, seed: int = 0) -> tuple[Side, Side]:
    """Image encoder `sees` and text encoder `reads` are views of one meaning; `blind` and `mute` are noise."""
    rng = np.random.default_rng(seed)
    meaning_NZ = rng.normal(size=(count, 6))
    described_MZ = meaning_NZ.repeat(captions, axis=0)
    images = {"blind": rng.normal(size=(count, 12)), "sees": meaning_NZ @ rng.normal(size=(6, 16)) + 1}
    texts = {
        "mute": rng.normal(size=(count * captions, 9)),
        "reads": described_MZ @ rng.normal(size=(6, 10)),
    }
    return images, texts


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    """Four pairs by four methods, one of which has no connectors."""
    return search_pairs(*features(), methods=["random", "hyma", "grid", "cca"], device="cpu")


def test_example() -> None:
    failed, tried = doctest.testmod(pairs, optionflags=doctest.ELLIPSIS)
    assert (failed, tried > 4) == (0, True)


def test_front_door() -> None:
    assert (hyma.search_pairs, hyma.Ranking) == (search_pairs, Ranking)


def test_every_method_finds_the_pair() -> None:
    found = search_pairs(*features(), methods=known(), device="cpu")
    assert list(found.results) == list(found.scores) == known()
    for name, scores in found.scores.items():
        assert sorted(scores) == sorted(found.candidates)
        assert name == "random" or max(scores, key=lambda pair: scores[pair]) == "sees-reads", name
        assert sum(found.results[name].flops.values()) > 0 or name == "random", name
    assert found.best == found.pairs[0] == "sees-reads"
    assert found.candidates == ["blind-mute", "blind-reads", "sees-mute", "sees-reads"]


@pytest.mark.parametrize("count", [24, 100, 1000])
def test_defaults_work_for_any_size(count: int) -> None:
    """The fewest rows there may be, one encoder a side, and rows enough for full batches."""
    images, texts = features(count)
    found = search_pairs({"sees": images["sees"]}, {"reads": texts["reads"]}, known(), device="cpu")
    assert found.pairs == ["sees-reads"]
    assert found.held_out == {24: 6, 100: 25, 1000: 100}[count]
    for name, result in found.results.items():
        assert not result.failed, name
        if name not in ("autopair", "refine"):  # these are on a budget
            assert result.steps == 0 or result.steps >= STEPS, name


def test_it_is_the_search_of_the_pipeline() -> None:
    """With all settings given, results are those of the searches themselves on the same features."""
    images, texts = features(captions=2)
    connector = {"kind": "linear", "normalise": "l2", "logit_scale": 20, "holdout": 0.2, "hidden": 8}
    own: dict[str, Any] = {
        "hyma": {"bm": 2, "batch": 40, "epochs": 3, "components": 8, "lr": 0.01, "beta2": 0.999}
        | {"samples": 100, "shrinkage": 0.2},
        "grid": {"batch": 50, "epochs": 2, "weight_decay": 0.0},
    }
    image_of_text = np.arange(200).repeat(2)
    found = search_pairs(
        images, texts, ["hyma", "grid"],
        image_of_text=image_of_text.tolist(), settings=own, connector=connector, seed=3, device="cpu",
    )  # fmt: skip
    chunks = [{slug: [np.float32(own)] for slug, own in side.items()} for side in (images, texts)]
    section = ConnectorParams(**connector)
    data = assemble(chunks[0], chunks[1], image_of_text, section, 3, CPU)
    expected = {
        "hyma": hyma_search.search(data, HymaParams(**own["hyma"]), section, 3),
        "grid": grid.search(data, GridParams(**own["grid"]), section, 3),
    }
    for name, result in expected.items():
        assert found.results[name].scores == result.scores
        assert found.results[name].history == result.history
        for pair, stitch in result.stitches.items():
            weight = found.results[name].stitches[pair].connector["weight0"]
            assert torch.equal(weight, stitch.connector["weight0"])
    assert (found.held_out, found.logit_scale) == (40, 20)


def test_captions_of_images() -> None:
    """Captions in any order find their images by `image_of_text`."""
    images, texts = features(captions=3)
    order = np.random.default_rng(1).permutation(600)
    shuffled = {slug: text_ME[order] for slug, text_ME in texts.items()}
    right = search_pairs(images, shuffled, image_of_text=order // 3, device="cpu")
    wrong = search_pairs(images, shuffled, image_of_text=np.arange(600) // 3, device="cpu")
    assert right.scores["hyma"]["sees-reads"] > 0.9 > 0.4 > wrong.scores["hyma"]["sees-reads"]


def test_arrays_of_any_kind() -> None:
    images, texts = features(60)
    expected = search_pairs(images, texts, device="cpu").scores
    tensors = {slug: torch.tensor(own, requires_grad=True) for slug, own in images.items()}
    lists = {slug: own.tolist() for slug, own in texts.items()}
    before = {slug: own.detach().clone() for slug, own in tensors.items()}
    assert search_pairs(tensors, lists, device="cpu").scores == expected
    assert all(torch.equal(before[slug], own) for slug, own in tensors.items())
    half = {slug: own.detach().to(torch.bfloat16) for slug, own in tensors.items()}
    assert search_pairs(half, lists, device="cpu").best == "sees-reads"


def test_what_does_not_fit_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [np.float32(own) for own in features(60)[0].values()]
    side = dict(zip(("blind", "sees"), ([own[:20], own[20:]] for own in kept), strict=True))
    texts = {slug: [np.float32(own)] for slug, own in features(60)[1].items()}
    monkeypatch.setattr(
        "hyma.stitching.training_set.fits", lambda size, _: size > 60 * 4 * (12 + 16 + 9 + 10)
    )
    found = assemble(side, texts, np.arange(60), ConnectorParams(holdout=0.2), 0, CPU)
    for slug, expected in zip(side, kept, strict=True):
        table = found.images[slug]
        assert isinstance(table, Streamed)
        assert table[torch.arange(60)].tolist() == expected.tolist()
    assert (len(found.held_out), len(found.train)) == (12, 48)


def test_seed() -> None:
    first, again, other = (
        search_pairs(*features(), seed=seed, device="cpu").scores for seed in (1, np.int64(1), 2)
    )
    assert first == again != other


def test_refine_starts_from_hyma() -> None:
    found = search_pairs(*features(), ["refine", "hyma"], settings={"refine": {"top": 1}}, device="cpu")
    assert (found.method, list(found.results)) == ("refine", ["refine", "hyma"])
    assert found.results["refine"].notes["refined"] == "sees-reads"
    assert found.results["refine"].steps > found.results["hyma"].steps
    kept, changed = (
        found.stitch(pair, "refine").connector["weight0"] for pair in ("sees-mute", "sees-reads")
    )
    assert torch.equal(kept, found.stitch("sees-mute", "hyma").connector["weight0"])
    assert not torch.equal(changed, found.stitch("sees-reads", "hyma").connector["weight0"])
    with pytest.raises(HymaError, match="refine starts from HYMA"):
        run_method(
            "refine", TrainingFeatures({}, {}, *torch.zeros(3, 0)), model("refine")(), ConnectorParams(), 0
        )


def test_bars(capsys: pytest.CaptureFixture[str]) -> None:
    few = {"hyma": {"epochs": 1}}
    for progress, shown in ((True, True), (False, False), (None, False)):
        search_pairs(*features(60), settings=few, device="cpu", progress=progress)
        out, err = capsys.readouterr()
        assert (out, "HYMA: 100%" in err) == ("", shown)


def test_first_method_ranks(ranking: Ranking) -> None:
    assert (ranking.method, ranking.best) == ("random", "blind-mute")  # all alike: in the order given
    assert ranking.pairs == ranking.candidates
    by_hyma = Ranking({"hyma": ranking.results["hyma"]}, ranking.candidates, ranking.held_out, 50.0)
    scores = ranking.scores["hyma"]
    assert by_hyma.pairs == sorted(scores, key=lambda pair: -scores[pair])


def test_failed_pairs_come_last() -> None:
    pytest.importorskip("pandas", reason=TABLES)
    images, texts = features()
    images = {"flat": np.ones((200, 5)), **images}
    found = search_pairs(images, texts, ["cca", "hyma"], device="cpu")
    assert [pair.split("-")[0] for pair in found.pairs[-2:]] == ["flat", "flat"]
    frame = found.to_pandas()
    assert frame.loc["flat-reads", "cca_rank"] == 5
    assert np.isnan(frame.loc["flat-reads", "cca"])
    assert "flat-reads       –" in repr(found)
    assert found._stitched("flat-reads", None)[1] == "hyma"
    assert found.agreement("hyma").loc["cca", "pair"] == "sees-reads"
    with pytest.raises(HymaError, match=r"oracle: cca has no score for flat-\w+ \(.*constant"):
        found.agreement("cca")
    with pytest.raises(
        HymaError, match=r"method: cca has no connector for flat-reads \(.*constant\); search"
    ):
        found.stitch("flat-reads", "cca")


def answer(label: str, *scores: float, failed: tuple[str, ...] = ()) -> SearchResult:
    own = dict(zip(("a-x", "b-x", "a-y", "b-y"), scores, strict=False))
    reasons = dict.fromkeys(failed, "lost")
    return SearchResult(
        label, own, 2.5, {"solves": 3.0, "drawing": 1.0}, failed=reasons, steps=7, cpu_seconds=5.0
    )


def test_tables() -> None:
    """A ranking made up by hand."""
    pytest.importorskip("pandas", reason=TABLES)
    results = {
        "cca": answer("CCA", 0.5, 0.75, 0.5, failed=("b-y",)),
        "grid": answer("grid search", 4, 3, 2, 1),
    }
    found = Ranking(results, ["a-x", "b-x", "a-y", "b-y"], 20, 50.0)
    frame = found.to_pandas()
    assert frame.index.name == "pair"
    assert frame.reset_index().fillna(-1).values.tolist() == [
        ["b-x", "b", "x", 0.75, 1, 3.0, 2],
        ["a-x", "a", "x", 0.5, 2, 4.0, 1],
        ["a-y", "a", "y", 0.5, 2, 2.0, 3],
        ["b-y", "b", "y", -1, 4, 1.0, 4],
    ]
    assert frame.columns.tolist() == ["image", "text", "cca", "cca_rank", "grid", "grid_rank"]
    costs = found.costs()
    assert costs.columns.tolist() == ["label", "flops", "seconds", "cpu_seconds", "steps"]
    assert costs.loc["cca"].tolist() == ["CCA", 4.0, 2.5, 5.0, 7]
    agreed = found.agreement()
    expected = agreement(results["grid"].scores, results["cca"].scores | {"b-y": -np.inf})
    assert agreed.index.tolist() == ["cca"]
    assert agreed.loc["cca"].to_dict() == expected
    assert agreed.loc["cca", "regret"] == 1
    assert repr(found).splitlines() == [
        "Ranking of 4 pairs by cca, scored on 20 held-out images",
        "pair    cca   grid",
        "b-x   0.750  3.000",
        "a-x   0.500  4.000",
        "a-y   0.500  2.000",
        "b-y       –  1.000",
    ]


class Cells(HTMLParser):
    """The texts of a page's cells, and what stays open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        del attrs
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.cells.append(data)


def test_notebook_view() -> None:
    pairs = [f"i{number}-t" for number in range(12)]
    scores = {pair: -float(number) for number, pair in enumerate(pairs)}
    found = Ranking({"cka": SearchResult("CKA", scores, 0.0)}, pairs, 30, 50.0)
    page = Cells()
    page.feed(found._repr_html_())
    assert page.open == []
    assert page.cells[:3] == ["Ranking of 12 pairs by cka, scored on 30 held-out images", "pair", "cka"]
    assert page.cells[-3:] == ["i9-t", "-9.000", "… and 2 more"]
    assert repr(found).splitlines()[-1] == "… and 2 more"


def test_without_pandas(ranking: Ranking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert ranking.best in repr(ranking)
    for table in (ranking.to_pandas, ranking.costs, ranking.agreement):
        with pytest.raises(HymaError, match="pip install pandas"):
            table()


def test_stitch(ranking: Ranking) -> None:
    """The connector handed over is the one that was scored: the ranking method's, or the first there is."""
    images, texts = features()
    stitch = ranking.stitch("sees-reads")
    assert isinstance(stitch, Stitch)
    assert torch.equal(stitch.connector["weight0"], ranking.stitch("sees-reads", "hyma").connector["weight0"])
    assert len(ranking.stitch("sees-reads", "grid").connector["weight0"]) == 256
    image_ND = stitch.embed_image(torch.tensor(images["sees"], dtype=torch.float32))
    text_ND = stitch.embed_text(torch.tensor(texts["reads"], dtype=torch.float32))
    rank_N = (text_ND @ image_ND.T).argsort(1, descending=True).argsort(1).diagonal()
    assert (rank_N < 5).float().mean() > 0.9
    assert torch.equal(ranking.stitch().connector["bias0"], ranking.stitch("blind-mute").connector["bias0"])


def test_model(ranking: Ranking) -> None:
    images, texts = (
        torch.tensor(side[slug]) for side, slug in zip(features(), ("sees", "reads"), strict=True)
    )
    made = ranking.model(pair="sees-reads", method="cca", device="cpu")
    assert (made.pair, made.method, made.logit_scale) == ("sees-reads", "cca", 50.0)
    stitch = ranking.stitch("sees-reads", "cca")
    assert torch.equal(made.embed_image(images), stitch.embed_image(images.float()))
    assert torch.equal(made.embed_text(texts), stitch.embed_text(texts.float()))
    assert made.dim == stitch.spec.shared
    assert ranking.model(pair="sees-reads", device="cpu").method == "hyma"


def test_no_connectors() -> None:
    found = search_pairs(*features(60), methods="random", device="cpu")
    for ask in (found.stitch, found.model):
        with pytest.raises(
            HymaError, match=r"method: no method here has a connector for blind-mute; search with hyma"
        ):
            ask()


WRONG_PARTS: list[tuple[dict[str, Any], str]] = [
    ({"pair": "sees-read"}, r"pair: 'sees-read': no such pair; did you mean sees-reads or sees-mute\?"),
    ({"pair": "vit-bert"}, r"pair: 'vit-bert': no such pair; pairs are <image>-<text>, as in blind-mute"),
    (
        {"method": "ridge"},
        r"method: 'ridge': not among the methods searched with \(random, hyma, grid, cca\)",
    ),
    ({"method": "random"}, "method: random has no connector for blind-mute"),
]


@pytest.mark.parametrize(("asked", "message"), WRONG_PARTS)
def test_wrong_parts(ranking: Ranking, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(HymaError, match=message):
        ranking.stitch(**asked)


def test_wrong_oracle(ranking: Ranking) -> None:
    with pytest.raises(HymaError, match="oracle: 'gird': not among the methods"):
        ranking.agreement("gird")


def changed(side: int, **arrays: Any) -> dict[str, Any]:
    """The arguments of a search on features of which some are others."""
    own = features(30)
    own[side].update(arrays)
    return {"image_features": own[0], "text_features": own[1]}


def with_nan() -> np.ndarray:
    values = np.ones((30, 4))
    values[[7, 9], 1] = np.nan, np.inf
    return values


FULL = changed(0)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"image_features": {}}, "image_features: no encoders"),
    ({"text_features": [1, 2]}, "text_features: no encoders"),
    (changed(0, **{"vit-b": 1}), "image_features: 'vit-b': name encoders with a-z, 0-9 and _ only"),
    (changed(1, Bert=1), "text_features: 'Bert': name encoders"),
    (changed(1, sees=features(30)[1]["mute"]), "text_features.sees: an image encoder has this name too"),
    (changed(0, flat=np.ones(30)), r"image_features.flat: should be features \[rows, width\], but its shape is \[30\]"),
    (changed(0, deep=np.ones((30, 2, 2))), r"image_features.deep: .* \[30, 2, 2\]"),
    (changed(0, none=np.ones((30, 0))), r"image_features.none: .* \[30, 0\]"),
    (changed(1, word=np.full((30, 2), "a")), "text_features.word: no array of numbers"),
    (changed(1, ragged=[[1.0], [1.0, 2.0]]), "text_features.ragged: no array of numbers"),
    (changed(0, short=np.ones((29, 3))), "image_features.short: 29 rows, but blind has 30"),
    (changed(0, bad=with_nan()), "image_features.bad: NaN or infinite values in 2 rows, first row 7"),
    (changed(1, huge=np.full((30, 2), 1e99)), "text_features.huge: NaN or infinite values in 30 rows, first row 0"),
    ({"text_features": features(40)[1]}, "image_of_text: missing; with 40 text rows and 30 image rows"),
    ({"image_of_text": range(29)}, r"image_of_text: should be 30 whole numbers, .* is int64 \[29\]"),
    ({"image_of_text": np.arange(30.0)}, r"image_of_text: should be 30 whole numbers, .* is float64 \[30\]"),
    ({"image_of_text": [*range(28), 30, -1]}, "image_of_text: entry 28 is 30, but image rows are 0 to 29"),
    ({"image_of_text": np.arange(30) // 2}, "image_features: 15 captioned images; give at least 24"),
    ({"methods": []}, "methods: none given"),
    ({"methods": ["hyna"]}, r"methods: 'hyna': no such search method; did you mean hyma"),
    ({"methods": ["qqq"]}, "methods: 'qqq': no such search method; known: grid, hyma, refine, autopair"),
    ({"methods": ["refine"]}, "methods: refine starts from HYMA's connectors; add 'hyma'"),
    ({"settings": {"cca": {}}}, r"settings.cca: not among methods \(hyma\)"),
    ({"settings": ["cca"]}, "settings: should be a mapping"),
    ({"settings": {"hyma": 3}}, "settings.hyma: should be a mapping of keys, but it is 3"),
    ({"settings": {"hyma": {"epoch": 3}}}, "settings.hyma.epoch: unknown key; did you mean 'epochs'"),
    ({"settings": {"hyma": {"lr": -1}}}, "settings.hyma.lr: input should be greater than 0, but it is -1"),
    ({"settings": {"hyma": {"bm": 9}}}, "settings.hyma.bm: 9 pairs a step, but there are only 4 pairs"),
    ({"settings": {"hyma": {"lr": 1e30}}}, "HYMA: loss or gradient is not finite .* lower its lr or beta2 in settings"),
    (
        {"methods": ["mutual_knn"], "settings": {"mutual_knn": {"k": 40}}},
        "settings.mutual_knn.k: 40 neighbours, but a sample has 21 others",
    ),
    ({"methods": ["cgs"], "settings": {"cgs": {"samples": 1}}}, "settings.cgs.samples: 1 is less than one batch"),
    ({"connector": {"kind": "mlp9"}}, "connector.kind: input should be 'linear', 'mlp1' or 'mlp2'"),
    ({"connector": {"holdout": 0.1}}, "connector.holdout: 0.1 of 30 images leaves 3, too few"),
    ({"seed": -1}, "seed: input should be greater than or equal to 0"),
    ({"device": "tpu"}, "device: input should be 'auto', 'cpu' or 'cuda'"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_wrong_arguments(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HymaError) as error:
        search_pairs(**{"device": "cpu", **FULL, **changes})
    said = str(error.value)
    assert "\n" not in said
    assert "params.yaml" not in said
    place = "" if message.startswith("HYMA") else "search_pairs: "
    with pytest.raises(HymaError, match=f"^{place}{message}"):
        raise error.value


def test_mistakes_stop_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(pairs, "run_method", lambda name, *_: ran.append(name))
    with pytest.raises(HymaError, match=r"settings\.cca\.directions"):
        search_pairs(**FULL, methods=["hyma", "cca"], settings={"cca": {"directions": []}}, device="cpu")
    assert ran == []


@pytest.mark.parametrize("name", ["hyma", "grid", "refine", *methods.known()])
def test_settings_are_those_of_the_sections_rules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given stays; all else is what the section says, by default or by rule, for rows as here."""
    asked: dict[str, Any] = {}

    def note(name: str, features: TrainingFeatures, own: Any, connector: ConnectorParams, *_: Any) -> Any:
        asked[name] = (Shapes.of(features, connector, 0), own)
        return SearchResult(name, dict.fromkeys(map("-".join, features.pairs), 0.0), 0.0)

    monkeypatch.setattr(pairs, "run_method", note)
    chosen = list(dict.fromkeys([name, *(["hyma"] if name == "refine" else [])]))
    search_pairs(*features(), chosen, device="cpu")
    sizes, own = asked[name]
    assert len(sizes.pairs) == 4
    assert own == model(name)(**by_rule(model(name), {}, sizes))
    key = next((key for key in ("lr", "samples", "keep") if key in model(name).model_fields), None)
    if key is not None:
        given = {key: 0.25 if key != "samples" else 150}
        search_pairs(*features(), chosen, settings={name: given}, device="cpu")
        assert asked[name][1].model_dump().items() >= given.items()
