"""Writing a model as a folder: config.json, connector.safetensors, local weights of the encoders, README.md."""

import shutil
from pathlib import Path

from hyma.common.errors import HymaError
from hyma.common.files import sha256_file, write_json, write_text
from hyma.model import config as configs
from hyma.model.card import Run, card
from hyma.model.config import ConnectorEntry, ModelConfig
from hyma.model.shapes import Parts
from hyma.stitching import connectors

CARD, RANKING = "README.md", "ranking.json"


def write(model: Parts, folder: Path, run: Run | None = None) -> None:
    """Write `model` into `folder`, which is there; files of these names are replaced.

    Encoders whose weights are local files or folders are copied; those of a hub or a package are named. The card
    and the ranking are those of `run`, else those of the folder that the model came from.
    """
    connectors.save(folder / configs.CONNECTOR, {model.pair: model.stitch})
    (folder / configs.CONNECTOR).chmod(0o644)  # safetensors keeps its files to their owner
    weights = _weights(model)
    for name, source in weights.items():
        copied = folder / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        if not (copied.exists() and copied.samefile(source)):
            shutil.copyfile(source, copied)
    spec = model.stitch.spec
    config = ModelConfig(
        pair=model.pair,
        method=model.method,
        protocol=model.protocol,
        image_encoder=model.image_side.entry(),
        text_encoder=model.text_side.entry(),
        connector=ConnectorEntry(
            kind=spec.kind,
            d_text=spec.d_text,
            d_image=spec.d_image,
            hidden=spec.hidden,
            shared=spec.shared,
            normalise=model.stitch.image_normaliser.kind,
            sides="two-sided" if model.stitch.image_connector else "one-sided",
        ),
        logit_scale=model.logit_scale,
        files={name: sha256_file(folder / name) for name in (configs.CONNECTOR, *weights)},
    )
    write_json(folder / configs.CONFIG, config.model_dump())
    _write_card(model, config, folder, run)


def clear(model: Parts, folder: Path) -> None:
    """Delete what only the model that lies in `folder` needs: encoders would read it as theirs."""
    try:
        before = configs.read(folder)
    except HymaError:
        return
    for name in before.files.keys() - {configs.CONNECTOR, *_weights(model)}:
        (folder / name).unlink()


def _weights(model: Parts) -> dict[str, Path]:
    return model.image_side.weight_files() | model.text_side.weight_files()


def _write_card(model: Parts, config: ModelConfig, folder: Path, run: Run | None) -> None:
    before = model.folder
    if run is None and before is not None and before != folder:
        for name in (CARD, RANKING):
            if (before / name).is_file():
                shutil.copyfile(before / name, folder / name)
    if run is not None:
        write_json(folder / RANKING, run.ranking)
    if not (folder / CARD).exists():
        write_text(folder / CARD, card(config, run))
