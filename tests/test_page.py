"""The page of the last run: what it says, and what a real browser does with it, clicked through by a script."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from hyma.common.files import read_json
from hyma.report import ranking as report
from hyma.report.gallery import Answer, Item
from hyma.report.html import figure, heated, marked, paragraphs, thumbnail
from hyma.report.inputs import of_two
from hyma.report.page import Card, Shown, page, tiles
from stages.report import gallery as judged
from tests.test_compare_pairs import pictures, run_folder
from tests.test_report import crowd

__all__ = ["run_folder"]  # a fixture
Json = dict[str, Any]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WATCH = """<script>
window.found = {problems: []};
addEventListener("error", (event) => found.problems.push(event.message || event.target.outerHTML), true);
addEventListener("securitypolicyviolation", (event) => found.problems.push(event.violatedDirective));
</script>"""
PROBE = """<script>addEventListener("load", () => {
%s
const seen = document.createElement("pre");
seen.id = "seen";
seen.textContent = JSON.stringify(found);
document.body.append(seen);
});</script>"""
CLICKS = """
const table = document.getElementById("pairs-table");
const heads = [...table.tHead.rows[0].cells];
const shown = () => [...table.tBodies].find((body) => !body.hidden);
const column = (name) => heads.findIndex((head) => head.textContent === name);
const cells = (name) => [...shown().rows].map((row) => row.cells[column(name)].textContent);
const click = (name) => heads[column(name)].querySelector("button").click();
const sorts = () => heads.map((head) => head.getAttribute("aria-sort"));
found.start = {heads: heads.map((head) => head.textContent), sorts: sorts(), pairs: cells("pair")};
found.clicks = ["objects", "objects", "pair", "pair"].map((name) => {
  click(name);
  return {sorts: sorts(), values: cells(name)};
});
const select = document.getElementById("scores-by");
found.methods = [...select.options].map((option) => {
  select.value = option.value;
  select.dispatchEvent(new Event("change"));
  const open = [...table.tBodies].filter((body) => !body.hidden).map((body) => body.dataset.method);
  const means = cells("mean score");
  return {method: option.value, open, scores: Object.fromEntries(cells("pair").map((pair, row) => [pair, means[row]]))};
});
const cards = [...document.querySelectorAll("#gallery-cards .card")];
const visible = () => cards.filter((card) => card.getClientRects().length);
const press = (filter, value) => document.querySelector(`[data-filter=${filter}] [data-value="${value}"]`).click();
const state = () => ({
  shown: visible().map((card) => [card.dataset.benchmark, card.dataset.verdict]),
  count: document.querySelector(".count").textContent,
  pressed: [...document.querySelectorAll("[aria-pressed=true]")].map((button) => button.textContent),
});
found.filters = [state()];
for (const [filter, value] of [["verdict", "wrong"], ["benchmark", "captions"], ["verdict", ""], ["benchmark", ""]]) {
  press(filter, value);
  found.filters.push(state());
}
found.images = [...document.images].map((image) => [image.naturalWidth, image.naturalHeight, image.alt]);
const fetched = performance.getEntriesByType("resource").map((entry) => entry.name);
found.requests = fetched.filter((name) => !name.startsWith("data:"));
const controls = [...document.querySelectorAll("button, select, a, summary")];
found.unreachable = controls.filter((one) => one.tabIndex < 0).length;
"""
LOOKS = """
const colour = (name) => getComputedStyle(document.body)[name];
found.looks = {
  background: colour("backgroundColor"),
  ink: colour("color"),
  overflow: document.documentElement.scrollWidth - innerWidth,
};
"""


def browse(file: Path, script: str, *options: str) -> Json:
    """What a browser finds on the page after `script`, which adds to ``found``; its complaints under ``console``."""
    if BROWSER is None:
        pytest.skip("no chromium here: install it to test the page in a real browser")
    text = file.read_text(encoding="utf-8")
    assert text.count("<head>") == text.count("</body>") == 1
    copy = file.with_name("clicked.html")
    text = text.replace("<head>", f"<head>{WATCH}").replace("</body>", f"{PROBE % script}</body>")
    copy.write_text(text, encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={file.parent / 'profile'}", *options, "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True)
    seen = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert seen, done.stderr
    found: Json = json.loads(html.unescape(seen[1]))
    return found | {"console": re.findall(r"CONSOLE.*", done.stderr)}


def item(right: bool, *, question: str = "") -> Item:
    answers = (Answer("a <script>alert(1)</script>", 0.5, 1, right), Answer("b", -0.25, 2, not right))
    return Item(0, right, answers, question, (("x & y", 7), ("z", 1)) if question else ())


def gallery() -> list[Shown]:
    thumb = thumbnail(pictures("teal")[0]["image"], 'the "image"')
    rows = {"objects": [True, True, False], "captions": [True, False]}
    return [
        Shown(
            name,
            "images",
            "it is <right>",
            3,
            9,
            [Card(name, item(right, question="Why?"), thumb) for right in own],
        )
        for name, own in rows.items()
    ]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    for name, size in (("scatter", (400, 300)), ("training", (900, 200))):
        image = Image.new("RGBA", size, "white")
        ImageDraw.Draw(image).line((0, 0, *size), fill="navy", width=3)
        image.save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def written(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("reports") / "index.html"
    file.write_text(page(crowd().ranking, figures, gallery()), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def found(written: Path) -> Json:
    return browse(written, CLICKS, "--window-size=1300,900")


def test_it_loads_without_a_complaint(found: Json) -> None:
    assert found["problems"] == []
    assert found["console"] == []
    assert found["requests"] == []
    assert found["unreachable"] == 0


def test_the_browser_would_complain(written: Path) -> None:
    """The watch works: a picture from elsewhere is refused by the page's own policy, a mistake is seen."""
    bad = written.with_name("bad.html")
    text = written.read_text(encoding="utf-8")
    bad.write_text(
        text.replace("<main>", '<main><img src="https://localhost/a.png"><script>nowhere()</script>')
    )
    problems = browse(bad, "")["problems"]
    assert any("nowhere is not defined" in problem for problem in problems)
    assert "img-src" in problems


