"""The page, its pictures and the reproducibility block, from a ranking that was worked out by hand."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from hyma.common.files import write_json, write_text
from hyma.ranking import convergence
from hyma.report import environment, figures, methods
from hyma.report import ranking as report
from hyma.report.inputs import Inputs, label, of_two
from hyma.report.ranking import page
from hyma.stitching import records
from hyma.wording import markdown
from hyma.wording.templates import flowing
from stages import report as stage
from tests.root import ROOT
from tests.test_ranking import FLOPS, MEAN, PAIRS, PROBES, RECORDS, SCORES, benchmark, by_pair, rank, record

Json = dict[str, Any]
COUNTS: Json = {
    "task": "classification",
    "images": 30,
    "texts": 12,
    "wordings": None,
    "questions": 0,
    "parts": {"choose": 14, "report": 16, "all": 30},
    "ceiling": None,
    "chance": 0.125,
}
FEATURES: Json = {
    "extraction": {
        "big": {"modality": "image", "per_sample": 2e6, "samples": 500, "total": 1e9},
        "words": {"modality": "text", "per_sample": 500, "samples": 500, "total": 2.5e5},
    }
}
DATA: Json = {
    "training": {"skipped": [], "data_hash": "0123456789abcdef" * 4},
    "objects": {
        "skipped": [{"file": f"raw/{name}.jpg", "reason": "unreadable image (cut)"} for name in "abcd"]
        + [{"file": "raw/a.txt", "reason": "of a kind that is not read", "kind": "file"}],
        "data_hash": "f" * 64,
    },
}
HISTORY = {"step": [0, 1, 2], "loss": [3.0, 2.0, 1.5], "held_out_loss": [4.0, 2.0, 1.99]}
STEPS = {
    "step": [0, 1, 2], "loss": [3.0, 2.0, 1.5], "accuracy": [0.1, 0.2, 0.4], "grad_norm": [5.0, 3.0, 1.0],
    "lr": [0.1, 0.1, 0.1],
}  # fmt: skip
GRID: Json = {pair: {"history": HISTORY} for pair in PAIRS}
SIZE = {  # in dots: inches × 150; the heat map's height goes by its three image encoders
    "scatter.png": (1200, 810), "pairs.png": (1200, 309), "cost.png": (1050, 660),
    "unimodal.png": (1350, 720), "training.png": (1950, 510), "methods.png": (1950, 810),
}  # fmt: skip


def contents(**more: list[float]) -> dict[str, Json]:
    """Both benchmarks; one has two protocols, the other answers without the image, one for each pair."""
    found = {name: benchmark({"grid": own["grid"]} | own | more) | COUNTS for name, own in SCORES.items()}
    found["captions"] |= {"metric": "VQA accuracy", "task": "vqa", "questions": 77, "ceiling": 0.9}
    del found["captions"]["protocols"]["paper"]
    for scores in found["captions"]["protocols"]["standard"]["methods"].values():
        for row, parts in enumerate(scores.values()):
            for value in parts.values():
                value["no_image"] = 0.01 * row
    return found


def inputs(
    benchmarks: dict[str, Json],
    records: dict[str, Json] = RECORDS,
    costs: Json | None = None,
    probes: Json | None = PROBES,
) -> Inputs:
    flops = {"methods": FLOPS["methods"] | (costs or {})}
    ranking = rank(benchmarks, flops, records, probes)
    return Inputs(ranking, benchmarks, flops | FEATURES, DATA, STEPS, GRID, {"seed": "7", "revision": "abc"})


@pytest.fixture(scope="module")
def made() -> Inputs:
    return inputs(contents())


def spent(total: float) -> Json:
    return {"total": total, "parts": {"computing": total}}


def crowd() -> Inputs:
    """Five methods beside the two.

    refined: HYMA's order, better two-sided connectors; asked: free; dear: the same order, not free; lot; strict:
    the best order, though two pairs fail.
    """
    refined = {name: [score + 0.05 for score in own["hyma"]] for name, own in SCORES.items()}
    benchmarks = {name: benchmark(own | {"refined": refined[name]}) for name, own in SCORES.items()}
    for content in benchmarks.values():
        content |= COUNTS
    failed = {"tiny-bert": "too few rows", "tiny-words": "too few rows"}
    records = RECORDS | {
        "refined": record("HYMA, refined", 95.0, connectors="two-sided"),
        "dear": record("dear", 7.0, scores=by_pair([2, 6, 1, 3, 4, 5])),
        "asked": record(
            "asked", 0.01, scores=by_pair([2, 6, 1, 3, 4, 5]), notes={"asked": "a|b", "on": "Monday"}
        ),
        "lot": record("by lot", 0.3, scores=by_pair([0.0] * 6)),
        "strict": record("strict", 3.0, scores=by_pair([9, 8, 5, 7]), failed=failed),
    }
    costs = {
        "refined": spent(2e11), "dear": spent(3e11), "asked": spent(0), "lot": spent(2e6), "strict": spent(4e8),
    }  # fmt: skip
    return inputs(benchmarks, records, costs)


def tables(text: str) -> list[list[list[str]]]:
    """Every markdown table as rows of cells, headings first; each must be well formed."""
    found = []
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        rows = [re.split(r"(?<!\\)\|", line) for line in block.splitlines()]
        assert {row[0] for row in rows} | {row[-1] for row in rows} == {""}
        assert {len(row) for row in rows} == {len(rows[0])}, block
        cells = [[cell.strip() for cell in row[1:-1]] for row in rows]
        assert all(re.fullmatch(r":--|--:", cell) for cell in cells[1])
        found.append([cells[0], *cells[2:]])
    return found


def test_the_answer_comes_first(made: Inputs) -> None:
    lead, bullets, more = page(made).split("\n\n")[1:4]
    assert lead == (
        "**Stitch mid × words.** Of 6 pairs HYMA ranks it first, averaged over the choosing half of 2 benchmarks "
        "(protocol *standard*). On the other halves, in points, its connector scores 58.0 by HYMA and 50.0 by grid "
        "search. Grid search, which trains every pair, picks big × bert, with 60.0. The image encoder "
        "alone decides nearly everything here, 93% of how the "
        "pairs' mean scores differ (the text encoder 2%, which of them go together 5%): a method that orders the image "
        "encoders well has a high ρ, whatever it knows of pairs."
    )
    cost, order, regret = bullets.splitlines()
    assert cost == (
        "- **Cost.** HYMA needed 12× fewer FLOPs (100 GFLOPs) and 4.0× less CPU time (30.0 s, on the clock 90.0 s) "
        "than grid search (1.2 TFLOPs; 120.0 s, on the clock 60.0 s), with 2 threads each."
    )
    # Gains on the mean score, by HYMA's order and at best: (score - 0.15) / 0.45, in ninths.
    gain, best = np.array([7, 8, 9, 5, 2]), np.array([9, 8, 7, 5, 2])
    discount = 1 / np.log2(np.arange(2, 7))
    assert f"Spearman ρ = 0.771, NDCG@5 = {gain @ discount / (best @ discount):.3f};" in order
    assert regret == (
        "- **Regret.** Trained by grid search, HYMA's pick would score 50.0: 10.0 points (16.7%) below the best "
        "pair there is."
    )
    assert "[methods.md](methods.md)" in more


def test_the_answer_when_the_oracle_agrees_or_cannot_tell() -> None:
    scores = {"toy": {"hyma": [0.5, 0.7], "grid": [0.4, 0.6]}}
    agreed = ", in points, its connector scores 70.0 by HYMA and 60.0 by grid search. Grid search, which trains every "
    probes = {side: PROBES[side] | {"scores": {"big": 0.5, "bert": 0.5, "words": 0.1}} for side in PROBES}
    probes["image"]["scores"], probes["text"]["scores"] = {"big": 0.5}, {"bert": 0.5, "words": 0.1}
    for grid, said in (
        ([0.4, 0.6], "pair, picks it too."),
        ([0.6, 0.6], "pair, picks any of 2 alike, with 60.0."),
        ([0.7, 0.6], "pair, picks big × bert, with 70.0."),
    ):
        scores["toy"]["grid"] = grid
        found = inputs({"toy": benchmark(scores["toy"]) | COUNTS}, probes=probes)
        assert agreed + said in report.answer(found.ranking).split("\n")[0]
    scores = {"toy": {"hyma": [0.1, 0.2, 0.9], "grid": [0.8, 0.8, 0.1]}}
    three = inputs({"toy": benchmark(scores["toy"]) | COUNTS}, probes=None)
    assert "picks any of 2 alike, with 80.0." in report.answer(three.ranking)


def test_tables(made: Inputs) -> None:
    found = tables(page(made))
    shares, known = found[3:5]
    pairs, by_benchmark, agreement, bounds, both, cost, extraction, unimodal, loss, left_out, reproduce = (
        *found[:3],
        *found[5:],
    )
    assert pairs[:2] == [
        ["pair", "HYMA: rank", "grid search: rank", "HYMA: mean score", "grid search: mean score"],
        ["mid × words", "1", "3", "58.0", "50.0"],
    ]
    order = [PAIRS[row].replace("-", " × ") for row in np.argsort(MEAN["hyma"])[::-1]]
    assert [row[0] for row in pairs[1:]] == [row[0] for row in by_benchmark[1:]] == order
    assert by_benchmark[2] == ["big × words", "66.0 / 60.0", "40.0 / 50.0"]
    assert [row[:2] + row[-2:] for row in agreement[1:3] + agreement[4:]] == [
        ["objects", "mid × words", "10.0", "12.5"],
        ["captions", "mid × words", "20.0", "40.0"],
        ["**on the mean score**", "mid × words", "10.0", "16.7"],
    ]
    assert agreement[3][:2] + agreement[3][-2:-1] == ["**mean of the above**", "", "15.0"]
    assert agreement[4][5] == "0.771"
    assert shares[1:] == [  # see tests/test_pairing.py
        ["**on the mean score**", "92.8%", "2.4%", "4.8%", "16.2"],
        ["objects", "74.3%", "2.9%", "22.9%", "19.7"],
        ["captions", "96.1%", "1.3%", "2.6%", "14.6"],
    ]
    # Of the three image encoders HYMA orders two as grid search does.
    assert [row[:2] for row in known[1:]] == [["HYMA", "0.333"], ["grid search", "1.000"]]
    assert bounds[1:] == [
        ["objects", "top-1 accuracy", "standard", "30", "12", "14", "16", "20.0 – 80.0", "12.5", "–", "–"],
        [
            "captions",
            "VQA accuracy",
            "standard",
            "30",
            "77",
            "14",
            "16",
            "10.0 – 50.0",
            "12.5",
            "0.0 – 5.0",
            "90.0",
        ],
    ]
    # Only the first benchmark has two protocols; the paper's is upside down.
    assert both[1:] == [
        ["objects", "standard", "big × bert", "80.0", "mid × words", "74.0"],
        ["objects", "paper", "tiny × bert", "80.0", "tiny × bert", "90.0"],
    ]
    assert cost == [
        ["", "HYMA", "grid search"],
        ["connector forward", "40 GFLOPs", "300 GFLOPs"],
        ["hypernetwork", "60 GFLOPs", "–"],
        ["**FLOPs, all**", "**100 GFLOPs**", "**1.2 TFLOPs**"],
        ["times cheaper than grid search, FLOPs", "12×", "1.0×"],
        ["**CPU seconds, this run**", "**30.0**", "**120.0**"],
        ["times cheaper than grid search, CPU seconds", "4.0×", "1.0×"],
        ["seconds on the clock, this run", "90.0", "60.0"],
    ]
    assert extraction[1:] == [
        ["big", "image", "2 MFLOPs", "500", "1 GFLOPs"], ["words", "text", "500 FLOPs", "500", "250000 FLOPs"],
    ]  # fmt: skip
    assert [unimodal[row] for row in (1, 5)] == [
        ["big", "image", "90.0", "57.5"], ["words", "text", "50.0", "43.3"],
    ]  # fmt: skip
    assert loss == [["after epoch", "1", "2", "3"], ["mean held-out loss", "4.000", "2.000", "1.990"]]
    assert left_out[1:] == [
        ["objects", "4", "images", "unreadable image", "`raw/a.jpg`, `raw/b.jpg`, `raw/c.jpg`"],
        ["objects", "1", "files", "of a kind that is not read", "`raw/a.txt`"],
    ]
    assert reproduce[1:] == [
        ["seed", "7"], ["revision", "abc"], ["protocol", "standard"],
        ["data hash, training", "`0123456789abcdef`"], ["data hash, objects", "`ffffffffffffffff`"],
    ]  # fmt: skip


def test_unimodal_verdict(made: Inputs) -> None:
    text = page(made)
    assert "linear probe on objects, against the mean score of an encoder's pairs: ρ = 0.500\n" in text
    assert "both sides' strength added up, against each pair's score: ρ = 0.429\n" in text
    assert "on its own orders the pairs worse (ρ = 0.43) than HYMA does (ρ = 0.77)." in text
    better = deepcopy(made)
    better.ranking["unimodal"]["pair"]["spearman"] = 0.9
    assert "as well as HYMA does (ρ = 0.90 and 0.77)" in page(better)
    # A search whose order says nothing has no correlation to be as good as.
    better.ranking["overall"]["hyma"]["spearman"] = None
    assert "on its own orders" not in page(better)
    without = page(inputs(contents(), probes=None))
    assert "uni-modal" not in without.lower()
    assert "unimodal.png" not in without
    assert len(tables(without)) == len(tables(text)) - 1


def test_other_methods_leave_the_page_as_it_is(made: Inputs) -> None:
    """It is about the main method and the oracle, but for the label of the winner's best connector."""
    found = crowd()
    found.benchmarks = made.benchmarks | {
        name: content | {"protocols": {p: {"methods": m["methods"] | {"refined": m["methods"]["hyma"]}}
                                       for p, m in content["protocols"].items()}}
        for name, content in made.benchmarks.items()
    }  # fmt: skip
    said = " The best connector of mid × words is that of *HYMA, refined*, with 63.0."
    assert page(found) == page(made).replace("bert, with 60.0.", f"bert, with 60.0.{said}")
    assert list(of_two(found).ranking["cost"]) == ["hyma", "grid"]
    assert label(found.ranking, "refined") == "HYMA, refined"


