"""What a search in an index found, as one page with thumbnails."""

from collections.abc import Sequence
from pathlib import Path

from hyma.model.index import Hit
from hyma.report.html import render, thumbnail


def hits_page(query: str, hits: Sequence[Hit], searched: int, model: str) -> str:
    """Return the page: a thumbnail a hit, with its cosine, its path and a link to the file.

    Args:
        query: what was looked for.
        hits: the pictures found, best first; one that can no longer be read has no thumbnail.
        searched: pictures in the index.
        model: what to call the model.
    """
    note = f"The {len(hits):,} nearest of {searched:,} pictures and their cosines with the text, by {model}."
    shown = [
        (hit, Path(hit.path).absolute().as_uri(), thumbnail({"path": hit.path}, Path(hit.path).name))
        for hit in hits
    ]
    return render("hits.html.j2", title=query, note=note, hits=shown)
