"""The pairs of a search in memory, best first: tables for a notebook, and the way to a stitched model."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from math import inf
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from hyma.common.errors import HymaError
from hyma.encoders.base.common import like
from hyma.ranking.agreement import agreement
from hyma.stitching.connectors import Stitch
from hyma.stitching.result import SearchResult

if TYPE_CHECKING:
    import pandas as pd

    from hyma.model.stitched import StitchedModel

SHOWN = 10
"""Pairs that a notebook shows of a ranking."""


@dataclass(frozen=True, repr=False)
class Ranking:
    """What `hyma.search_pairs` found. The first method ranks; of pairs that it scores alike, the first stays first."""

    results: Mapping[str, SearchResult]
    """Method → its result, as in the pipeline; at least one."""
    candidates: list[str]
    """All pairs, ``<image>-<text>``, in the order in which their encoders were given."""
    held_out: int
    """Images that the pairs were scored on; the fewer, the more of a score is luck."""
    logit_scale: float
    """What cosines were multiplied by in training."""

    @property
    def method(self) -> str:
        """The method that ranks."""
        return next(iter(self.results))

    @property
    def best(self) -> str:
        """The best pair."""
        return self.pairs[0]

    @property
    def pairs(self) -> list[str]:
        """All pairs, best first; those without a score come last."""
        scores = self.results[self.method].scores
        return sorted(self.candidates, key=lambda pair: -scores.get(pair, -inf))

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """Method → pair → score, higher is better; pairs that failed have none (see `SearchResult.failed`)."""
        return {name: dict(result.scores) for name, result in self.results.items()}

    def to_pandas(self) -> "pd.DataFrame":
        """Return a row a pair, best first: ``image``, ``text`` and, for each method, its score and ``<method>_rank``.

        The score's column is named as the method. The best pair has rank 1, and equal pairs share the better rank.
        """
        frame = _pandas().DataFrame(index=_pandas().Index(self.pairs, name="pair"))
        frame["image"], frame["text"] = zip(*(pair.split("-") for pair in self.pairs), strict=True)
        for name, result in self.results.items():
            frame[name] = [result.scores.get(pair) for pair in self.pairs]
            frame[name] = frame[name].astype(float)
            frame[f"{name}_rank"] = (
                frame[name].rank(ascending=False, method="min", na_option="bottom").astype(int)
            )
        return frame

    def costs(self) -> "pd.DataFrame":
        """Return a row a method: ``label``, ``flops``, ``seconds``, ``cpu_seconds`` and ``steps`` of its search."""
        rows = {
            name: {
                "label": result.label,
                "flops": sum(result.flops.values()),
                "seconds": result.seconds,
                "cpu_seconds": result.cpu_seconds,
                "steps": result.steps,
            }
            for name, result in self.results.items()
        }
        return _by_method(rows)

    def agreement(self, oracle: str = "grid") -> "pd.DataFrame":
        """Return a row for every other method: how well it ranks the pairs as the oracle does.

        The columns are those of `hyma.ranking.agreement.agreement`: ``regret``, ``spearman``, ``ndcg@5`` …

        Raises:
            HymaError: if the oracle is not among the methods, or it left a pair without a score.
        """
        truth = self._result(oracle, "oracle")
        if truth.failed:
            pair, reason = next(iter(truth.failed.items()))
            raise HymaError(f"oracle: {oracle} has no score for {pair} ({reason}); take another method")
        rows = {
            name: agreement(truth.scores, {pair: result.scores.get(pair, -inf) for pair in self.candidates})
            for name, result in self.results.items()
            if name != oracle
        }
        return _by_method(rows)

    def stitch(self, pair: str | None = None, method: str | None = None) -> Stitch:
        """Return a pair's connector with the normalisation that goes with it, on the CPU.

        Args:
            pair: ``<image>-<text>``; the best one, unless given.
            method: whose; unless given, the ranking method's, or the first that has one for the pair.

        Raises:
            HymaError: if there is no such pair or method, or it has no connector for the pair.
        """
        return self._stitched(pair, method)[2]

    def model(
        self,
        image_encoder: Any = None,
        text_encoder: Any = None,
        pair: str | None = None,
        method: str | None = None,
        device: str = "auto",
    ) -> "StitchedModel":
        """Return a pair as a model that classifies and searches.

        Args:
            image_encoder: made the image features: an object of the form `hyma.encoders.base.load.Encoder`, or the
                parameters of one (`hyma.encoders.base.params.ImageEncoderParams`); None, if features are all you have.
            text_encoder: the same for texts.
            pair: as for `stitch`.
            method: as for `stitch`.
            device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            HymaError: as `stitch`.
        """
        from hyma.model.stitched import StitchedModel

        pair, method, stitch = self._stitched(pair, method)
        return StitchedModel(
            stitch,
            image_encoder,
            text_encoder,
            logit_scale=self.logit_scale,
            device=device,
            pair=pair,
            method=method,
        )

    def _stitched(self, pair: str | None, method: str | None) -> tuple[str, str, Stitch]:
        pair = self.best if pair is None else pair
        if pair not in self.candidates:
            raise HymaError(f"pair: {pair!r}: no such pair{_hint(pair, self.candidates)}")
        if method is not None:
            self._result(method, "method")
        for name in self.results if method is None else [method]:
            if pair in self.results[name].stitches:
                return pair, name, self.results[name].stitches[pair].to(torch.device("cpu"))
        whose = "no method here has a" if method is None else f"{method} has no"
        reason = "" if method is None else self.results[method].failed.get(pair, "")
        raise HymaError(
            f"method: {whose} connector for {pair}{reason and f' ({reason})'}; search with hyma, grid or cca, too"
        )

    def _result(self, method: str, argument: str) -> SearchResult:
        if method not in self.results:
            raise HymaError(
                f"{argument}: {method!r}: not among the methods searched with ({', '.join(self.results)})"
            )
        return self.results[method]

    def __repr__(self) -> str:
        head, *rows = self._table()
        first = max(len(row[0]) for row in (head, *rows))
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(1, len(head))]
        lines = [
            " ".join(
                [row[0].ljust(first), *(f" {cell:>{w}}" for cell, w in zip(row[1:], widths, strict=True))]
            )
            for row in (head, *rows)
        ]
        return "\n".join([self._title(), *lines, *self._rest()])

    def _repr_html_(self) -> str:
        head, *rows = self._table()
        body = f"<thead>{_row('th', head)}</thead><tbody>{''.join(_row('td', row) for row in rows)}</tbody>"
        title, *rest = (f"<p>{escape(line)}</p>" for line in (self._title(), *self._rest()))
        return f"{title}<table>{body}</table>{''.join(rest)}"

    def _title(self) -> str:
        count = len(self.candidates)
        return f"Ranking of {count} pair{'s' * (count > 1)} by {self.method}, scored on {self.held_out} held-out images"

    def _table(self) -> list[list[str]]:
        rows = [
            [
                pair,
                *(
                    f"{result.scores[pair]:.3f}" if pair in result.scores else "–"
                    for result in self.results.values()
                ),
            ]
            for pair in self.pairs[:SHOWN]
        ]
        return [["pair", *self.results], *rows]

    def _rest(self) -> list[str]:
        more = len(self.candidates) - SHOWN
        return [f"… and {more} more"] if more > 0 else []


def _row(tag: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _hint(name: str, known: list[str]) -> str:
    close = like(name, known)
    return (
        f"; did you mean {' or '.join(close)}?" if close else f"; pairs are <image>-<text>, as in {known[0]}"
    )


def _by_method(rows: Mapping[str, Mapping[str, Any]]) -> "pd.DataFrame":
    frame = _pandas().DataFrame(list(rows.values()))
    frame.index = _pandas().Index(list(rows), name="method")
    return frame


def _pandas() -> ModuleType:
    try:
        import pandas
    except ImportError:
        raise HymaError("tables need pandas, which is not installed: pip install pandas") from None
    return pandas
