"""What files and tables are called in OpenLineage, by its rules for the names of datasets."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

_SCHEMES = {"gcs": "gs", "s3a": "s3", "s3n": "s3"}


class Name(NamedTuple):
    """Namespace and name of a dataset."""

    namespace: str
    name: str

    def below(self, *parts: str) -> Name:
        """Return the name of what lies in a folder; a bucket has names without a slash before them."""
        name = "/".join([self.name.rstrip("/"), *parts])
        return Name(self.namespace, name if self.namespace.startswith("file") else name.lstrip("/"))


def file_name(place: str | Path) -> Name:
    """Return the name of a file or folder.

    :param place: a path, or a URL, in which a login or an Airflow connection (``s3://connection@bucket/…``) is left out.
    """
    text = str(place)
    if "://" not in text:
        return Name("file", str(Path(text).expanduser().absolute()))
    parts = urlsplit(text)
    scheme = _SCHEMES.get(parts.scheme.lower(), parts.scheme.lower())
    host = parts.netloc.rpartition("@")[2]
    if scheme == "file":
        return Name(f"file://{host}" if host else "file", parts.path)
    return Name(f"{scheme}://{host}", parts.path.strip("/"))


def table_name(repository: str, schema: str | None, table: str) -> Name:
    """Return the name of a table of the repository.

    PostgreSQL: ``postgres://host:port`` and ``database.schema.table``. SQLite, for which there is no rule, like other
    databases that are a file: ``sqlite://`` with the file's path, and the table.

    :param repository: its SQLAlchemy URL, of which neither login nor password is told.
    """
    from sqlalchemy.engine import make_url

    url = make_url(repository)
    if url.get_backend_name() == "sqlite":
        return Name(f"sqlite://{Path(url.database or ':memory:').absolute()}", table)
    asked_for = url.query.get("host", "")
    host = url.host or (asked_for if isinstance(asked_for, str) else asked_for[0]) or "localhost"
    if host.startswith("/"):  # the folder of a socket
        host = "localhost"
    return Name(f"postgres://{host}:{url.port or 5432}", f"{url.database}.{schema or 'public'}.{table}")
