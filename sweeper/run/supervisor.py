"""The process that looks after a slot's trials, one at a time.

It is started with `python -m sweeper.run supervisor FD ISOLATION`, FD being one end of a socket pair whose other end a
`sweeper.run.host.Host` holds. It has a zygote import the app and fork a fresh process group for each trial, tells the
host what the trial's journal says, kills the whole group when the trial has ended, and writes the end itself where the
trial could not. When the host goes away it kills the trial and leaves; when the zygote goes away it leaves as well, and
the host starts both anew.

An app that starts threads or CUDA when it is imported cannot be forked: then there is no zygote, and each trial has a
fresh interpreter.
"""

from __future__ import annotations

import contextlib
import signal
from multiprocessing.connection import Connection

from sweeper.provenance import secret
from sweeper.run import meter as metering
from sweeper.run import pages
from sweeper.run.app import App
from sweeper.run.fork import Forks
from sweeper.run.message import Ready
from sweeper.run.process import become_subreaper
from sweeper.run.spawn import Spawns
from sweeper.run.supervision import Processes, Supervision
from sweeper.trial import Isolation, TrialSpec


def main(descriptor: int, isolation: str) -> None:
    """Serve the host at the other end of `descriptor` until it goes away."""
    host = Connection(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to hear
    become_subreaper()
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        app: App = host.recv()
        secret.learn_values(app.secrets)
        meter = metering.started()
        processes: Processes
        if isolation == Isolation.SPAWN:
            processes = Spawns(app)
            host.send(Ready())
        else:
            processes = forks = Forks(app, (host.close,))
            host.send(forks.ready())
        pages.release()
        while True:
            spec: object = host.recv()
            if isinstance(spec, TrialSpec):  # an Answer or Stop here is for a trial that has just ended
                Supervision(spec, processes, host, meter).to_its_end()
                processes.prepare()
