"""The first baseline: one Python process that reads, classifies and answers one request after the other."""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext
from time import monotonic

import zmq

from edged.baselines.answers import Answers, Counters
from edged.baselines.scorer import open_scorer
from edged.baselines.serving import DRAIN_S, StopSignal, bind, notify, send

log = logging.getLogger("edged.baselines")


def serve(endpoint: str, model: str, handler: str = "") -> None:
    """Serve until SIGTERM or SIGINT; then answer what has arrived and return."""
    stop = StopSignal()
    scorer = open_scorer(model, handler)
    scorer(["ready?"])
    counters = Counters([0, 0, 0], nullcontext())
    answers = Answers(scorer, "python-single", scorer.description, counters, lambda: [os.getpid()])
    with zmq.Context() as context, bind(context, zmq.ROUTER, endpoint) as router:
        log.info("ready at %s", endpoint)
        notify("READY=1")
        poller = zmq.Poller()
        poller.register(router, zmq.POLLIN)
        poller.register(stop.fileno(), zmq.POLLIN)
        while not stop.seen:
            if router in dict(poller.poll()):
                send(router, answers.reply(router.recv_multipart()))
        notify("STOPPING=1")
        # Not unbound: libzmq would close the connections, and lose the replies still to come.
        give_up = monotonic() + DRAIN_S
        while router.poll(0) and monotonic() < give_up:
            send(router, answers.reply(router.recv_multipart()))
    log.info("stopped")
