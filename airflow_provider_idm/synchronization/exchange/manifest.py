"""The manifest of a batch: what a prepare published, written last and atomically as ``manifest.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.errors import ExchangeError

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """Who made a batch or applied one: the Airflow task instance, or the command line (all but ``task`` empty)."""

    job: str = ""
    run: str = ""
    task: str = ""
    map_index: int = -1


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One file of a batch.

    :param name: file name inside the batch, ``<entity type or association>.sorted.csv`` or ``….sorted.delta``.
    :param target: the entity type or association that it fills.
    :param kind: ``entity_type`` or ``association``.
    :param rows: data rows, the header not counted.
    :param columns: column names in file order.
    :param size: bytes.
    :param sha256: of the file, in hex.
    :param commands: rows per command (``insert``, ``update``, ``delete``, ``merge``) in a ``.sorted.delta``.
    :param duplicates: rows set aside for their primary key was seen before; likewise ``nullpk``, ``invalid``.
    :param sorted_sha256: of the sorted file from which a ``.sorted.delta`` was made, where the source is dated.
    :param source: path or URL, without login, of the source file that it was made from; None if that was a table.
    :param source_rows: data rows of the source.
    """

    name: str
    target: str
    kind: str
    rows: int
    columns: tuple[str, ...]
    size: int
    sha256: str
    commands: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    nullpk: int = 0
    invalid: int = 0
    sorted_sha256: str | None = None
    source: str | None = None
    source_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one batch is.

    :param batch: its id, a UUIDv7 in canonical text form.
    :param created_at: when it was published (UTC); ``effective_date``: when its content was true (UTC).
    :param dated: whether the effective date was given (a dated source) rather than being the moment of reading.
    :param based_on: the batch an Incremental leads on from, else None.
    :param fingerprint: of the mappings that it was made with.
    :param plan_only: never enters the queue; only a plan may read it.
    """

    batch: str
    connector: str
    mode: SynchronizationMode
    type: SourceType
    created_at: datetime
    effective_date: datetime
    dated: bool
    origin: Origin
    based_on: str | None
    fingerprint: str
    files: tuple[BatchFile, ...]
    plan_only: bool = False

    @property
    def order(self) -> tuple[datetime, str]:
        """The place in the connector's queue."""
        return (self.effective_date, self.batch)

    def file(self, target: str) -> BatchFile | None:
        """Return the file that fills an entity type or association, or None."""
        return next((f for f in self.files if f.target == target), None)

    def to_json(self) -> str:
        """Write the manifest as readable JSON."""
        data = asdict(self) | {
            "format": FORMAT_VERSION,
            "mode": self.mode.name.capitalize(),
            "type": self.type.value,
            "created_at": self.created_at.isoformat(),
            "effective_date": self.effective_date.isoformat(),
        }
        return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Manifest:
        """Read a manifest.

        :param source: where the text comes from, for messages.
        :raises ExchangeError: if the text is not a manifest that this version reads.
        """
        try:
            data = read_object(text)
            _check_format(data["format"])
            return cls(
                batch=data["batch"],
                connector=data["connector"],
                mode=_mode(data["mode"]),
                type=SourceType(data["type"]),
                created_at=_utc(data["created_at"]),
                effective_date=_utc(data["effective_date"]),
                dated=data["dated"],
                origin=Origin(**data["origin"]),
                based_on=data["based_on"],
                fingerprint=data["fingerprint"],
                files=tuple(BatchFile(**f | {"columns": tuple(f["columns"])}) for f in data["files"]),
                plan_only=data["plan_only"],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ExchangeError(f"{source} is not a manifest of this version: {reason(error)}") from error


def read_object(text: str | bytes) -> dict[str, Any]:
    """Read a JSON object.

    :raises ValueError: if the text is none.
    """
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - of what a person wrote or altered
    return data


def reason(error: Exception) -> str:
    """Say for a person why a JSON text could not be read as what it should be."""
    match error:
        case json.JSONDecodeError():
            return f"it is not JSON (line {error.lineno}, column {error.colno})"
        case UnicodeDecodeError():
            return "it is not UTF-8"
        case KeyError():
            return f"it lacks {error.args[0]!r}"
        case AttributeError() | TypeError():
            return "a value in it is of another kind than expected"
        case _:
            return str(error)


def _check_format(version: object) -> None:
    if version != FORMAT_VERSION:
        raise ValueError(f"it is of format {version!r}, expected {FORMAT_VERSION}")


def _mode(name: str) -> SynchronizationMode:
    mode = SynchronizationMode.__members__.get(name.upper())
    if mode is None:
        raise ValueError(f"{name!r} is not a synchronization mode")
    return mode


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
