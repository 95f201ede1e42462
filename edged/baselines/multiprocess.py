"""The second baseline: worker processes, each with a model of its own, behind one ROUTER."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import tempfile
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING

import zmq

from edged.baselines.answers import Answers, Counters
from edged.baselines.scorer import open_scorer
from edged.baselines.serving import DRAIN_S, HIGH_WATER_MARK, StopSignal, bind, notify, send

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from multiprocessing.sharedctypes import SynchronizedArray

log = logging.getLogger("edged.baselines")

START_S = 60.0
READY = "ready"


def serve(endpoint: str, model: str, workers: int, handler: str = "") -> None:
    """Serve until SIGTERM or SIGINT; then finish what the workers have and return.

    Raises RuntimeError when a worker dies: the whole service ends, for systemd to start it again.
    """
    stop = StopSignal()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="edged-"))
        context = stack.enter_context(zmq.Context())
        workers_endpoint = f"ipc://{folder}/workers"
        back = stack.enter_context(bind(context, zmq.DEALER, workers_endpoint))
        pool = _Pool(workers_endpoint, (model, handler), workers)
        stack.callback(pool.close)
        pool.wait_until_ready()
        front = stack.enter_context(bind(context, zmq.ROUTER, endpoint))
        log.info("ready at %s with %d workers", endpoint, workers)
        notify("READY=1")
        _forward(front, back, pool, stop)
    log.info("stopped")


def _forward(front: zmq.Socket[bytes], back: zmq.Socket[bytes], pool: _Pool, stop: StopSignal) -> None:
    """Move requests to the workers, round-robin, and replies back, until told to stop and all is answered."""
    poller = zmq.Poller()
    for descriptor in (back, stop.fileno(), *pool.descriptors):
        poller.register(descriptor, zmq.POLLIN)
    outstanding = 0
    # No more than the workers can hold: the rest waits in ZeroMQ, which pushes back.
    most = pool.size * HIGH_WATER_MARK
    give_up = float("inf")
    while outstanding or not stop.seen or front.poll(0):
        poller.register(front, zmq.POLLIN if outstanding < most else 0)
        ready = dict(poller.poll(int(DRAIN_S * 1000) if stop.seen else None))
        if back in ready:
            send(front, back.recv_multipart())
            outstanding -= 1
        if front in ready:
            back.send_multipart(front.recv_multipart())
            outstanding += 1
        if not ready.keys().isdisjoint(pool.descriptors):
            raise RuntimeError("a worker process died")
        if stop.fileno() in ready:
            notify("STOPPING=1")
            poller.unregister(stop.fileno())
            give_up = monotonic() + DRAIN_S
        if monotonic() > give_up:
            log.warning("gave up %d requests while stopping", outstanding)
            return


class _Pool:
    """The worker processes. Each says "ready" on its end of a pipe, and ends when the other end goes."""

    def __init__(self, endpoint: str, scorer: tuple[str, str], size: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.size = size
        # Kept: the lock in it must outlive the start of the workers.
        self._counters = spawn.Array("Q", 3)
        self._pipes: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        for _ in range(size):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(
                target=_work, args=(endpoint, scorer, theirs, self._counters), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    @property
    def descriptors(self) -> list[int]:
        """Readable when a worker died."""
        return [pipe.fileno() for pipe in self._pipes]

    def wait_until_ready(self) -> None:
        """Raises RuntimeError when a worker does not come up."""
        for pipe in self._pipes:
            try:
                if not pipe.poll(START_S):
                    raise RuntimeError(f"a worker was not ready after {START_S:g} s")
                said = pipe.recv()
            except EOFError:
                raise RuntimeError("a worker died while it started; its error is above") from None
            if said != READY:
                raise RuntimeError(f"a worker could not start: {said}")

    def close(self) -> None:
        """End the workers."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(DRAIN_S)
            process.kill()


def _work(endpoint: str, files: tuple[str, str], pipe: Connection, counters: SynchronizedArray[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the parent decides, and closes the pipe
    try:
        scorer = open_scorer(*files)
        scorer(["ready?"])
    except (OSError, ValueError, RuntimeError) as error:
        pipe.send(str(error))
        return
    shared = Counters(counters, counters.get_lock())
    answers = Answers(scorer, "python-multiprocessing", scorer.description, shared, _family)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.rcvhwm = socket.sndhwm = HIGH_WATER_MARK
        socket.linger = 1000
        socket.connect(endpoint)
        pipe.send(READY)
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(pipe.fileno(), zmq.POLLIN)
        while pipe.fileno() not in (ready := dict(poller.poll())):
            if socket in ready:
                socket.send_multipart(answers.reply(socket.recv_multipart()))


def _family() -> list[int]:
    """The ids of the parent and all its workers."""
    import psutil  # noqa: PLC0415 - for stats only

    parent = os.getppid()
    return [parent, *(child.pid for child in psutil.Process(parent).children())]