def test_parts_that_only_one_method_has(made: Inputs) -> None:
    other = deepcopy(made)
    other.ranking["cost"]["hyma"]["parts"] = {"closed form": 1e9}
    found = tables(page(other))[7]
    assert found[1:4] == [
        ["closed form", "1 GFLOPs", "–"], ["connector forward", "–", "300 GFLOPs"], ["hypernetwork", "–", "–"],
    ]  # fmt: skip


def test_the_short_table_has_all_methods_with_connectors_cheapest_first() -> None:
    found = crowd()
    (short,) = tables(methods.short(found.ranking))
    assert [row[0] for row in short[1:]] == ["HYMA", "HYMA, refined", "grid search"]
    total = tables(page(found))[2][4]  # pick, NDCG@1, NDCG@5, NDCG@10, ρ, …
    start, end = "HYMA|mid × words|58.0|10.0", "100 GFLOPs|30.0|90.0|12× / 4.0×"
    assert short[1] == [*start.split("|"), total[5], total[5], total[3], *end.split("|")]
    assert short[2][1:4] == ["mid × words", "63.0", "10.0"]
    found.ranking["overall"]["hyma"] |= {"pair": None, "picks": 3}
    assert tables(methods.short(found.ranking))[0][1][1] == "any of 3 alike"


