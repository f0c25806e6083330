"""A gRPC server over a Unix socket that answers as a test says, in HTTP/2 as a container runtime speaks it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType

import h2.config
import h2.connection
import h2.events
import h2.exceptions

Pieces = Iterable[bytes]
Answer = Callable[[str], Pieces]


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class GrpcServer:
    """``answer`` gets the method's name and gives the body in pieces; ``headers`` are added to every answer. ``sent``
    counts the bytes of bodies that were taken."""

    def __init__(self, path: Path, answer: Answer, headers: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.sent = 0
        self._answer = answer
        self._headers = headers or {}
        self._closed = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(16)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> GrpcServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        spoken = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        with peer, contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            spoken.initiate_connection()
            peer.sendall(spoken.data_to_send())
            while data := peer.recv(65536):
                for event in spoken.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        asked = dict(event.headers or ())
                        path = asked.get(b":path", asked.get(":path", b""))  # type: ignore[call-overload]
                        name = (path.decode() if isinstance(path, bytes) else path).rpartition("/")[2]
                        self._send(peer, spoken, event.stream_id or 0, name)
                peer.sendall(spoken.data_to_send())

    def _send(self, peer: socket.socket, spoken: h2.connection.H2Connection, stream: int, name: str) -> None:
        headers = [(":status", "200"), ("content-type", "application/grpc"), *self._headers.items()]
        spoken.send_headers(stream, headers)
        for piece in self._answer(name):
            while piece and not self._closed.is_set():
                window = min(spoken.local_flow_control_window(stream), spoken.max_outbound_frame_size, len(piece))
                if window:
                    spoken.send_data(stream, piece[:window])
                    piece, self.sent = piece[window:], self.sent + window
                    peer.sendall(spoken.data_to_send())
                else:
                    peer.sendall(spoken.data_to_send())
                    spoken.receive_data(peer.recv(65536))
        spoken.end_stream(stream)
        peer.sendall(spoken.data_to_send())


def silence(name: str) -> Pieces:
    """No byte, for as long as a test takes."""
    time.sleep(600)
    return ()
