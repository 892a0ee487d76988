"""The plan: published sizes of encoders, costs as a real run counted them, what is missing, nothing from a network."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from hyma.cli import command
from hyma.common import params
from hyma.embedded.zoo.params import ZooParams
from hyma.encoders.base.params import ImageEncoderParams, TextEncoderParams
from hyma.methods import load
from hyma.plan import encoders, hours, memory, methods, missing, page, rows, sizes, speed, work
from hyma.plan.experiment import Experiment
from hyma.plan.gather import gather
from hyma.plan.models import UnknownError, build
from hyma.plan.rows import Rows
from hyma.plan.work import Work
from hyma.stitching import flops
from hyma.stitching.training_set import TrainingFeatures
from tests.imports import ROOT
from tests.project import small

NO_ZOO = ZooParams()


def default() -> Experiment:
    return params.validate(yaml.safe_load((ROOT / "params.yaml").read_text()), Experiment)


def preset(name: str) -> Experiment:
    return params.validate(yaml.safe_load((ROOT / f"presets/{name}.yaml").read_text()), Experiment)


def timm_encoder(name: str, **more: Any) -> ImageEncoderParams:
    return ImageEncoderParams(source="timm", name=name, **more)


def text_encoder(name: str, **more: Any) -> TextEncoderParams:
    return TextEncoderParams(source="sentence-transformers", name=name, **more)


def work_of(experiment: Experiment, images: dict[str, int], texts: dict[str, int], count: int) -> Work:
    return Work(experiment, work.sections(experiment), images, texts, Rows(count, count, 0, "prepared"))


class TestEncoders:
    def test_vit_small_is_as_published(self) -> None:
        body = build(timm_encoder("vit_small_patch16_224.augreg_in21k_ft_in1k"), "vit", NO_ZOO)
        dim, counted, _ = encoders.count(body)
        weights = sum(weight.numel() for weight in body.network.parameters())
        assert (dim, body.side) == (384, 224)
        assert weights == pytest.approx(21.67e6, rel=1e-3)  # 22.05 M with the classifier
        assert counted == pytest.approx(9.2e9, rel=0.01)  # 4.6 G multiply–accumulates

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
        body = build(text_encoder(name), "text", NO_ZOO)
        weights = sum(weight.numel() for weight in body.network.parameters())
        assert encoders.count(body)[0] == dim
        assert weights / 1e6 == pytest.approx(millions, abs=0.1)

    def test_an_unknown_one_says_why(self) -> None:
        with pytest.raises(UnknownError, match="not known before it is downloaded"):
            build(text_encoder("someone/something"), "text", NO_ZOO)

    def test_an_unknown_one_spoils_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        experiment = default()
        strange = experiment.image_encoders | {"strange": timm_encoder("no_such_model")}
        found = encoders.look(experiment.model_copy(update={"image_encoders": strange}))
        assert found["strange"].dim is None
        assert "no_such_model" in found["strange"].reason
        assert [found[slug].dim for slug in ("vit", "lcnet", "minilm", "words")] == [64, 1280, 384, 192]

    def test_encoders_still_to_be_trained_are_known(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        found = encoders.look(default())
        assert [found[slug].dim for slug in ("vit", "words", "bert")] == [64, 192, 128]
        assert found["vit"].side == 48


class TestMethods:
    def test_costs_are_those_of_the_committed_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        experiment = default()
        ran = json.loads((ROOT / "metrics/flops.json").read_text())["methods"]
        found = encoders.look(experiment)
        planned = work.describe(experiment, work.sections(experiment), found, rows.look(experiment))
        assert planned is not None
        for name, parts in methods.count(planned).items():
            assert parts is not None
            assert sum(parts.values()) == pytest.approx(
                ran[name]["total"], rel=0.2 if name == "svcca" else 0.01
            )

    def test_one_step_of_the_paper(self) -> None:
        """768 → 384, linear, batch 16384: 843.96 GFLOPs, both logit products counted."""
        from hyma.stitching.connectors import ConnectorSpec

        spec = ConnectorSpec("linear", 768, 384)
        ours = methods.pair_step(spec, 16384)
        both = ours | {"InfoNCE": flops.info_nce(16384, 384, logit_products=2), "optimizer": 0}
        assert sum(both.values()) / 1e9 == pytest.approx(843.96, rel=1e-4)

    def test_a_step_is_what_grid_search_counts(self) -> None:
        from hyma.stitching.connectors import ConnectorSpec

        spec = ConnectorSpec("mlp2", 7, 5, 6)
        counted = flops.grid({("i", "t"): spec}, 11, 1)
        assert methods.pair_step(spec, 11) == {part: counted[part] for part in methods.pair_step(spec, 11)}

    @pytest.mark.parametrize(
        "name",
        ["ridge", "procrustes", "cca", "gcca", "mutual_knn", "cka", "cknna", "logme", "hyma_two_sided"],
    )
    def test_forms_are_what_the_methods_count(self, name: str) -> None:
        """On random features every direction carries something, so that nothing is less than the most."""
        experiment = default()
        images, texts, count = {"a": 24, "b": 40}, {"c": 16, "d": 32}, 700
        planned = work_of(experiment, images, texts, count)
        own = load(name).Params.model_validate(dict(planned.sections[name]) | {"samples": 300})
        if hasattr(own, "bm"):
            own = own.model_copy(update={"bm": 2})
        row = torch.arange(count)
        held_out = count - planned.distinct
        generator = torch.Generator().manual_seed(0)
        features = TrainingFeatures(
            {slug: torch.randn(count, width, generator=generator) for slug, width in images.items()},
            {slug: torch.randn(count, width, generator=generator) for slug, width in texts.items()},
            row,
            row[held_out:],
            row[:held_out],
        )
        counted = load(name).search(features, own, experiment.connector, 0).flops
        assert sum(methods.FORMS[name](planned, own).values()) == pytest.approx(
            sum(counted.values()), rel=0.01
        )

    def test_the_dense_hypernetwork_needs_no_memory_to_be_counted(self) -> None:
        planned = work_of(
            preset("paper-27"), {"small": 384, "large": 1024}, {"mini": 384, "big": 1024}, 558_128
        )
        network = methods.network_of(planned, planned.experiment.hyma)
        assert next(network.parameters()).is_meta
        assert memory.hypernetwork(planned) > 4 * 4 * 512 * 1024 * 1025  # the decoder, four times over

    def test_a_method_of_ones_own_is_not_estimated(self) -> None:
        experiment = default()
        search = experiment.search.model_copy(update={"methods": ["widths"]})
        planned = work_of(experiment.model_copy(update={"search": search}), {"a": 8}, {"b": 8}, 500)
        assert methods.count(planned)["widths"] is None


class TestSizes:
    def test_the_world_is_counted_as_it_is_drawn(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        found = rows.as_dict(rows.look(default()))
        drawn = {place: (own["images"], own["texts"], own["questions"]) for place, own in found.items()}
        assert drawn["training/captions"] == (10_000, 10_000, 0)
        assert drawn["benchmarks/imagenet"] == (1000, 3240, 0)
        assert drawn["benchmarks/coco"] == (600, 3000, 0)
        assert drawn["benchmarks/okvqa"] == (800, 500, 1600)
        assert {own["origin"] for own in found.values()} == {"world"}

    def test_published_sets_and_their_features(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        experiment = preset("paper-3")
        found = rows.look(experiment)
        encoder = encoders.Encoder("mini", next(iter(experiment.text_encoders.values())), dim=384)
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

    def test_real_data_and_weights(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("hyma.plan.weights._cached", lambda *_: False)
        experiment = preset("paper-3")
        found = missing.look(experiment, encoders.look(experiment), rows.look(experiment))
        assert len([item for item in found["missing"] if item["what"].startswith("no data folder")]) == 7
        assert found["missing"][0]["where"] == "training.cc3m558k"
        assert "https://huggingface.co/datasets/liuhaotian/LLaVA-Pretrain" in found["missing"][0]["get"]
        lines = {item["get"]: item["bytes"] for item in found["downloads"]}
        assert lines["hf download timm/deit_small_patch16_224.fb_in1k"] == pytest.approx(87e6, rel=0.01)
        assert "hf download sentence-transformers/all-MiniLM-L12-v2" in lines

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
        items = [missing._item(found, *item) for item in missing._of_encoder(found, experiment)]
        assert {"where": f"image_encoders.mine{key}", "get": get}.items() <= items[0].items()

    def test_a_gpu(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        found = self.look(default().model_copy(update={"device": "cuda"}))
        assert found["missing"][0]["where"] == "device"

    def test_published_features(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hyma.plan.weights._cached", lambda *_: False)
        own = timm_encoder("resnet18", training_features="cc3m558k/vit_s16")
        found = encoders.Encoder("mine", own, dim=384, parameters=1)
        lines = [item.get for item in missing.weights.downloads(found, {"training/x": None})]
        assert (
            lines[1] == "hf download --repo-type dataset jaisidhsingh/cc3m558k-img-embed-dim-384 vit_s16.pt"
        )


class TestMemory:
    def test_logits_grow_with_the_square_then_in_blocks(self) -> None:
        assert memory._logits(1000, 2) == 4 * 4 * 2 * 1000**2
        assert memory._logits(16384, 1) == 3 * 4 * memory.BLOCK * 16384

    def test_features_that_do_not_fit_are_streamed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        planned = work_of(default(), {"a": 1000}, {"b": 1000}, 1_000_000)
        monkeypatch.setattr(memory, "machine_memory", lambda: {"ram": 1e9, "gpu": 0.0, "device": 1e9})
        found = memory.look(planned.experiment, planned, {})
        assert found["streamed"]
        assert found["parts"]["training features"] == 0


class TestHours:
    def test_seconds_are_counts_times_speed(self) -> None:
        experiment = default()
        planned = work_of(experiment, {"vit": 64}, {"bert": 128}, 10_000)
        cost = methods.count(planned)
        grid = sum((cost["grid"] or {}).values())
        measured = speed.Speed(start={"search": 2.0}, lock_line=0.001, grid=grid / 7, hyma=1e9)
        clock = hours.Clock(experiment, {}, {}, planned, cost, measured, gpu=False, lock_lines=1000)
        found = clock.look({"train_grid@vit-bert": "run", "rank": "restore", "report": "keep"})
        assert found["by_name"]["train_grid"] == pytest.approx(
            {"stages": 1, "start": 2.0, "dvc": 1.0, "work": 7.0}
        )
        assert found["by_name"]["rank"]["start"] == 0
        assert found["seconds"] == pytest.approx(11.0)

    def test_what_cannot_be_estimated_is_named(self) -> None:
        experiment = default()
        clock = hours.Clock(experiment, {}, {"benchmarks/coco": None}, None, {}, speed.Speed(), False, 0)
        assert clock.look({"prepare@coco": "run"})["not_estimated"] == ["prepare@coco"]

    def test_the_quickest_call_counts(self) -> None:
        naps = iter([0.0, 0.03, 0.01, 0.02] + [0.05] * 100)
        torch.set_num_threads(2)
        try:
            assert 0.01 <= speed.repeated(lambda: __import__("time").sleep(next(naps)), 0.2) < 0.03
        finally:
            torch.set_num_threads(1)


class TestPage:
    def test_numbers(self) -> None:
        assert page.size(87.2e6) == "87 MB"
        assert page.size(999.6e6) == "1 GB"
        assert page.size(None) == "unknown"
        assert page.flops(9.197e9) == "9.2 G"
        assert page.flops(0) == "0"
        assert page.span(657) == "11 min"
        assert page.span(1_234_567) == "7.1 days"

    def test_tables_are_aligned(self) -> None:
        assert page.table(("a", "number"), [("long", "1")]).splitlines() == [
            "| a    | number |",
            "|:-----|-------:|",
            "| long |      1 |",
        ]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The plan of the small experiment, made while nothing can be reached."""
    folder = tmp_path_factory.mktemp("plan")
    for name in ("dvc.yaml", ".dvc/config", "zoo", "answers"):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    content = small(yaml.safe_load((ROOT / "params.yaml").read_text()))
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)

    def refuse(*_: Any) -> None:
        raise AssertionError("the plan asks the network")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(
            "hyma.plan.gather._kinds", lambda _: ["search"]
        )  # the other libraries take long to import
        yield gather(Path())


class TestWhole:
    def test_it_is_ready(self, planned: dict[str, Any]) -> None:
        assert planned["ready"] == "yes"
        assert planned["missing"] == {"missing": [], "downloads": []}

    def test_stages(self, planned: dict[str, Any]) -> None:
        found = planned["stages"]
        assert found["problem"] is None
        assert found["by_name"]["train_grid"]["run"] == 4
        assert found["by_name"]["search"]["run"] == 5
        assert found["run"] == found["total"]

    def test_time_is_measured(self, planned: dict[str, Any]) -> None:
        found = planned["time"]
        assert found["not_estimated"] == []
        assert found["seconds"] > found["by_name"]["train_grid"]["start"] > 4 * 0.5
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
    def test_help_lists_commands(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            command.main(["--help"])
        assert "plan" in capsys.readouterr().out

    def test_help_of_plan_has_examples(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            command.main(["plan", "--help"])
        assert "hyma plan --json > plan.json" in capsys.readouterr().out

    def test_a_mistake_is_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as left:
            command.main(["plan"])
        assert str(left.value.code).startswith("error: params.yaml: file not found")
