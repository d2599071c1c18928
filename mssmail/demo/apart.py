"""Work of the demo in a process of its own: what it takes of memory, a server never gives back."""

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait

Tell = Callable[[float], None]


class Lost(Exception):
    """The process ended before its work did."""


def apart(work: Callable[[Tell], None], on_progress: Tell) -> None:
    """Do work that tells its progress in a fork of this process, and wait for it. Raises what it raises, Lost."""
    all_apart([work], on_progress)


def all_apart(works: Sequence[Callable[[Tell], None]], on_progress: Tell) -> None:
    """Do several at once, each in a fork of its own; the progress told is their mean.

    Waits for all. Raises what the first one that failed raised, Lost.
    """
    context, processes = multiprocessing.get_context("fork"), []
    told: dict[Connection, int] = {}
    for at, work in enumerate(works):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = context.Process(target=_do, args=(work, theirs))
        process.start()
        theirs.close()
        processes.append(process)
        told[ours] = at
    lost = Lost("the process that prepares the demo ended; look at the memory that is left")
    raised: list[BaseException | None] = [lost for _ in works]
    shares = [0.0 for _ in works]
    while told:
        ready = wait(list(told))
        for ours in [each for each in told if each in ready]:
            try:
                said = ours.recv()
            except EOFError:
                del told[ours]
                continue
            if isinstance(said, float):
                shares[told[ours]] = said
                on_progress(sum(shares) / len(shares))
            else:
                raised[told[ours]] = said
    for process in processes:
        process.join()
    for each in raised:
        if each is not None:
            raise each


def _do(work: Callable[[Tell], None], said: "Connection") -> None:
    try:
        work(said.send)
    except BaseException as error:  # noqa: BLE001 - told where it is awaited
        said.send(error)
    else:
        said.send(None)
