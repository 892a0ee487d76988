"""The plan: published sizes of encoders, costs as a real run counted them, what is missing, nothing from a network."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from hyma.cli import command
from hyma.common import params
from hyma.embedded.zoo.params import ZooParams
from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams
from hyma.methods import load
from hyma.methods.shared.run import known, model, run_method
from hyma.methods.shared.switch import SearchParams
from hyma.plan import duration, encoders, memory, methods, missing, page, rows, sizes, weights
from hyma.plan.experiment import Experiment
from hyma.plan.gather import gather
from hyma.plan.models import Facts, UnknownError, count
from hyma.plan.stages import KEEP, RESTORE, RUN, Stage
from hyma.ranking.params import AuditParams, FinalsParams
from hyma.search import hyma_search, refine
from hyma.search.params import HymaParams, RefineParams
from hyma.stitching import grid
from hyma.stitching.params import ConnectorParams, GridParams
from hyma.stitching.shapes import Shapes
from hyma.stitching.training_set import TrainingFeatures, assemble
from hyma.wording import plain
from tests.project import pipeline_alone, small
from tests.root import ROOT

NO_ZOO = ZooParams()


def default() -> Experiment:
    return params.validate(yaml.safe_load((ROOT / "params.yaml").read_text()), Experiment)


def preset(name: str) -> Experiment:
    return params.validate(yaml.safe_load((ROOT / f"presets/{name}.yaml").read_text()), Experiment)


def timm_encoder(name: str, **more: Any) -> ImageEncoderParams:
    return ImageEncoderParams(source="timm", name=name, **more)


def text_encoder(name: str, **more: Any) -> TextEncoderParams:
    return TextEncoderParams(source="sentence-transformers", name=name, **more)


def facts(width: int) -> Facts:
    """Of an encoder of 10 MFLOPs a row."""
    return Facts(width, 1, 1e7, 0, None)


def dim(encoder: encoders.Encoder) -> int | None:
    return encoder.facts and encoder.facts.dim


CONNECTOR = ConnectorParams(kind="mlp1", hidden=16, normalise="standardise", logit_scale=20)
FACTORISED = {"batch": 64, "epochs": 1, "bm": 2, "samples": 200, "components": 20}
SMALL: dict[str, dict[str, Any]] = {
    "hyma": FACTORISED,
    "dense": FACTORISED | {"decoder": "dense", "widths": [8, 16], "lr": 1e-3},
    "hyma_two_sided": FACTORISED,
    "grid": {"batch": 64, "epochs": 1},
    "grid_large": {"batch": 256, "epochs": 1},
    "cross": {"batch": 64, "epochs": 1},
    "cgs": {"batch": 64, "samples": 200},
    "autopair": {"batch": 64, "flops": 1e8},
    "gw": {"steps": 1},
}
ONLY_AFTER = {"gw": 0.2, "svcca": 0.75, "logme": 0.99, "autopair": 0.99, "refine": 0.99} | dict.fromkeys(
    ("procrustes", "cca", "gcca"), 0.99
)
"""Methods of which only the search itself knows what it costs, and how much of the plan the committed run spent."""


def cost_of(name: str) -> Any:
    return {"hyma": hyma_search, "grid": grid}[name].cost if name in ("hyma", "grid") else load(name).cost


def random_features(images: dict[str, int], texts: dict[str, int], count: int) -> TrainingFeatures:
    """Two captions an image, the first tenth held out."""
    generator = torch.Generator().manual_seed(0)
    row = torch.arange(2 * count) // 2
    return TrainingFeatures(
        {slug: torch.randn(count, width, generator=generator) for slug, width in images.items()},
        {slug: torch.randn(2 * count, width, generator=generator) for slug, width in texts.items()},
        row,
        torch.arange(count // 5, 2 * count),
        torch.arange(0, count // 5, 2),
    )


class TestEncoders:
    def test_vit_small_is_as_published(self) -> None:
        found = count(timm_encoder("vit_small_patch16_224.augreg_in21k_ft_in1k"), "vit", NO_ZOO)
        assert (found.dim, found.side) == (384, 224)
        assert found.parameters == pytest.approx(21.67e6, rel=1e-3)  # 22.05 M with the classifier
        assert found.flops_per_row == pytest.approx(9.2e9, rel=0.01)  # 4.6 G multiply–accumulates

    @pytest.mark.parametrize(
        ("name", "dim", "millions"),
        [
            ("all-MiniLM-L6-v2", 384, 22.7),
            ("sentence-transformers/all-MiniLM-L12-v2", 384, 33.4),
            ("sentence-transformers/all-mpnet-base-v2", 768, 109.5),
            ("sentence-transformers/all-roberta-large-v1", 1024, 355.4),
        ],
    )
    def test_text_encoders_are_as_published(self, name: str, dim: int, millions: float) -> None:
        found = count(text_encoder(name), "text", NO_ZOO)
        assert found.dim == dim
        assert (found.parameters or 0) / 1e6 == pytest.approx(millions, abs=0.1)

    def test_an_unknown_one_says_why(self) -> None:
        with pytest.raises(UnknownError, match="not known before it is downloaded"):
            count(text_encoder("someone/something"), "text", NO_ZOO)

    def test_an_unknown_one_spoils_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        experiment = default()
        strange = experiment.image_encoders | {"strange": timm_encoder("no_such_model")}
        found = encoders.look(experiment.model_copy(update={"image_encoders": strange}))
        assert found["strange"].facts is None
        assert "no_such_model" in found["strange"].reason
        assert [dim(found[slug]) for slug in ("vit", "lcnet", "minilm", "words")] == [64, 1280, 384, 192]

    def test_encoders_still_to_be_trained_are_known(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        found = encoders.look(default())
        assert [dim(found[slug]) for slug in ("vit", "words", "things")] == [64, 192, 96]
        assert found["vit"].facts.side == 48


class TestMethods:
    def test_costs_are_those_of_the_committed_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        experiment = default()
        ran = json.loads((ROOT / "metrics/flops.json").read_text())["methods"]
        planned = methods.shapes(experiment, encoders.look(experiment), rows.look(experiment))
        assert planned is not None
        counted = methods.count(experiment, methods.sections(experiment, planned), planned)
        for name, parts in counted.items():
            assert parts is not None
            if name in ONLY_AFTER:
                assert ONLY_AFTER[name] <= ran[name]["total"] / sum(parts.values()) <= 1
            else:
                assert parts == ran[name]["parts"]

    @pytest.mark.parametrize("name", [*(name for name in known() if name != "refine"), "dense"])
    def test_a_cost_is_what_the_search_counts(self, name: str) -> None:
        """On random features every direction carries something, so that nothing is less than the most."""
        settings, name = SMALL.get(name, {}), "hyma" if name == "dense" else name
        own = model(name).model_validate(settings)
        features = random_features({"a": 24, "b": 40}, {"c": 16, "d": 32}, 600)
        found = run_method(name, features, own, CONNECTOR, 0).flops
        planned = cost_of(name)(Shapes.of(features, CONNECTOR, 0), own)
        if name == "autopair":
            assert 0.9 * own.flops < sum(found.values()) <= sum(planned.values()) == own.flops
        else:
            assert planned == found

    def test_refining_spends_its_budget_at_most(self) -> None:
        before = {"all": 3.0}
        assert refine.cost(RefineParams(flops=5.0), before) == {"the search before": 3.0, "refinement": 5.0}

    @pytest.mark.parametrize(("holdout", "distinct"), [(0.05, 665), ("auto", 600)])
    def test_expected_shapes_are_those_of_the_split(self, holdout: float | str, distinct: int) -> None:
        """700 images of two captions each; auto holds out 100."""
        connector = CONNECTOR.model_copy(update={"holdout": holdout})
        expected = Shapes.expected({"a": 8}, {"b": 4}, (700, 1400), connector, 0)
        rows_M = np.arange(1400) // 2
        image, text = np.zeros((700, 8), np.float32), np.zeros((1400, 4), np.float32)
        features = assemble({"a": [image]}, {"b": [text]}, rows_M, connector, 0, torch.device("cpu"))
        assert Shapes.of(features, connector, 0) == expected
        assert (expected.train, expected.distinct) == (2 * distinct, distinct)

    def test_the_dense_hypernetwork_needs_no_memory_to_be_counted(self) -> None:
        own = preset("paper-27")
        widths = {"small": 384, "large": 1024}
        planned = Shapes.expected(widths, {"big": 1024}, (558_128, 558_128), own.connector, 0)
        assert (
            memory.hypernetwork(own.hyma, planned) > 4 * 4 * 512 * 1024 * 1025
        )  # the decoder, four times over
        assert sum(hyma_search.cost(planned, own.hyma.model_copy(update={"bm": 2})).values()) > 1e14

    def test_a_method_that_does_not_say_is_not_estimated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        experiment = default()
        monkeypatch.delattr("hyma.methods.random.cost")
        planned = Shapes.expected({"a": 8}, {"b": 8}, (500, 500), experiment.connector, 0)
        assert methods.count(experiment, methods.sections(experiment, planned), planned)["random"] is None


class TestSizes:
    def test_the_world_is_counted_as_it_is_drawn(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        found = {place: own for place, own in rows.look(default()).items() if own is not None}
        drawn = {place: (own.images, own.texts, own.questions) for place, own in found.items()}
        assert drawn["training/captions"] == (10_000, 10_000, 0)
        assert drawn["benchmarks/imagenet"] == (1000, 3240, 0)
        assert drawn["benchmarks/coco"] == (600, 3000, 0)
        assert drawn["benchmarks/okvqa"] == (800, 500, 1600)
        assert {own.origin for own in found.values()} == {"world"}

    def test_published_sets_and_their_features(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        experiment = preset("paper-3")
        found = rows.look(experiment)
        encoder = encoders.Encoder("mini", next(iter(experiment.text_encoders.values())), facts(384))
        assert sizes.features(encoder, {"training/x": found["training/cc3m558k"]}) == 558_128 * (4 * 384 + 30)
        assert sizes.features(encoder, {"training/x": None}) is None

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("captions.csv", 'image,caption\na.jpg,"two\nlines"\nb.jpg,one\n'),
            ("captions.jsonl", "{}\n\n{}\n"),
        ],
    )
    def test_a_table_of_captions_is_counted(self, tmp_path: Path, name: str, text: str) -> None:
        (tmp_path / name).write_text(text)
        own = default().model_copy(
            update={"training": {"mine": rows.DataSource(format="captions", path=str(tmp_path))}}
        )
        found = rows.look(own)["training/mine"]
        assert found is not None
        assert found.texts == 2


class TestMissing:
    def look(self, experiment: Experiment) -> dict[str, list[dict[str, Any]]]:
        """What is missing but for encoders' weights."""
        return missing.look(experiment, {}, rows.look(experiment))

    def test_what_the_pipeline_makes_is_not_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        experiment = default()
        known = {slug: encoders.Encoder(slug, own) for slug, own in experiment.image_encoders.items()}
        found = missing.look(experiment, known, rows.look(experiment))
        assert [item["where"] for item in found["missing"]] == ["search.recorded.ask_llm"]
        assert found["downloads"] == []

    def test_a_folder_with_the_first_file_is_enough(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        folder = tmp_path / "data/real/imagenet/val/n01440764"
        folder.mkdir(parents=True)
        before = {item["where"]: item["what"] for item in self.look(preset("paper-3"))["missing"]}
        assert before["benchmarks.imagenet"] == "no val/<wnid>/*.JPEG in data/real/imagenet"
        (folder / "a.JPEG").touch()
        after = [item["where"] for item in self.look(preset("paper-3"))["missing"]]
        assert set(before) - set(after) == {"benchmarks.imagenet"}

    @pytest.mark.parametrize(
        ("own", "key", "get"),
        [
            (timm_encoder("resnet18", weights="weights/mine"), ".weights", "put it there"),
            (timm_encoder("no_such_model"), ".name", "correct the name"),
            (ImageEncoderParams(source="open_clip", name="x/y"), ".source", "pip install 'hyma[open_clip]'"),
        ],
    )
    def test_an_encoder_that_cannot_be_had(
        self, own: ImageEncoderParams, key: str, get: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        experiment = default().model_copy(update={"image_encoders": {"mine": own}})
        found = encoders.Encoder("mine", own, reason=f"timm has no model {own.name!r}")
        item, *_ = missing.of_encoder(found, experiment)
        assert {"where": f"image_encoders.mine{key}", "get": get}.items() <= item.items()

    def test_a_file_of_weights_is_enough(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.safetensors"
        own = encoders.Encoder("mine", timm_encoder("resnet18", weights=str(file)))
        assert [item["where"] for item in missing.of_encoder(own, default())] == [
            "image_encoders.mine.weights"
        ]
        file.touch()
        assert list(missing.of_encoder(own, default())) == []

    def test_layers_of_one_model_are_downloaded_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hyma.plan.weights._cached", lambda *_: False)
        layers = {f"l{layer}": timm_encoder("resnet18.a1_in1k", layer=layer) for layer in (1, 2)}
        known = {slug: encoders.Encoder(slug, own, facts(384)) for slug, own in layers.items()}
        found = missing.look(default(), known, {})["downloads"]
        assert [item["where"] for item in found] == ["image_encoders.l1"]

    def test_a_gpu(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        found = self.look(default().model_copy(update={"device": "cuda"}))
        assert found["missing"][0]["where"] == "device"

    def test_published_features(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hyma.plan.weights._cached", lambda *_: False)
        own = timm_encoder("resnet18", training_features="cc3m558k/vit_s16")
        found = encoders.Encoder("mine", own, facts(384))
        lines = [item["get"] for item in weights.downloads(found, {"training/x": None})]
        assert (
            lines[1] == "hf download --repo-type dataset jaisidhsingh/cc3m558k-img-embed-dim-384 vit_s16.pt"
        )


class TestMemory:
    def test_logits_grow_with_the_square_then_in_blocks(self) -> None:
        assert memory.logits(HymaParams(batch=2000, bm=2), 1000) == 4 * 4 * 2 * 1000**2
        assert memory.logits(GridParams(batch=16384), 500_000) == 3 * 4 * memory.BLOCK * 16384
        assert memory.logits(object(), 1000) == 0

    def test_features_that_do_not_fit_are_streamed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        own = default()
        planned = Shapes.expected({"a": 1000}, {"b": 1000}, (1_000_000, 1_000_000), own.connector, 0)
        monkeypatch.setattr(memory, "machine_memory", lambda: {"ram": 1e9, "gpu": 0.0, "device": 1e9})
        found = memory.look(own, methods.sections(own, planned), planned, {})
        assert found["streamed"]
        assert found["parts"]["training features"] == 0


class TestDuration:
    def clock(self, **more: Any) -> duration.Clock:
        """Of the default with one pair of encoders, 60 GFLOPs a second in training and no other cost known."""
        chosen = SearchParams(methods=["cca", "ridge", "cgs"])
        own = default().model_copy(update={"search": chosen})
        found = rows.look(own)
        image = encoders.Encoder("vit", own.image_encoders["vit"], facts(64))
        text = encoders.Encoder("things", own.text_encoders["things"], facts(96))
        shapes = Shapes.expected(
            {"vit": 64, "resnet": 64}, {"things": 96}, (10_000, 10_000), own.connector, 0
        )
        flops = dict[str, dict[str, float] | None](
            hyma={"all": 6e11}, cca={"all": 6e10}, ridge={"all": 1.2e11}, cgs={"all": 3e11}, cross=None
        )
        parts = {
            "encoders": {"vit": image, "things": text},
            "rows": found,
            "shapes": shapes,
            "flops": flops,
        } | more
        return duration.Clock(own, **parts)

    def evaluated(self, benchmark: str) -> float:
        """What a benchmark takes if it is the only one."""
        clock = self.clock()
        alone = {benchmark: clock.experiment.benchmarks[benchmark]}
        found = replace(clock, experiment=clock.experiment.model_copy(update={"benchmarks": alone}))
        return found.work("evaluate", "") or 0.0

    def test_seconds_are_counts_by_rates(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        clock = self.clock()
        assert clock.work("train_hyma", "") == pytest.approx(10)
        # Methods that train nothing are a stage of their own.
        assert clock.work("untrained", "") == pytest.approx(3)
        assert clock.work("search", "") == pytest.approx(5)
        spent = sum(grid.cost(clock.shapes, clock.experiment.grid).values())
        assert clock.work("train_grid", "") == pytest.approx(spent / 60e9)
        assert clock.work("prepare", "coco") == 600 / 6000
        images, texts = 10_000 + 4400, 10_000 + 3240 + 1900 + 3000 + 2000 + 500 + 400
        assert clock.work("extract_image", "") == pytest.approx(images / 6000 + images * 1e7 / 100e9)
        assert clock.work("extract_text", "") == pytest.approx(texts * 1e7 / 100e9)
        assert clock.work("train_image_encoder", "vit") == pytest.approx(3 * 6 * 8000 * 1e7 / 60e9)
        assert clock.work("world", "embedded") == (8000 + images) / 500
        assert clock.work("evaluate", "") == pytest.approx(sum(map(self.evaluated, default().benchmarks)))

    def test_the_last_run_tells_how_fast(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert duration.measured() == {}
        assert self.clock().look([])["basis"] == "typical two-core figures"
        (tmp_path / "metrics").mkdir()
        cost = {"grid": {"flops": 6e12, "seconds": 3.0}, "random": {"flops": 0.0, "seconds": 0.0}}
        duration.LAST_RUN.write_text(json.dumps({"cost": cost}))
        clock = self.clock(rates=duration.measured())
        assert clock.rates == {"grid": 2e12}
        assert clock.work("search", "") == 3e11 / 2e12  # as grid search, where a method did not run
        assert clock.look([])["basis"] == "the last run here"
        duration.LAST_RUN.write_text("[]")
        assert duration.measured() == {}

    def test_start_dvc_and_work_are_told_apart(self) -> None:
        stages = [
            Stage("embedded/dvc.yaml:world@other", RUN, 1000.0),
            Stage("train_grid", RUN, 2000.0),
            Stage("search", RUN, 2000.0),
            Stage("rank", RESTORE, 2000.0),
            Stage("report", KEEP, 2000.0),
            Stage("something_new@x", RUN, 0.0),
        ]
        odd = SearchParams(methods=["cca", "cross"])
        clock = self.clock()
        clock = replace(clock, experiment=clock.experiment.model_copy(update={"search": odd}))
        found = clock.look(stages)
        assert found["by_name"]["world"] == {"stages": 1, "start": 0.5, "dvc": 0.8, "work": 0}
        assert found["by_name"]["train_grid"]["start"] == 3.0
        assert found["by_name"]["rank"] == {"stages": 0, "start": 0, "dvc": 1.3, "work": 0}
        assert found["by_name"]["something_new"] == {"stages": 1, "start": 3.0, "dvc": 0.3, "work": 0}
        assert "report" not in found["by_name"]
        assert found["not_estimated"] == ["search"]  # what its method takes is not known

    def test_a_stage_starts_as_its_encoder_does(self) -> None:
        found = self.clock().look([Stage("extract_image", RUN, 0.0), Stage("extract_text", RUN, 0.0)])
        assert [own["start"] for own in found["by_name"].values()] == [6.0, 10.0]

    @pytest.mark.parametrize("name", ["prepare@gone", "prepare_training@gone"])
    def test_an_unknown_instance_is_named(self, name: str) -> None:
        assert self.clock().look([Stage(name, RUN, 0.0)])["not_estimated"] == [name]

    @pytest.mark.parametrize(("oracle", "pairs"), [("full", 2), ("audit", 1), ("none", 0)])
    def test_the_oracle_trains_what_it_is_asked_for(self, oracle: str, pairs: int) -> None:
        clock = self.clock()
        few = {"finals": FinalsParams(top=1), "audit": AuditParams(pairs=0), "oracle": oracle}
        experiment = clock.experiment.model_copy(update=few)
        assert clock.shapes is not None
        whole = sum(grid.cost(clock.shapes, experiment.grid).values())
        assert replace(clock, experiment=experiment).work("train_grid", "") == pytest.approx(
            whole * pairs / 2 / 60e9
        )
        found = methods.trained(experiment, clock.shapes)
        assert (found["pairs"], found["all"], found["whole"]) == (pairs, 2, whole)
        counted = methods.count(experiment, methods.sections(experiment, clock.shapes), clock.shapes)
        assert ("grid" in counted) == (pairs > 0)


class TestFormats:
    def test_numbers(self) -> None:
        assert plain.size(87.2e6) == "87 MB"
        assert plain.size(999.6e6) == "1 GB"
        assert plain.size(None) == "unknown"
        assert plain.flops(9.197e9) == "9.2 G"
        assert plain.flops(0) == "0"
        assert plain.span(657) == "11 min"
        assert plain.span(1_234_567) == "7.1 days"

    def test_tables_are_aligned(self) -> None:
        assert plain.table(("a", "number"), [("long", "1")]).splitlines() == [
            "| a    | number |",
            "|:-----|-------:|",
            "| long |      1 |",
        ]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The plan of the small experiment, made while nothing can be reached."""
    folder = tmp_path_factory.mktemp("plan")
    pipeline_alone(folder, small(yaml.safe_load((ROOT / "params.yaml").read_text())))

    def refuse(*_: Any) -> None:
        raise AssertionError("the plan asks the network")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(socket.socket, "connect", refuse)
        yield gather(Path())


class TestWhole:
    def test_it_is_ready(self, planned: dict[str, Any]) -> None:
        assert planned["ready"] == "yes"
        assert planned["missing"] == {"missing": [], "downloads": []}

    def test_stages(self, planned: dict[str, Any]) -> None:
        found = planned["stages"]
        assert found["problem"] is None
        assert found["by_name"]["image_weights"]["run"] == 2
        assert found["run"] == found["total"]

    def test_time_is_estimated(self, planned: dict[str, Any]) -> None:
        found = planned["time"]
        assert (found["not_estimated"], found["basis"]) == ([], "typical two-core figures")
        assert found["seconds"] > 4 * 3.0
        assert all(found["by_name"][name]["work"] > 0 for name in ("world", "extract_image", "train_hyma"))

    def test_json_holds_all_of_it(self, planned: dict[str, Any]) -> None:
        parts = {"ready", "missing", "stages", "sizes", "flops", "memory", "disk", "time"}
        assert set(json.loads(json.dumps(planned, allow_nan=False))) == parts

    def test_the_page_shows_it(self, planned: dict[str, Any]) -> None:
        text = page.page(planned)
        headings = [line for line in text.splitlines() if line.startswith("##")]
        assert text.startswith("Ready: ")
        assert headings == [
            f"## {name}"
            for name in ("Stages", "Data and encoders", "Search methods", "Memory", "Time")
        ]  # fmt: skip
        assert "nan" not in text
        assert "None" not in text

    def test_a_plan_that_is_not_ready_says_what_to_do(self, planned: dict[str, Any]) -> None:
        item = {"where": "training.x", "what": "no data folder x", "get": "put it there"}
        download = {"where": "image_encoders.y", "what": "weights", "get": "hf download timm/y", "bytes": 9e7}
        found = planned | {"ready": "no", "missing": {"missing": [item], "downloads": [download]}}
        text = page.page(found)
        assert text.startswith("Not ready.")
        assert "- training.x: no data folder x; put it there" in text
        assert "- hf download timm/y   (90 MB, image_encoders.y)" in text


class TestCommand:
    def test_help_of_plan_has_examples(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            command.main(["plan", "--help"])
        assert "hyma plan --json > plan.json" in capsys.readouterr().out

    def test_a_mistake_is_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as left:
            command.main(["plan"])
        assert str(left.value.code).startswith("error: params.yaml: file not found")