def test_a_pair_that_failed_comes_last(made: Inputs) -> None:
    ranking = of_two(made).ranking
    scores = ranking["scores"]["hyma"] | {"mid-words": dict.fromkeys(("mean", *SCORES))}
    ranking["scores"] = {"hyma": scores, "grid": ranking["scores"]["grid"]}
    first, *others = ranking["order"]["hyma"]
    ranking["order"] = ranking["order"] | {"hyma": [*others, first]}
    found, by_benchmark, *_ = tables(page(replace(made, ranking=ranking)))
    assert found[-1] == ["mid × words", "6", "3", "–", "50.0"]
    assert by_benchmark[-1] == ["mid × words", "– / 70.0", "– / 30.0"]


@pytest.mark.parametrize(
    ("loss", "done", "said"),
    [
        (
            [4.0, 2.0, 1.99],
            True,
            "lowest after epoch 3 of 3 and changed by -0.5% in the last one: it has stopped",
        ),
        (
            [4.0, 2.0, 1.9],
            False,
            "lowest after epoch 3 of 3 and changed by -5.0% in the last one: it is still",
        ),
        (
            [4.0, 2.0, 3.0],
            True,
            "lowest after epoch 2 of 3 and changed by +50.0% in the last one: it has stopped",
        ),
        # Falling again, but not yet to where it was.
        (
            [4.0, 2.0, 3.0, 2.5],
            True,
            "lowest after epoch 2 of 4 and changed by -16.7% in the last one: it has stopped",
        ),
        ([4.0], None, "taken once, after its only epoch: whether it has stopped falling cannot be told."),
    ],
)
def test_whether_the_oracle_is_trained_to_the_end(
    made: Inputs, loss: list[float], done: bool | None, said: str
) -> None:
    # Two pairs around the mean.
    grid = {str(by): {"history": {"held_out_loss": [value + by for value in loss]}} for by in (-0.5, 0.5)}
    assert convergence.held_out(grid) == pytest.approx(loss)
    assert convergence.stopped(loss) is done
    text = page(replace(made, grid=grid)).partition("\n## Training\n")[2]
    assert "\n\nGrid search's loss on held-out data, the mean over its pairs, " in text
    assert said in text
    assert ("counts as trained to convergence" in text) == (done is True)
    assert ("is not trained to convergence" in text) == (done is False)
    assert tables(text)[0][1] == ["mean held-out loss", *(f"{value:.3f}" for value in loss)]