def test_nothing_is_fetched_from_anywhere(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert set(re.findall(r'\b(?:src|href)="([^"]{1,5})', text)) <= {
        "data:",
        "#pair",
        "#meth",
        "#figu",
        "#gall",
    }
    assert not re.search(r"@import|url\(|https?://", text)


def test_pairs_start_as_the_answer_has_them(found: Json) -> None:
    start = found["start"]
    assert start["heads"][:6] == [
        "pair", "image encoder", "text encoder", "mean by HYMA", "mean by grid search", "mean score",
    ]  # fmt: skip
    assert start["heads"][6:] == ["objects", "captions"]
    assert start["sorts"] == ["none"] * 3 + ["descending"] + ["none"] * 4
    assert start["pairs"][:2] == ["mid × words", "big × words"]


def test_a_click_on_a_head_sorts_both_ways(found: Json) -> None:
    down, up, words, back = found["clicks"]
    # The winner's best connectors are those of HYMA, refined: HYMA's scores and 5 points.
    values = ["79.0", "75.0", "71.0", "45.0", "25.0", "15.0"]
    assert (down["values"], up["values"]) == (values, values[::-1])
    assert [one["sorts"][6] for one in (down, up, words)] == ["descending", "ascending", "none"]
    assert down["sorts"].count("none") == len(down["sorts"]) - 1
    assert (words["sorts"][0], back["sorts"][0]) == ("ascending", "descending")
    assert words["values"] == sorted(words["values"]) == back["values"][::-1]


def test_numbers_sort_as_numbers_and_gaps_last(figures: Path, tmp_path: Path) -> None:
    ranking = crowd().ranking
    scores = ranking["scores"]["refined"]
    for pair, value in zip(scores, [1e-05, 0.5, None, 0.101, -0.02, 1.0], strict=True):
        scores[pair]["objects"] = value
    file = tmp_path / "index.html"
    file.write_text(page(ranking, figures, []), encoding="utf-8")
    # Without a gallery there is nothing to filter.
    down, up = browse(file, CLICKS.partition("const select")[0])["clicks"][:2]
    assert down["values"] == ["100.0", "50.0", "10.1", "0.0", "-2.0", "–"]
    assert up["values"] == ["-2.0", "0.0", "10.1", "50.0", "100.0", "–"]


def test_scores_of_every_method_can_be_chosen(found: Json) -> None:
    ranking = crowd().ranking
    assert [one["method"] for one in found["methods"]] == list(ranking["scores"])
    for one in found["methods"]:
        assert one["open"] == [one["method"]]
        for pair, scores in ranking["scores"][one["method"]].items():
            assert one["scores"][pair.replace("-", " × ")] == f"{100 * scores['mean']:.1f}"


def test_filters_show_what_they_say(found: Json) -> None:
    everything, wrong, both, captions, again = found["filters"]
    assert [verdict for _, verdict in everything["shown"]] == ["right", "right", "wrong", "right", "wrong"]
    assert wrong["shown"] == [["objects", "wrong"], ["captions", "wrong"]]
    assert both["shown"] == [["captions", "wrong"]]
    assert captions["shown"] == [["captions", "right"], ["captions", "wrong"]]
    assert again["shown"] == everything["shown"]
    assert [one["count"] for one in found["filters"]] == [f"{n} of 5 shown" for n in (5, 2, 1, 2, 5)]
    assert both["pressed"] == ["captions", "wrong"]


def test_images_are_there_in_all_their_dots(found: Json) -> None:
    sizes = [(width, height) for width, height, _ in found["images"]]
    assert sizes == [(400, 300), (900, 200), *[(128, 85)] * 5]
    assert {alt for *_, alt in found["images"]} == {
        "Every pair, scored by both",
        "Training curves",
        'the "image"',
    }


@pytest.mark.parametrize("width", [500, 1400])
def test_light_and_dark_narrow_and_wide(written: Path, width: int) -> None:
    def look(*options: str) -> Json:
        looks: Json = browse(written, LOOKS, f"--window-size={width},800", *options)["looks"]
        return looks

    light, dark = (
        look("--blink-settings=preferredColorScheme=1"),
        look("--blink-settings=preferredColorScheme=0"),
    )
    for looks, darker in ((light, False), (dark, True)):
        assert looks["overflow"] <= 0  # wide tables scroll within themselves
        background, ink = (sum(map(int, re.findall(r"\d+", looks[name]))) for name in ("background", "ink"))
        assert (background < 150 and ink > 600) if darker else (background > 700 and ink < 200)


def test_the_answer_is_that_of_the_report(written: Path) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", "", written.read_text(encoding="utf-8")))
    plain = re.sub(r"\*|^- ", "", report.answer(of_two(crowd()).ranking), flags=re.MULTILINE)
    lines = [line for line in plain.splitlines() if line]
    assert [line.partition(" ")[0] for line in lines] == ["Stitch", "Cost.", "Ranking.", "Regret."]
    assert all(line in text for line in lines)


def test_texts_are_escaped(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "a &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "x &amp; y ×7, z</p>" in text
    assert "it is &lt;right&gt;." in text


def test_tiles() -> None:
    assert tiles(crowd().ranking) == [
        ("63.0", "points by HYMA, refined"),
        ("12×", "fewer FLOPs than grid search"),
        ("4.0×", "less CPU time than grid search"),
        ("0.771", "ρ with grid search's order of the pairs"),
        ("10.0", "points of regret"),
    ]


def test_markdown() -> None:
    assert marked("**a** *b* `c` <d> & 2 * 3") == (
        "<strong>a</strong> <em>b</em> <code>c</code> &lt;d&gt; &amp; 2 * 3"
    )
    assert paragraphs("one\ntwo\n\n- *x*\n- y") == "<p>one two</p>\n<ul><li><em>x</em></li><li>y</li></ul>"


def test_heat() -> None:
    assert heated([1.0, None, 3.0, 2.0]) == [0, None, 1, 0.5]
    assert heated([2.0, 2.0]) == [0, 0]
    assert heated([None]) == [None]


def test_pictures(tmp_path: Path) -> None:
    small = thumbnail(pictures("red")[0]["image"], "x")
    assert small is not None
    assert (small.width, small.height, small.alt) == (128, 85, "x")
    assert thumbnail({"bytes": b"no picture", "path": None}, "x") is None
    assert thumbnail({"bytes": None, "path": str(tmp_path / "gone.jpg")}, "x") is None
    Image.new("RGBA", (20, 10), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    drawn = figure(tmp_path / "clear.png", "y")
    assert (drawn.width, drawn.height) == (20, 10)


def test_the_gallery_of_a_run(run_folder: Path) -> None:
    ranking = read_json(run_folder / "metrics/ranking.json")
    text = page(ranking, run_folder, judged(ranking))
    assert "<h1>Stitch cam × good</h1>" in text
    # Of the objects it gets three right and one wrong, all captions right, of the questions one.
    found = re.findall(r'class="card" data-benchmark="(\w+)" data-verdict="(\w+)"', text)
    right = {name: [verdict for own, verdict in found if own == name].count("right") for name, _ in found}
    assert right == {"objects": 3, "captions": 3, "questions": 1}
    assert len(found) == 9
    assert "So it is for 3 of 4 images." in text
    assert text.count("<img ") == 9
    assert page(ranking, run_folder, judged(ranking)) == text


def test_the_browser_finds_the_comparison_in_order(run_folder: Path) -> None:
    from hyma.cli.command import main as hyma

    hyma(["compare", "cam-good", "cam-bad", "--html", "differ.html"])
    script = """
    const cards = [...document.querySelectorAll(".card")];
    document.querySelector("[data-filter=only] [data-value=second]").click();
    found.shown = cards.filter((card) => card.getClientRects().length).map((card) => card.dataset.benchmark);
    found.widths = [...document.images].map((image) => image.naturalWidth);
    """
    found = browse(run_folder / "differ.html", script)
    assert (found["problems"], found["console"]) == ([], [])
    assert found["shown"] == ["objects", "questions"]
    assert set(found["widths"]) == {128}
