"""The other end of a zygote: starts it, hands it trials, hears their events. Lives in a slot, on an asyncio loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from multiprocessing.connection import Connection

from sweeper.errors import LaunchError
from sweeper.run.app import App
from sweeper.run.journal import seal
from sweeper.run.zygote import Answer, Heard, Ready, Stop
from sweeper.trial import Ended, Event, Failure, TrialSpec


class Host:
    """Runs trials one after the other, each in a process of its own."""

    def __init__(self, app: App, environment: Mapping[str, str]) -> None:
        self._app = app
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._zygote: Connection | None = None

    async def ready(self) -> None:
        """Have a zygote with the app imported. Raises LaunchError with the app's own traceback where it cannot be."""
        if self._zygote is not None:
            return
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sweeper.run", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env={"PYTHONHASHSEED": "0"} | os.environ | self._environment,  # sets keep their order from run to run
        )
        theirs.close()
        self._zygote = Connection(ours.detach())
        try:
            self._zygote.send(self._app)
            message = await self._receive()
        except (EOFError, OSError) as error:
            status = self.close()
            raise LaunchError(
                f"the process that imports the app ended with status {status} before it was ready"
            ) from error
        if not isinstance(message, Ready) or message.error is not None:
            self.close()
            raise LaunchError(f"the app cannot be imported in a fresh process:\n{getattr(message, 'error', message)}")

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        """Run one trial; yields its events as they come, in batches, the last of which closes with `Ended`."""
        await self.ready()
        heard = 0
        try:
            self._send(spec)
            while True:
                message = await self._receive()
                if isinstance(message, Heard):
                    heard += len(message.events)
                    yield message.events
                    if isinstance(message.events[-1], Ended):
                        return
        except (EOFError, OSError):
            self.close()
            journal = seal(spec.folder, spec.run, Failure.CRASHED, "the trial's parent process was killed")
            yield tuple(journal[heard:])

    def answer(self, step: int, prune: bool) -> None:
        """Pass on the pruner's word."""
        self._send(Answer(step, prune))

    def stop(self, failure: Failure, error: str, grace_s: float) -> None:
        """End the running trial; its `Ended` comes through `run`."""
        self._send(Stop(failure, error, grace_s))

    def close(self) -> int | None:
        """Kill the zygote, and with it a trial that runs; returns the zygote's exit status."""
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None
        if self._process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=2)  # it leaves by itself when we are gone, and clears up
        self._process.send_signal(signal.SIGKILL)
        return self._process.wait()

    def _send(self, message: object) -> None:
        if self._zygote is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its death is heard by `run`
                self._zygote.send(message)

    async def _receive(self) -> object:
        """Await the zygote's next message without a thread: the loop watches the descriptor."""
        zygote = self._zygote
        if zygote is None:
            raise EOFError
        loop = asyncio.get_running_loop()
        while not zygote.poll():
            readable = asyncio.Event()
            loop.add_reader(zygote.fileno(), readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(zygote.fileno())
        return zygote.recv()
