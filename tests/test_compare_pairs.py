"""Two pairs on a run of three small benchmarks that was worked out by hand."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hyma.cli.command import main
from hyma.common import features, params, prepared
from hyma.common.errors import HymaError
from hyma.common.features import FeatureInfo
from hyma.common.files import read_json, write_json
from hyma.common.prepared import Prepared
from hyma.evaluation import assess, halves
from hyma.evaluation.benchmark import Benchmark
from hyma.evaluation.params import EvaluateParams
from hyma.ranking.rank import rank
from hyma.report import two_pairs
from hyma.report.compare_pairs import Counts, compare, count
from hyma.stitching import records
from hyma.stitching.connectors import ConnectorSpec, Stitch
from hyma.stitching.normalise import Normaliser
from hyma.stitching.result import SearchResult, save
from tests.test_evaluation import Rows, made

PAIRS = ["cam-good", "cam-bad"]
CLASSES = ["red <b>", "green & co", "blue"]
BASE = np.eye(3, dtype=np.float32)


def png(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(stream, "PNG")
    return stream.getvalue()


def pictures(*colours: str, **more: list[Any]) -> Rows:
    rows: Rows = [
        {"id": f"{row}.png", "image": {"bytes": png(c), "path": None}} for row, c in enumerate(colours)
    ]
    return [row | {key: values[at] for key, values in more.items()} for at, row in enumerate(rows)]


def objects() -> Prepared:
    images = pictures("red", "green", "blue", "red", "red", label=[0, 1, 2, 0, 0])
    texts = [{"id": str(row), "text": f"a {name}", "target": row} for row, name in enumerate(CLASSES)]
    return made("classification", images, texts, classes=CLASSES)


def captions() -> Prepared:
    texts = [{"id": str(row), "text": f"caption {row}", "image": row, "pool": 0} for row in range(4)]
    return made("retrieval", pictures("black", "white", "grey", "brown"), texts)


def questions() -> Prepared:
    texts = [
        {"id": str(row), "text": f"Question: Why? Answer: {answer}", "target": row}
        for row, answer in enumerate("xyz")
    ]
    asked: Rows = [
        {"id": "0", "image": 0, "prompt": 0, "answers": ["x"] * 6 + ["y"] * 4},
        {"id": "1", "image": 1, "prompt": 0, "answers": ["x"] * 10},
        {"id": "2", "image": 2, "prompt": 0, "answers": ["z"] * 10},
    ]
    return made("vqa", pictures("pink", "cyan", "lime"), texts, asked, answers=list("xyz"))


LAST = np.concatenate([BASE, -BASE[:1]])  # and a last caption, of a last image, that is like no other
BENCHMARKS = {
    # The last image of each chooses, and is not reported.
    # The fourth image looks like a green one: good gets the first three right, bad, which takes red for green and
    # green for red, the last two.
    "objects": (objects(), BASE[[0, 1, 2, 1, 0]], {"good": BASE, "bad": BASE[[1, 0, 2]]}),
    # Good finds all three captions, bad only that of the third.
    "captions": (captions(), LAST, {"good": LAST, "bad": np.concatenate([BASE[[1, 0, 2]], -BASE[:1]])}),
    # Answered x and y by good, y and x by bad: both are right about the first, bad about the second.
    "questions": (questions(), BASE, {"good": BASE, "bad": BASE[[1, 0, 2]]}),
}


def write_run(root: Path) -> None:
    """What a run leaves in `root`, of one image encoder, two text encoders and two methods."""
    spec, l2 = ConnectorSpec("linear", 3, 3), Normaliser("l2")
    stitch = Stitch(spec, {"weight0": torch.eye(3), "bias0": torch.zeros(3)}, l2, l2)
    for pair in PAIRS:
        alone = SearchResult("grid search", {pair: 1.0}, 4.0, {"all": 2e9}, {pair: stitch}, steps=1)
        save(alone, root / records.of_pair(pair).parent, pair)
    whole = SearchResult("HYMA", {"cam-good": 1.0}, 2.0, {"all": 1e9}, {"cam-good": stitch}, steps=1)
    whole.failed["cam-bad"] = "too wide"
    save(whole, root / "models/hyma")
    save(SearchResult("C&A", dict.fromkeys(PAIRS, 0.0), 0.5), root / records.folder("cka"))
    found = {"grid": dict.fromkeys(PAIRS, stitch), "hyma": {"cam-good": stitch}}
    scores = {name: _write_benchmark(root, name, found) for name in BENCHMARKS}
    flops = {method: {"total": 1e9, "parts": {"all": 1e9}} for method in ("grid", "hyma", "cka")}
    kept = {method: records.read(method, PAIRS) for method in flops}
    write_json(root / "metrics/ranking.json", rank(scores, {"methods": flops}, kept))
    write_json(root / "metrics/settings.yaml", {"seed": 1, "device": "cpu"})


def _write_benchmark(root: Path, name: str, found: dict[str, dict[str, Stitch]]) -> dict[str, Any]:
    data, image_ND, texts = BENCHMARKS[name]
    prepared.write(root / "data/prepared/benchmarks" / name, data)
    encoders: list[tuple[features.Side, str, np.ndarray, Any]] = [("image", "cam", image_ND, data.images)]
    encoders += [("text", slug, own, data.texts) for slug, own in texts.items()]
    for side, slug, feature_ND, rows in encoders:
        info = FeatureInfo(slug, data.meta.data_hash, 3, 1.0)
        chunk = (rows["id"].to_pylist(), feature_ND)
        features.write(root / features.file_of("benchmarks", side, slug, name), info, [chunk])
    bench = Benchmark(name)
    scored = {method: assess.score(bench.evaluators, bench.features, own) for method, own in found.items()}
    scores = assess.content(bench, scored, EvaluateParams(protocol="standard"))
    write_json(root / f"metrics/benchmarks/{name}.json", scores)
    return scores


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The small run, gone into."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        halves, "choosing", lambda data, _: np.arange(len(data.images)) == len(data.images) - 1
    )
    write_run(tmp_path)
    params._parse.cache_clear()
    yield tmp_path
    params._parse.cache_clear()


def numbers(own: Counts) -> tuple[int, ...]:
    return own.items, own.both, own.only_first, own.only_second, own.neither


def test_counts_and_scores_by_hand(run_folder: Path) -> None:
    found = compare("cam-good", "cam-bad")
    assert (found.first, found.second, found.method, found.label) == (
        "cam-good",
        "cam-bad",
        "grid",
        "grid search",
    )
    counts = {name: own.counts for name, own in found.benchmarks.items()}
    assert numbers(counts["objects"]) == (4, 1, 2, 1, 0)
    assert numbers(counts["captions"]) == (3, 1, 2, 0, 0)
    assert numbers(counts["questions"]) == (2, 1, 0, 1, 0)
    assert [own.unit for own in counts.values()] == ["images", "images", "questions"]
    assert (counts["objects"].score_first, counts["objects"].score_second) == (0.75, 0.5)
    metrics = read_json(run_folder / "metrics/benchmarks/captions.json")["protocols"]["standard"]["methods"][
        "grid"
    ]
    assert counts["captions"].score_first == metrics["cam-good"]["report"]["score"] == 1
    assert counts["captions"].score_second == metrics["cam-bad"]["report"]["score"] < 1


@pytest.mark.usefixtures("run_folder")
def test_examples_are_what_only_one_gets_right() -> None:
    own = compare("cam-good", "cam-bad").benchmarks["objects"]
    assert [(example.number, example.first.right) for example in own.examples] == [
        (0, True),
        (1, True),
        (3, False),
    ]
    assert all(example.first.right != example.second.right for example in own.examples)
    assert [answer.text for answer in own.examples[0].second.answers][:1] == ["green & co"]
    assert len(compare("cam-good", "cam-bad", each=1).benchmarks["objects"].examples) == 2


def test_chance_is_the_sign_test() -> None:
    first, second = np.arange(20) < 8, np.arange(20) >= 18
    own = count(first, second, "images", (0.4, 0.1))
    assert numbers(own) == (20, 0, 8, 2, 10)
    assert own.chance == pytest.approx(
        2 * (1 + 10 + 45) / 2**10
    )  # two or fewer heads in ten throws, or tails
    assert count(first, first, "images", (0.4, 0.4)).chance == 1


def test_the_command_prints_a_table(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", "cam × good", "cam-bad"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cam × good (first) and cam × bad (second), connectors of grid search"
    (row,) = (line for line in lines if line.startswith("| objects"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["objects", "4 images", "1", "2", "1", "0", "75.0", "50.0", "1.000"]
    assert not list(run_folder.glob("**/*.html"))


def test_json_and_page(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", "cam-good", "cam-bad", "--json", "--html", "out/differ.html"])
    found = json.loads(capsys.readouterr().out)
    assert (found["first"], found["second"], found["method"]) == ("cam-good", "cam-bad", "grid")
    assert found["benchmarks"]["objects"]["only_first"] == 2
    text = (run_folder / "out/differ.html").read_text()
    assert text.count('<li class="card"') == text.count("<img ") > 4
    assert "red &lt;b&gt;" in text
    assert "<b>" not in text


def test_the_row_of_a_small_chance() -> None:
    assert two_pairs._chance(0.0004) == "< 0.001"
    assert two_pairs._chance(0.25) == "0.250"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cam-god", "cam-bad"], "cam-god: no such pair in the last run; did you mean cam-good"),
        (["cam-bad", "zzz"], "zzz: no such pair in the last run; its pairs are such as cam-"),
        (["cam-bad", "cam-bad"], "cam-bad: both pairs are the same"),
        (
            ["cam-bad", "cam-good", "--method", "cka"],
            "--method cka: only scores pairs; with connectors: grid, hyma",
        ),
        (
            ["cam-bad", "cam-good", "--method", "x"],
            "--method x: is no method of the last run; with connectors: grid",
        ),
        (
            ["cam-good", "cam-bad", "--method", "hyma"],
            r"hyma has no connector of cam-bad \(too wide\); choose",
        ),
    ],
)
@pytest.mark.usefixtures("run_folder")
def test_mistakes_are_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=f"^error: {said}") as caught:
        main(["compare", *arguments])
    assert "\n" not in str(caught.value)


def test_where_nothing_has_run(run_folder: Path) -> None:
    records.of_pair("cam-bad").unlink()
    with pytest.raises(HymaError, match=r"models/grid/cam-bad\.json: file not found; run `dvc repro`"):
        compare("cam-good", "cam-bad")
    (run_folder / "metrics/ranking.json").unlink()
    with pytest.raises(HymaError, match=r"metrics/ranking\.json: file not found; run `dvc repro`"):
        compare("cam-good", "cam-bad")
