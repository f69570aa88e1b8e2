"""A proxy on loopback between psycopg and a PostgreSQL server, that can cut or hold connections at a chosen answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

_READY = ord("Z")
_COMMAND_COMPLETE = ord("C")  # https://www.postgresql.org/docs/current/protocol-message-formats.html


class Proxy:
    """Forwards to the server's socket; use as a context manager."""

    def __init__(self, socket_path: Path) -> None:
        self._target = str(socket_path)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_down = False
        self._left: int | None = None
        self.answers: list[str] = []  # what the server has completed since `listen`
        self.round_trips = 0  # since then: how often it has had its say and waited for more
        self.cut = threading.Event()
        self._wanted: str | None = None
        self.held = threading.Event()
        self._released = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def listen(self) -> None:
        """Forget the answers heard so far."""
        with self._lock:
            self.answers = []
            self.round_trips = 0

    def cut_at(self, answer: int) -> None:
        """Keep back the server's n-th completed command from now on, counting from 0, and cut its connection."""
        with self._lock:
            self._left = answer
            self.cut.clear()

    def hold_at(self, answer: str) -> None:
        """Keep back the next such answer of the server, and all that comes after it, until `release`."""
        with self._lock:
            self._wanted = answer
            self.held.clear()
            self._released.clear()

    def release(self) -> None:
        self._released.set()

    def go_down(self) -> None:
        """Cut every connection, and every new one at once, until `come_up`."""
        with self._lock:
            self._is_down = True
        self._cut_all()

    def come_up(self) -> None:
        with self._lock:
            self._is_down = False

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_down()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                is_down = self._is_down
            if is_down:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._target)
            except OSError:  # the server itself is down
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._pump_up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._pump_down, args=(server, client), daemon=True).start()

    def _pump_up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
        self._close(client, server)

    def _pump_down(self, server: socket.socket, client: socket.socket) -> None:
        stream = b""
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                stream += data
                while len(stream) >= 5:
                    length = 1 + int.from_bytes(stream[1:5], "big")
                    if len(stream) < length:
                        break
                    message, stream = stream[:length], stream[length:]
                    self.round_trips += message[0] == _READY
                    if message[0] == _COMMAND_COMPLETE:
                        if self._is_the_one(message[5:-1].decode()):
                            self._close(client, server)
                            self.cut.set()
                            return
                        if self._is_wanted(message[5:-1].decode()):
                            self.held.set()
                            self._released.wait()
                    client.sendall(message)
        self._close(client, server)

    def _is_the_one(self, answer: str) -> bool:
        with self._lock:
            self.answers.append(answer)
            if self._left is None:
                return False
            self._left -= 1
            if self._left >= 0:
                return False
            self._left = None
            return True

    def _is_wanted(self, answer: str) -> bool:
        with self._lock:
            if answer != self._wanted:
                return False
            self._wanted = None
            return True

    def _cut_all(self) -> None:
        with self._lock:
            open_now, self._open = self._open, set()
        self._close(*open_now)

    def _close(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._open -= set(sockets)
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
