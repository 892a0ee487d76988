"""How runs differ in what they were given: params.yaml, and the code and data that dvc.lock names.

dvc.lock also says which values a ranking was made with, so whether it is still that of its params.yaml.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

Json = dict[str, Any]
PARAMS, SETTINGS, STAGE = "params.yaml", "metrics/settings.yaml", "rank"
_GONE = object()


def differences(params: Mapping[str, Any], below: str = "") -> Json:
    """Dotted key → run → value, of all that is not the same in all runs; a run without the key is left out.

    A part that some run does not have at all is one entry, not one for each key within. Keys start with `below`.
    """
    found: Json = {}
    waiting: list[tuple[str, Json]] = [(below, dict(params))]
    while waiting:
        key, values = waiting.pop(0)
        if len(values) == len(params) and all(isinstance(value, dict) for value in values.values()):
            names = dict.fromkeys(name for value in values.values() for name in value)
            inner = [(f"{key}.{name}".lstrip("."), _part(values, name)) for name in names]
            waiting = inner + waiting
        elif len(values) < len(params) or not _all_equal(list(values.values())):
            found[key] = values
    return found


def _part(values: Json, name: str) -> Json:
    return {run: value[name] for run, value in values.items() if name in value}


def _all_equal(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values)


def outdated(params: Json, lock: Json) -> Json:
    """Dotted keys whose value is no longer the one that the ranking was made with.

    Returns:
        Key → ``ran`` and ``now``. A key of a stage that is gone from `params` is that of an encoder or a method
        that is gone, and is left out.
    """
    found: Json = {}
    for stage in behind(lock.get("stages", {})):
        own = stage.get("params", {})
        for file in (PARAMS, SETTINGS):
            for key, ran in own.get(file, {}).items():
                now = _lookup(params, key)
                if now is not _GONE:
                    both = (_common(ran, now), _common(now, ran)) if file == SETTINGS else (ran, now)
                    found |= differences(dict(zip(("ran", "now"), both, strict=True)), key)
    return found


def _common(one: Any, other: Any) -> Any:
    """What of one setting the other has, too: params.yaml leaves out what has a default."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return one
    return {name: _common(value, other[name]) for name, value in one.items() if name in other}


def changed_inputs(locks: Sequence[Json]) -> list[str]:
    """Files that stages read and no stage makes (code, data) whose content is not the same in all runs.

    Nothing is said where a run has no lock.
    """
    contents = [_inputs(lock.get("stages", {})) for lock in locks]
    if not all(contents):
        return []
    paths = sorted({path for content in contents for path in content})
    return [path for path in paths if any(content.get(path) != contents[0].get(path) for content in contents)]


def behind(stages: Mapping[str, Json]) -> Iterator[Json]:
    """The stages of a lock that the ranking comes from, its own included."""
    makers = _makers(stages)
    waiting, seen = [name for name in stages if name == STAGE], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield stages[name]
        for path in _paths(stages[name], "deps"):
            waiting += [maker for place in (path, *_above(path)) for maker in makers.get(place, ())]


def _makers(stages: Mapping[str, Json]) -> dict[str, set[str]]:
    """A path → the stages that make it or, where it is a folder, something in it."""
    found: dict[str, set[str]] = {}
    for name, stage in stages.items():
        for path in _paths(stage, "outs"):
            for place in (path, *_above(path)):
                found.setdefault(place, set()).add(name)
    return found


def _inputs(stages: Mapping[str, Json]) -> dict[str, str]:
    """Path → hash, of all that comes from outside."""
    outs = {path for stage in stages.values() for path in _paths(stage, "outs")}
    made = outs | {place for path in outs for place in _above(path)}
    return {
        dep["path"]: str(dep.get("md5", ""))
        for stage in behind(stages)
        for dep in stage.get("deps", [])
        if dep["path"] not in made and outs.isdisjoint(_above(dep["path"]))
    }


def _paths(stage: Json, key: str) -> list[str]:
    return [entry["path"] for entry in stage.get(key, [])]


def _above(path: str) -> list[str]:
    """The folders that a path lies in, but for the project's own."""
    return [str(folder) for folder in PurePosixPath(path).parents][:-1]


def _lookup(params: Json, key: str) -> Any:
    value: Any = params
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return _GONE
        value = value[part]
    return value
