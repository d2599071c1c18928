"""Work of the demo in a process of its own: what it takes of memory, a server never gives back."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

Tell = Callable[[float], None]


class Lost(Exception):
    """The process ended before its work did."""


def apart(work: Callable[[Tell], None], on_progress: Tell) -> None:
    """Do work that tells its progress in a fork of this process, and wait for it. Raises what it raises, Lost."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_do, args=(work, theirs))
    process.start()
    theirs.close()
    raised: BaseException | None = Lost("the process that prepares the demo ended; look at the memory that is left")
    while True:
        try:
            said = ours.recv()
        except EOFError:
            break
        if isinstance(said, float):
            on_progress(said)
        else:
            raised = said
    process.join()
    if raised is not None:
        raise raised


def _do(work: Callable[[Tell], None], said: "Connection") -> None:
    try:
        work(said.send)
    except BaseException as error:  # noqa: BLE001 - told where it is awaited
        said.send(error)
    else:
        said.send(None)