def test_one_pair_leaves_dashes_and_whole_tables() -> None:
    one = {"toy": benchmark({"hyma": [0.4], "grid": [0.5]}) | COUNTS}
    probes = {
        side: PROBES[side] | {"scores": {slug: 0.5}} for side, slug in (("image", "big"), ("text", "bert"))
    }
    data = {"toy": {"skipped": [], "data_hash": "0" * 64}}
    ranking = rank(one, FLOPS, RECORDS, probes)
    text = page(Inputs(ranking, one, FLOPS | FEATURES, data, STEPS, GRID, {}))
    assert len(tables(text)) == 10
    assert tables(text)[2][1] == ["toy", "big × bert", *["–"] * 6, "0.0", "0.0"]
    assert "Left out" not in text
    for both in (text, methods.page(ranking)):
        assert "nan" not in both
        assert "None" not in both


def test_encoders_are_listed_by_the_variance_of_their_gradient(made: Inputs) -> None:
    calm, wild = {"mean": 0.5, "variance": 0.1, "peak": 2}, {"mean": 3, "variance": 7, "peak": 40}
    found = tables(page(replace(made, gradients={"calm": calm, "wild": wild})))[11]
    assert found[0][0] == "encoder"
    assert found[1:] == [["wild", "3", "7.000", "40.0"], ["calm", "0.5", "0.100", "2.0"]]
    assert "Gradients of" not in page(made)


