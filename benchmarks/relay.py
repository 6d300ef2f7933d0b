"""Hands on what comes in on a port to another place, later and no faster than a network would.

    python -m benchmarks.relay PORT HOST:PORT --delay 0.0005 --rate 100000000

Every byte of either direction arrives ``delay`` seconds after it came, and there are at most ``rate`` bytes a second in
each. It stands for a network where the kernel has no emulation of one.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import socket
import threading
import time

CHUNK = 1 << 16
AHEAD = 16
"""Chunks under way at once: what the buffers of sockets hold."""


def accept(port: int, target: tuple[str, int], delay: float, rate: float) -> None:
    """Take connections until the process ends."""
    lines = {"there": Line(delay, rate), "back": Line(delay, rate)}
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            near, _ = server.accept()
            far = socket.create_connection(target)
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lines["there"].carry(near, far)
            lines["back"].carry(far, near)


class Line:
    """One direction, which all connections share."""

    def __init__(self, delay: float, rate: float) -> None:
        self._delay = delay
        self._rate = rate
        self._free = 0.0
        self._lock = threading.Lock()

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        """Begin to hand on what comes from one socket to another."""
        under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(AHEAD)
        threading.Thread(target=self._take, args=(source, under_way), daemon=True).start()
        threading.Thread(target=self._give, args=(target, under_way), daemon=True).start()

    def due(self, size: int) -> float:
        """Return when so many bytes that come now arrive."""
        with self._lock:
            self._free = max(self._free, time.monotonic()) + size / self._rate
            return self._free + self._delay

    def _take(self, source: socket.socket, under_way: queue.Queue[tuple[float, bytes]]) -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            under_way.put((self.due(len(data)), data))

    def _give(self, target: socket.socket, under_way: queue.Queue[tuple[float, bytes]]) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = under_way.get()
                if (wait := due - time.monotonic()) > 0:
                    time.sleep(wait)
                if not data:
                    break
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        while under_way.get()[1]:  # let the other side end
            pass


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.relay", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("port", type=int)
    parser.add_argument("target")
    parser.add_argument("--delay", type=float, default=0.0005)
    parser.add_argument("--rate", type=float, default=100e6)
    given = parser.parse_args()
    host, _, port = given.target.rpartition(":")
    accept(given.port, (host, int(port)), given.delay, given.rate)


if __name__ == "__main__":
    main()
