"""The other end of a supervisor: starts it, hands it trials, hears their events. In a slot, on an asyncio loop."""

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
from sweeper.run.fence import SUPERSEDED, Fence
from sweeper.run.journal import seal, so_far
from sweeper.run.message import Answer, Heard, Ready, Stop
from sweeper.run.process import MARKER, kill_leftovers, kill_marked, marker
from sweeper.trial import Ended, Event, Failure, Isolation, TrialSpec, lines_of

_MOST_STARTS = 3  # of a supervisor, where it is killed before it is ready


class Host:
    """Runs trials one after the other, each in a process of its own."""

    def __init__(self, app: App, environment: Mapping[str, str], isolation: Isolation = Isolation.PROCESS) -> None:
        self._app = app
        self._environment = dict(environment)
        self._isolation = isolation
        self._mark = marker()
        self._starting = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: Connection | None = None
        self._early_stop: tuple[str, Stop] | None = None  # one that came before its run was on its way
        self._underway = ""  # the run whose trial is
        self.unforkable: str | None = None  # why trials are spawned though they were to be forked
        kill_leftovers()

    async def ready(self) -> None:
        """Have the app imported. Raises LaunchError with the app's own traceback where it cannot be."""
        async with self._starting:  # who asks meanwhile waits as well
            if self._supervisor is not None:
                return
            message = await self._survived()
            if message.unforkable is not None:
                self.close()
                self.unforkable = message.unforkable
                self._isolation = Isolation.SPAWN
                message = await self._survived()
            if message.error is not None:
                self.close()
                raise LaunchError(f"the app cannot be imported in a fresh process:\n{message.error}")

    async def _survived(self) -> Ready:
        """Start a supervisor; again where it is killed meanwhile, as the kernel kills whom it likes for memory."""
        for _ in range(_MOST_STARTS - 1):
            message = await self._started()
            if not message.is_killed:
                return message
            self.close()
        return await self._started()

    async def _started(self) -> Ready:
        """Start a supervisor; what it says when it is ready, or why it is not."""
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sweeper.run", "supervisor", str(theirs.fileno()), self._isolation],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            # sets keep their order from run to run
            env={"PYTHONHASHSEED": "0"} | os.environ | self._environment | {MARKER: self._mark},
        )
        theirs.close()
        self._supervisor = Connection(ours.detach())
        try:
            self._supervisor.send(self._app)
            message = await self._receive()
        except (EOFError, OSError) as error:
            if (status := self.close()) == -signal.SIGKILL:
                return Ready(error="its supervisor was killed (SIGKILL)", is_killed=True)
            raise LaunchError(
                f"the process that imports the app ended with status {status} before it was ready"
            ) from error
        return message if isinstance(message, Ready) else Ready(error=f"it said {message!r}")

    async def run(self, spec: TrialSpec) -> AsyncIterator[tuple[Event, ...]]:
        """Run one trial; yields its events as they come, in batches, the last of which closes with `Ended`."""
        await self.ready()
        if not self._fence_taken(spec):
            yield tuple(so_far(spec.folder, spec.run, 0, Failure.LOST, SUPERSEDED))
            return
        heard = 0
        try:
            self._send(spec)
            self._underway = spec.run
            if self._early_stop is not None and self._early_stop[0] == spec.run:
                self._send(self._early_stop[1])
            while True:
                message = await self._receive()
                if isinstance(message, Heard):
                    heard += lines_of(message.events)
                    yield message.events
                    if isinstance(message.events[-1], Ended):
                        return
        except (EOFError, OSError):
            self.close()
            journal = seal(spec.folder, spec.run, Failure.LOST, "the trial's parent process was killed")
            yield tuple(journal[heard:])
        finally:
            self._underway = ""

    def answer(self, step: int, prune: bool) -> None:
        """Pass on the pruner's word."""
        self._send(Answer(step, prune))

    def stop(self, run: str, failure: Failure, error: str, grace_s: float) -> None:
        """End the trial of this run, which is on its way or about to be; its `Ended` comes through `run`.

        Where it has ended by itself meanwhile, that changes nothing for the next one.
        """
        stop = Stop(failure, error, grace_s)
        if self._underway == run:
            self._send(stop)
        else:
            self._early_stop = (run, stop)

    def close(self) -> int | None:
        """Kill the supervisor and everything that it has started; returns its exit status."""
        if self._supervisor is not None:
            self._supervisor.close()
            self._supervisor = None
        if self._process is None:
            return None
        try:
            status = self._process.wait(timeout=2)  # it leaves by itself when we are gone, and clears up
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            status = self._process.wait()
        self._process = None
        kill_marked(self._mark)
        return status

    def _fence_taken(self, spec: TrialSpec) -> bool:
        try:
            return Fence(spec.trial_folder or spec.folder, spec.attempt).take()
        except OSError:  # a disk that takes no file takes none of a late attempt either
            return True

    def _send(self, message: object) -> None:
        if self._supervisor is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its death is heard by `run`
                self._supervisor.send(message)

    async def _receive(self) -> object:
        """Await the supervisor's next message without a thread: the loop watches the descriptor."""
        supervisor = self._supervisor
        if supervisor is None:
            raise EOFError
        loop = asyncio.get_running_loop()
        while not supervisor.poll():
            readable = asyncio.Event()
            loop.add_reader(supervisor.fileno(), readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(supervisor.fileno())
        return supervisor.recv()