def test_a_file_name_does_not_break_the_table(made: Inputs) -> None:
    skipped = [{"file": "raw/a|b.jpg", "reason": "cannot be opened"}]
    data = {"toy": DATA["training"] | {"skipped": skipped}}
    found = tables(page(replace(made, data=data)))[-2]
    assert found[1][0] == "toy"
    assert found[1][-2] == "cannot be opened"


def test_the_leak_check_is_told(made: Inputs) -> None:
    own = {"pictures": 40, "shared": 0, "examples": []}
    leaks = {
        "action": "report",
        "training": "mine",
        "pictures": 1000,
        "leaked": 0,
        "benchmarks": {"toy": own},
    }
    text = page(replace(made, leaks=leaks))
    assert "No picture of the benchmarks, 40 in all, is among the 1,000 training pictures" in text
    leaks |= {"leaked": 2, "benchmarks": {"toy": own | {"shared": 2, "examples": [["a.png", "b.png"]]}}}
    text = page(replace(made, leaks=leaks))
    assert "2 of the 40 pictures of the benchmarks are among the 1,000 training pictures" in text
    assert "`leaks: drop` trains without them" in text
    assert ["toy", "40", "2", "`b.png` is `a.png`"] in [row for table in tables(text) for row in table]
    assert "were left out of training" in page(replace(made, leaks=leaks | {"action": "drop"}))
    assert "Leak check" not in page(made)


