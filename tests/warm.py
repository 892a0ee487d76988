"""A Python with its slow imports behind it, for tests that start hundreds of stages and pipelines.

`commands` starts it once a process of pytest and gives a folder, to be first on PATH, with the commands ``python``,
``dvc`` and ``hyma``: each has a fork of the warm process do its work. That is a process of its own, which can be
killed, in the caller's process group, with its folder, environment and streams; the command hands its exit code on.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent
SLOW = (
    *(
        "torch",
        "torchvision",
        "timm",
        "fvcore.nn",
        "sentence_transformers",
        "sklearn.linear_model",
        "scipy.stats",
    ),
    *("pyarrow.parquet", "matplotlib.pyplot", "huggingface_hub", "pydantic", "tqdm", "jinja2"),
    *("dvc.cli", "dvc.repo", "dvc.commands.repro"),
)
MODULES = {"python": [], "dvc": ["dvc"], "hyma": ["hyma"]}
"""Of a command: what it puts before the arguments, to have ``python -m`` and the module."""
COMMAND = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b" "], [0, 1, 2])
    words = {before!r} + sys.argv[{skipped}:]
    server.sendall(json.dumps([os.getpgrp(), os.getcwd(), dict(os.environ), words]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(16)))
"""


@cache
def server() -> "tuple[subprocess.Popen[str], Path]":
    """The warm process, whose children do the work, and the folder of its commands; it ends with this process."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore::FutureWarning", "-m", "tests.warm"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    atexit.register(process.communicate)
    return process, Path(process.stdout.readline().strip())


def commands() -> Path:
    """The folder with the commands."""
    return server()[1]


def main() -> None:
    """Say where the commands are and serve them, until whoever started this ends."""
    for name in SLOW:
        importlib.import_module(name)
    gc.freeze()
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "socket"))
            listening.listen()
            write_commands(folder)
            print(folder, flush=True)
            request = serve(listening)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if request is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        end(run(*request))


def write_commands(folder: Path) -> None:
    """Write an executable for each of `MODULES`; ``python`` knows ``-m MODULE`` alone."""
    for name, before in MODULES.items():
        own = {"before": before, "skipped": 1 if before else 2}
        (folder / name).write_text(
            COMMAND.format(python=sys.executable, address=str(folder / "socket"), **own)
        )
        (folder / name).chmod(0o755)


def serve(listening: socket.socket) -> list[Any] | None:
    """Fork for every request: return it there; here return nothing when standard input ends."""
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    waiting: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        for source in (listening, woken, sys.stdin):
            selector.register(source, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if sys.stdin in ready:
                return None
            if woken in ready:
                woken.recv(4096)
                answer(waiting)
            if listening in ready:
                connection, _ = listening.accept()
                child = os.fork()
                if child == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    return received(connection)
                waiting[child] = connection


def received(connection: socket.socket) -> list[Any]:
    """What the command sent, its streams made ours. The connection stays open with the server alone."""
    try:
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    except ConnectionError:
        os._exit(1)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    with connection, connection.makefile() as sent:
        try:
            group, *request = json.load(sent)
        except ValueError:  # the caller was killed while it spoke
            os._exit(1)
        join(group, connection)
    return request


def join(group: int, connection: socket.socket) -> None:
    """Go into the caller's process group, to be killed with it; end if the caller was killed already."""
    try:
        os.setpgid(0, group)
    except PermissionError:
        os._exit(1)
    poll = select.poll()
    poll.register(connection, 0)
    if poll.poll(0):  # hung up
        os._exit(1)


def answer(waiting: dict[int, socket.socket]) -> None:
    """Tell the commands whose processes have ended how they did."""
    while waiting:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        code = os.waitstatus_to_exitcode(status)
        with waiting.pop(child) as connection:
            try:
                connection.sendall(str(code if code >= 0 else 128 - code).encode())
            except BrokenPipeError:
                continue  # the command was killed itself


def run(folder: str, environment: dict[str, str], arguments: list[str]) -> int:
    """Do what ``python -m MODULE ARGUMENTS`` does in `folder`; return its exit code."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0], sys.argv = folder, arguments
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as left:
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def end(code: int) -> NoReturn:
    """Exit in an orderly way, but for the second that Python takes to put away what it has loaded."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
