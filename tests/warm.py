"""A Python with its slow imports behind it, for tests that start many stages: python -m tests.warm FOLDER.

Puts a command ``python`` into FOLDER that has its module run by a fork of this process: a process of its own,
which can be killed, and whose exit code the command hands on. Says "ready" when it is; one runs at a time.
"""

import importlib
import json
import os
import runpy
import socket
import sys
from pathlib import Path

SLOW = ("torch", "timm", "fvcore.nn", "pyarrow.parquet", "huggingface_hub", "pydantic", "tqdm")
COMMAND = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([os.getcwd(), sys.argv[2:]]).encode()
    socket.send_fds(server, [request], [1, 2])
    sys.exit(int(server.recv(16)))
"""


def main(folder: Path) -> None:
    """Serve until killed; in a fork, run the module that was asked for and end."""
    for name in SLOW:
        importlib.import_module(name)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket"))
    server.listen()
    command = folder / "python"
    command.write_text(COMMAND.format(python=sys.executable, address=str(folder / "socket")))
    command.chmod(0o755)
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        request, streams, _, _ = socket.recv_fds(connection, 65536, 2)
        child = os.fork()
        if child == 0:
            return run(*json.loads(request), streams)
        for stream in streams:
            os.close(stream)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(str(code if code >= 0 else 128 - code).encode())
        connection.close()


def run(folder: str, arguments: list[str], streams: list[int]) -> None:
    """What ``python -m MODULE ARGUMENTS`` does in `folder`."""
    os.chdir(folder)
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
    sys.path[0], sys.argv = folder, arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