def test_templates_may_break_lines() -> None:
    text = "\n\n# a\n\none \ntwo\n  -0.1% and\n*three*.\n\n\n\n- item\n  goes on\n- next\n\n> note\n>\n> note\n\n"
    assert flowing(text + "| x |\n| :-- |\n\n\n") == (
        "# a\n\none two -0.1% and *three*.\n\n- item goes on\n- next\n\n> note\n>\n> note\n\n| x |\n| :-- |\n"
    )
    assert flowing("a\nb\n\n```python\none\n\n\ntwo\n```\n\nc\nd") == (
        "a b\n\n```python\none\n\n\ntwo\n```\n\nc d\n"
    )


def test_rank_and_pages_load_without_what_is_slow() -> None:
    modules = "hyma.ranking.rank, hyma.report.methods, hyma.report.compare, hyma.report.revisions"
    slow = "{'torch', 'scipy', 'matplotlib', 'dvc', 'PIL'}"
    code = f"import sys, {modules}\nprint(*({slow} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_flops_with_a_unit() -> None:
    known = {0: "0 FLOPs", 999: "999 FLOPs", 1e6: "1 MFLOPs", 1.234e9: "1.23 GFLOPs", 2e15: "2 PFLOPs"}
    assert {value: markdown.flops(value) for value in known} == known
    for value in (9.999e8, 9.996e11, 1.5e18):
        assert "e+" not in markdown.flops(value)


def test_ratios_in_words() -> None:
    assert [markdown.times(ratio) for ratio in (0.66, 9.94, 12.4, None)] == ["0.7×", "9.9×", "12×", "–"]
    assert [markdown.seconds(value) for value in (0.0, 0.049, 0.05, 12.34)] == [
        "< 0.1",
        "< 0.1",
        "0.1",
        "12.3",
    ]
    assert markdown.sentence("hYMA reads") == "HYMA reads"
    assert markdown.cheaper(12.0, "fewer", "more") == "12× fewer"
    assert markdown.cheaper(0.25, "fewer", "more") == "4.0× more"
    assert (markdown.points(None), markdown.decimal(None), markdown.decimal(-0.5, 1)) == ("–", "–", "-0.5")


def of_methods(content: Json, wanted: Callable[[str], bool]) -> Json:
    """What was measured on a benchmark, of some methods."""
    protocols = {
        name: own | {"methods": {method: of for method, of in own["methods"].items() if wanted(method)}}
        for name, own in content["protocols"].items()
    }
    return content | {"protocols": protocols}


def project(root: Path, made: Inputs, training: str = "pairs") -> None:
    """What the stage reads."""
    sets = {f"training/{training}": DATA["training"]} | {f"benchmarks/{n}": DATA["objects"] for n in SCORES}
    contents: Json = {}
    for name, content in made.benchmarks.items():
        contents[f"metrics/benchmarks/{name}.json"] = of_methods(content, lambda method: method != "grid")
        contents[f"metrics/grid/{name}.json"] = of_methods(content, lambda method: method == "grid")
    contents |= {f"data/prepared/{place}/meta.json": meta for place, meta in sets.items()}
    contents |= {str(records.of_pair(pair)): entry for pair, entry in GRID.items()}
    contents["models/hyma/result.json"] = {"gradients": made.gradients}
    contents |= {"metrics/ranking.json": made.ranking, "metrics/flops.json": made.flops}
    contents["metrics/settings.yaml"] = {"device": "cpu", "seed": 7}
    contents["metrics/leaks.json"] = {}
    contents["metrics/finals.json"] = {"oracle": "full", "pairs": PAIRS}
    names = {
        "training": [training], "benchmarks": list(SCORES), "image_encoders": ["big", "mid", "tiny"],
        "text_encoders": ["bert", "words"],
    }  # fmt: skip
    contents |= {f"metrics/names/{section}.json": found for section, found in names.items()}
    for place, content in contents.items():
        write_json(root / place, content)
    rows = zip(*STEPS.values(), strict=True)
    write_text(
        root / "metrics/hyma_steps.csv", "\n".join([",".join(STEPS), *(",".join(map(str, r)) for r in rows)])
    )


