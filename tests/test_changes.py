"""What a change of the experiment runs again: the stages, and of what they keep apart only what it concerns."""

import json
import re

from tests.project import METHODS, Project, without_instance

AFTER_SEARCH = {"evaluate", "rank", "report", "export"}


def repro(project: Project) -> tuple[list[str], list[str]]:
    """Run ``dvc repro``; the stages that ran, and the results in them that were kept."""
    printed = project.run("dvc", "repro")
    return project.ran(printed), re.findall(r"^(\S+): nothing that it depends on has changed", printed, re.M)


def test_switching_a_method_on_runs_it_and_what_follows(changing: Project) -> None:
    params = changing.params()
    params["search"]["methods"] += ["cknna"]
    changing.write_params(params)
    ran, kept = repro(changing)
    assert without_instance(ran) == {"check", "search"} | AFTER_SEARCH
    assert set(METHODS) <= set(kept)
    assert "cknna" not in kept
    assert (changing.folder / "models/search/methods/cknna/result.json").is_file()
    params["search"] |= {"methods": [], "recorded": {}}
    changing.write_params(params)
    ran, kept = repro(changing)
    assert without_instance(ran) == {"check", "search"} | AFTER_SEARCH
    assert not set(METHODS) & set(kept)
    ranking = json.loads((changing.folder / "metrics/ranking.json").read_text())
    assert list(ranking["methods"]) == ["grid", "hyma", "refine", "unimodal"]


def test_connector_kind_runs_all_searches_but_no_extraction(changing: Project) -> None:
    ran = changing.stages("exp", "run", "-n", "linear", "-S", "connector.kind=linear")
    searches = {"train_hyma", "train_grid", "refine", "search"}
    assert without_instance(ran) == {"check"} | searches | AFTER_SEARCH
