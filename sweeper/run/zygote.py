"""The process that has imported the app, and does nothing but fork the processes of trials when it is told to.

It is itself a fork of a supervisor, from before the app is imported. It stays single-threaded, so that forking is
sound, and it writes as little memory as it can: what it writes is copied for every child, and a huge page in which it
writes is one no more. So all that a trial needs of a parent, but for being waited for, is its supervisor's to do.

An order is a letter and a number, and the bytes or the descriptor that belong to it; answers are numbers.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NoReturn

from sweeper.run import holes, job, libraries, pages
from sweeper.run.app import App, LoadedApp
from sweeper.run.child import Ties, be_the_trial, settle
from sweeper.run.immortal import immortalize
from sweeper.run.message import Ready
from sweeper.run.process import die_with, thread_count
from sweeper.run.rehearsal import rehearse, rehearse_birth
from sweeper.trial import TrialSpec

ORDER = struct.Struct("!cQ")
NUMBER = struct.Struct("!Q")  # an answer, or how many bytes follow
FORK = b"f"  # a process that waits for its trial at the other end of the descriptor; answered by its id
WAIT = b"w"  # for the process of that id, which has ended or is about to; answered by its status
BASE = b"b"  # so many bytes: what is forked from now on knows this base by the next number, from 1
HEARD = b"h"  # so many bytes: the environment of this name has been said, and need only be named from now on

_DESCRIPTOR = socket.CMSG_SPACE(4)  # of room for one
MOST_BASES = 64  # of the latest numbers; others are forgotten


def be_the_zygote(orders: socket.socket, app: App, supervisor: int, closing: Iterable[Callable[[], None]]) -> NoReturn:
    """Import the app, say `Ready` and obey until nobody gives orders any more."""
    try:
        die_with(supervisor)
        for close in closing:
            close()
        loaded = _imported(orders, app)
        if loaded is not None:
            _Zygote(orders, loaded).obey()
    except BaseException:
        traceback.print_exc()  # such as a fork that the machine has no room for; the supervisor leaves as well
    finally:
        os._exit(0)


def _imported(orders: socket.socket, app: App) -> LoadedApp | None:
    try:
        loaded = app.load()
        with contextlib.suppress(OSError):  # where there is no room for it, the first trial does it all
            rehearse(loaded)
    except BaseException:
        _say(orders, Ready(error=traceback.format_exc()))
        return None
    if (unforkable := _unforkable()) is not None:
        _say(orders, Ready(unforkable=unforkable))
        return None
    rehearse_birth()
    pages.release()
    settle()
    immortalize()
    gc.freeze()  # or a collection could run code of libraries meanwhile
    libraries.lend()
    holes.fill()
    _freeze()
    _say(orders, Ready())
    return loaded


def _freeze() -> None:
    """Whatever has been made up to now stays: collections in the children leave its pages shared with this process."""
    gc.freeze()
    pages.gather()


def _say(orders: socket.socket, message: Ready) -> None:
    said = pickle.dumps(message)
    orders.sendall(NUMBER.pack(len(said)) + said)


class _Zygote:
    def __init__(self, orders: socket.socket, app: LoadedApp) -> None:
        self._orders = orders
        self._app = app
        self._bases: dict[int, tuple[bytes, job.Template | None]] = {}

    def obey(self) -> None:
        while True:
            order, passed, _, _ = self._orders.recvmsg(ORDER.size, _DESCRIPTOR)
            if not order:
                return
            word, number = ORDER.unpack(order)
            if word == FORK:
                self._fork(int.from_bytes(passed[0][2], sys.byteorder))
            elif word == WAIT:
                self._orders.sendall(NUMBER.pack(os.waitpid(number, 0)[1]))
            else:
                self._learn(word, self._orders.recv(number, socket.MSG_WAITALL))

    def _fork(self, line: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._orders.close()
            self._wait_for_a_trial(socket.socket(fileno=line), parent)
        os.close(line)
        try:  # noqa: SIM105 -- `suppress` would be one huge page more that is written in for each trial
            os.setpgid(pid, pid)  # the trial does the same: whoever is first
        except OSError:
            pass
        self._orders.sendall(NUMBER.pack(pid))

    def _wait_for_a_trial(self, line: socket.socket, parent: int) -> None:
        """Never returns: there is a trial to be, or the parent is gone."""
        try:
            die_with(parent)
            with line:
                number, spec, bell, stacks = _received(line)
                base, template = self._bases.get(number, (spec.base, None))
                if template is None:
                    spec = replace(spec, base=base)
        except BaseException:
            os._exit(1)
        be_the_trial(spec, lambda: self._app, template, Ties(bell, stacks, parent))

    def _learn(self, word: bytes, said: bytes) -> None:
        if word == HEARD:
            self._app.capture.heard(said.decode())
            return
        template = None
        with contextlib.suppress(Exception):  # a trial that has it finds out as well, and says why it cannot run
            template = job.Template.of(said).foreseen()
        latest = next(reversed(self._bases), 0) + 1
        self._bases[latest] = said, template
        if self._bases.pop(latest - MOST_BASES, None) is None:  # else there would be more and more that stays
            immortalize()
            holes.fill()
        _freeze()


def _received(line: socket.socket) -> tuple[int, TrialSpec, socket.socket, BinaryIO]:
    """The number of the base, 0 for none; the trial, which has the base itself where it has no number; its ties."""
    length, descriptors, _, _ = socket.recv_fds(line, NUMBER.size, 2)
    bell, stacks = descriptors
    (size,) = NUMBER.unpack(length)
    base, spec = pickle.loads(line.recv(size, socket.MSG_WAITALL))
    return base, spec, socket.socket(fileno=bell), os.fdopen(stacks, "wb")


def _unforkable() -> str | None:
    """Why a fork of this process would not be sound; None where it is.

    Threads of OpenBLAS and its like end by themselves when the process forks, and begin again when there is work: what
    runs still after a fork that did nothing is what a child would miss.
    """
    python = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if python:
        return f"starts threads when it is imported ({', '.join(python)})"
    if any(name.startswith("/dev/nvidia-uvm") for name in _open_files()):
        return "uses CUDA when it is imported"
    if thread_count() > 1 and _threads_after_a_fork() > 1:
        return f"starts threads when it is imported ({thread_count() - 1} of a library's)"
    return None


def _threads_after_a_fork() -> int:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return thread_count()


def _open_files() -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that reads the folder is closed by now
            yield str(descriptor.readlink())