@pytest.fixture(scope="module")
def drawn(made: Inputs, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The reports that two runs of the stage wrote."""
    roots = [tmp_path_factory.mktemp("project") for _ in range(2)]
    for root in roots:
        project(root, made)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(root)
            patch.setattr(stage, "gallery", lambda _: [])
            outside_git(patch, root)
            stage.main()
    return [root / "reports" for root in roots]


def outside_git(patch: pytest.MonkeyPatch, root: Path) -> None:
    """Let git see nothing above `root`, nor the repository whose hook may be running this."""
    patch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        patch.delenv(name, raising=False)


def test_the_stage_draws_what_the_page_links(drawn: list[Path], made: Inputs) -> None:
    text = (drawn[0] / "ranking.md").read_text(encoding="utf-8")
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    links += re.findall(r"!\[[^]]+\]\(([^)]+)\)", (drawn[0] / "methods.md").read_text(encoding="utf-8"))
    assert sorted(links) == sorted(f"figures/{name}" for name in SIZE)
    assert (drawn[0] / "methods.md").read_text(encoding="utf-8") == methods.page(made.ranking)
    assert sorted(path.name for path in (drawn[0] / "figures").iterdir()) == sorted(SIZE)
    for name, size in SIZE.items():
        with Image.open(drawn[0] / "figures" / name) as picture:
            assert (picture.format, picture.size) == ("PNG", size)
            colours = {colour for _, colour in picture.convert("RGB").getcolors(2**24) or []}
        assert len(colours) > 50
        assert (tuple(bytes.fromhex(figures.COLOURS[1][1:])) in colours) == (name != "pairs.png")
    assert tables(text)[:7] == tables(page(made))[:7]
    facts = dict(tables(text)[-1][1:])
    assert (facts["seed"], facts["device"], facts["revision"]) == ("7", "cpu", "unknown")
    assert facts["python"] == platform.python_version()


def test_two_runs_write_the_same_bytes(drawn: list[Path]) -> None:
    one, two = ({path.name: path.read_bytes() for path in folder.rglob("*.*")} for folder in drawn)
    assert one == two
    assert len(one) == 9


def test_a_training_set_named_as_a_benchmark(
    made: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, made, training="captions")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(figures, "figure", lambda path, *_: write_text(path, ""))
    monkeypatch.setattr(stage, "page", lambda *_: "")
    monkeypatch.setattr(stage, "gallery", lambda _: [])
    stage.main()
    text = (tmp_path / "reports/ranking.md").read_text(encoding="utf-8")
    assert "`0123456789abcdef`" in text  # the training set's data hash
    assert text.count("`ffffffffffffffff`") == 2


def canvas(monkeypatch: pytest.MonkeyPatch, draw: Any, *arguments: Any) -> Figure:
    """What one of the pictures draws, before it is turned into dots."""
    kept: list[Figure] = []

    def figure(_: Path, width: float, height: float, fill: Any) -> None:
        kept.append(Figure(figsize=(width, height)))
        fill(kept[0])

    monkeypatch.setattr(figures, "figure", figure)
    draw(Path("x.png"), *arguments)
    return kept[0]


def dots(axes: Any) -> list[list[float]]:
    return [dot.get_offsets()[0].tolist() for dot in axes.collections]


def test_scatter_and_costs_show_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = inputs(contents())
    (axes,) = canvas(monkeypatch, figures.scatter, made.ranking, "hyma").axes
    np.testing.assert_allclose(dots(axes), 100 * np.array([MEAN["grid"], MEAN["hyma"]]).T)
    assert axes.get_xlabel() == "grid search: mean score (points)"
    assert axes.get_ylabel() == "HYMA: mean score (points)"
    made.ranking["scores"]["hyma"] |= {"mid-words": dict.fromkeys(("mean", *SCORES))}  # a pair that failed
    (axes,) = canvas(monkeypatch, figures.scatter, made.ranking, "hyma").axes
    assert len(dots(axes)) == 5
    (axes,) = canvas(monkeypatch, figures.cost_quality, made.ranking).axes
    np.testing.assert_allclose(dots(axes), [[1e11, 50], [1.2e12, 60]])
    notes = [text.get_text() for text in axes.texts]
    assert notes == ["HYMA\n30 s of CPU time", "grid search\n120 s of CPU time", "best pair of all"]
    assert axes.get_xscale() == "log"
    assert axes.lines[0].get_ydata() == pytest.approx([60, 60])


def test_heatmap_unimodal_and_training_show_the_numbers(
    made: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    panels = canvas(monkeypatch, figures.heatmap, made.ranking).axes
    for axes, title, method in zip(panels, ("grid search", "HYMA"), ("grid", "hyma"), strict=True):
        assert axes.get_title(loc="left") == title
        assert [text.get_text() for text in axes.texts] == [f"{100 * value:.1f}" for value in MEAN[method]]
        assert [label.get_text() for label in axes.get_xticklabels()] == ["bert", "words"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["big", "mid", "tiny"]
    image, text = canvas(monkeypatch, figures.unimodal, made.ranking).axes
    assert (image.get_title(), text.get_title()) == ("image side: ρ = 0.50", "text side: ρ = 1.00")
    reached = 100 * np.array(MEAN["grid"])
    np.testing.assert_allclose(dots(image), np.stack([[90, 90, 60, 60, 70, 70], reached], 1))
    np.testing.assert_allclose(dots(text), np.stack([[30, 50] * 3, reached], 1))
    labels = ("HYMA", "grid search")
    grid = GRID | {"big-bert": {"history": HISTORY | {"held_out_loss": [10.0, 8.0, 7.99]}}}
    loss, accuracy, norm, held_out = canvas(monkeypatch, figures.training, STEPS, grid, labels).axes
    assert [np.array(line.get_ydata()).tolist() for line in loss.lines] == [HISTORY["loss"]] * 7
    assert np.array(accuracy.lines[0].get_ydata()).tolist() == STEPS["accuracy"]
    assert np.array(norm.lines[0].get_ydata()).tolist() == STEPS["grad_norm"]
    *thin, mean = [np.array(line.get_ydata()) for line in held_out.lines]
    assert thin[0].tolist() == [10.0, 8.0, 7.99]
    assert len(thin) == 6
    np.testing.assert_allclose(mean, [5.0, 3.0, 2.99])
    assert np.array(held_out.lines[-1].get_xdata()).tolist() == [1, 2, 3]


def test_a_failed_pair_in_the_heatmap(monkeypatch: pytest.MonkeyPatch) -> None:
    ranking = inputs(contents()).ranking
    ranking["scores"]["hyma"] |= {"mid-words": dict.fromkeys(("mean", *SCORES))}
    _, axes = canvas(monkeypatch, figures.heatmap, ranking).axes
    assert [text.get_text() for text in axes.texts][2:5] == ["30.0", "failed", "10.0"]


def git(*arguments: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outside_git(monkeypatch, tmp_path)
    assert environment.revision() == "unknown"
    git("init", "-q")
    assert environment.revision() == "unknown"  # no commit yet
    (tmp_path / "hyma").mkdir()
    for name in ("hyma/code.py", "params.yaml", "notes.txt"):
        (tmp_path / name).write_text("1\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD")[:12]
    assert environment.revision() == commit
    (tmp_path / "notes.txt").write_text("2\n")  # not what results depend on
    assert environment.revision() == commit
    for name in ("hyma/code.py", "params.yaml"):
        (tmp_path / name).write_text("2\n")
        assert environment.revision() == f"{commit} with changes"
        git("checkout", "-q", "--", name)
    monkeypatch.setenv("PATH", str(tmp_path))  # no git there
    assert environment.revision() == "unknown"


def test_versions_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment.versions()
    assert found["python"] == platform.python_version()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert set(found) == {"python", *environment.PACKAGES}
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package",))
    assert environment.versions()["no-such-package"] == "not installed"
    name, cores, system = environment.machine().rsplit(", ", 2)
    assert (cores, system) == (f"{os.cpu_count()} cores", platform.system())
    assert name
