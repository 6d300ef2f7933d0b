"""A PostgreSQL server that seems to be on another machine: round trips take time, and bytes too."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from benchmarks.servers import PostgresqlServer, free_port, own_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NETEM, RELAY = "netem", "relay"
SUBNET = "10.231.77"
PATIENCE = 10.0
"""Seconds for the relay to answer."""


@dataclass(frozen=True)
class Far:
    """A server, and the command that runs a process on the other machine.

    :param round_trip: seconds that a statement that does nothing was measured to take.
    """

    server: PostgresqlServer
    prefix: tuple[str, ...]
    via: str
    round_trip: float


class RelayedServer(PostgresqlServer):
    """The same server, its databases being reached through a relay."""

    def __init__(self, url: str, port: int) -> None:
        super().__init__(url)
        self._port = port

    def make(self, name: str) -> str:
        place = urlsplit(super().make(name))
        return urlunsplit(place._replace(netloc=f"{place.username}@127.0.0.1:{self._port}"))


@contextmanager
def far_away(settings: Mapping[str, str], via: str | None, delay: float, rate: float) -> Iterator[Far]:
    """Start a PostgreSQL far away.

    :param via: ``netem`` (a network namespace, shaped by the kernel; needs root), ``relay`` (a process that hands on
        bytes), or None for the first of these that works here.
    :param delay: seconds of a round trip; ``rate``: bytes a second in each direction.
    """
    with ExitStack() as stack:
        missing = why_not_netem()
        if via == NETEM and missing:
            raise SystemExit(missing)
        if via == RELAY or missing:
            if via is None:
                print(f"{missing}; a relay is used instead", file=sys.stderr)
            server = stack.enter_context(own_postgresql(settings))
            relayed = RelayedServer(server.url, stack.enter_context(relay(server.url, delay, rate)))
            yield Far(relayed, (), RELAY, round_trip(relayed.make("bench_probe"), ()))
        else:
            name = stack.enter_context(namespace(delay, rate))
            prefix = ("ip", "netns", "exec", name)
            near = stack.enter_context(own_postgresql(settings, f"{SUBNET}.1"))
            yield Far(near, prefix, NETEM, round_trip(near.make("bench_probe"), prefix))


def why_not_netem() -> str:
    """Say what a namespace that the kernel shapes would need; nothing if it is all there."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    if not (shutil.which("ip") and shutil.which("tc")):
        return "ip and tc are not there (Debian: apt install iproute2)"
    if qdisc_fails("lo"):
        return "this kernel has no network emulation (sch_netem)"
    return ""


def qdisc_fails(device: str) -> bool:
    """Tell whether the kernel does not know ``netem``, by a namespace that is gone again."""
    name = f"idm-probe-{os.getpid()}"
    if call("ip", "netns", "add", name):
        return True
    try:
        return bool(call("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", device, "root", "netem"))
    finally:
        call("ip", "netns", "delete", name)


def call(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


@contextmanager
def namespace(delay: float, rate: float) -> Iterator[str]:
    """Make a network namespace that is tied to this one by a pair of shaped devices; yield its name."""
    number = os.getpid()
    name, here, there = f"idm-{number}", f"idm{number}a", f"idm{number}b"
    inside = ("ip", "netns", "exec", name)
    shape = ("netem", "delay", f"{delay / 2 * 1e6:.0f}us", "rate", f"{rate * 8:.0f}bit", "limit", "100000")
    with ExitStack() as stack:
        must("ip", "netns", "add", name)
        stack.callback(call, "ip", "netns", "delete", name)
        must("ip", "link", "add", here, "type", "veth", "peer", "name", there)
        stack.callback(call, "ip", "link", "delete", here)
        must("ip", "link", "set", there, "netns", name)
        must("ip", "address", "add", f"{SUBNET}.1/24", "dev", here)
        must("ip", "link", "set", here, "up")
        must(*inside, "ip", "address", "add", f"{SUBNET}.2/24", "dev", there)
        must(*inside, "ip", "link", "set", there, "up")
        must(*inside, "ip", "link", "set", "lo", "up")
        must("tc", "qdisc", "add", "dev", here, "root", *shape)
        must(*inside, "tc", "qdisc", "add", "dev", there, "root", *shape)
        yield name


def must(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")


@contextmanager
def relay(url: str, delay: float, rate: float) -> Iterator[int]:
    """Start a relay before a server; yield its port."""
    place, port = urlsplit(url), free_port()
    options = ["--delay", str(delay / 2), "--rate", str(rate)]
    target = f"{place.hostname}:{place.port}"
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.relay", str(port), target, *options])
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(port):
            if time.monotonic() > deadline:
                raise SystemExit("the relay does not answer")
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


PROBE = """
import sys, time, statistics, psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    taken = []
    for _ in range(100):
        begin = time.monotonic()
        connection.execute("SELECT 1").fetchone()
        taken.append(time.monotonic() - begin)
print(statistics.median(taken))
"""


def round_trip(url: str, prefix: tuple[str, ...]) -> float:
    """Return the median seconds of a statement that does nothing."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", PROBE, url], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
