"""What a case of the corpus is: a damage done to the good export, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from airflow_provider_idm.configuration import SourceType, SynchronizationMode
from airflow_provider_idm.errors import IdmError, SourceFileError
from tests.safeguards.export import PERSONS

COMPLETE: Final = SynchronizationMode.COMPLETE
INCREMENTAL: Final = SynchronizationMode.INCREMENTAL
SEPARATORS: Final = {COMPLETE: ",", INCREMENTAL: ";"}
"""A case runs in both modes: Complete reads the export with commas, Incremental the one that Excel would write."""

INSERTED: Final = ("MaximumInsertedLines", "MaxPercentageInsertedLines")
UPDATED: Final = ("MaximumUpdatedLines", "MaxPercentageUpdatedLines")
UPDATED_SHARE: Final = ("MaxPercentageUpdatedLines",)
DELETED: Final = ("MaximumDeletedLines", "MaxPercentageDeletedLines")
DELETED_SHARE: Final = ("MaxPercentageDeletedLines",)
LINKS_INSERTED: Final = ("MaximumLinkInsertedLines", "MaxLinkPercentageInsertedLines")
LINKS_INSERTED_SHARE: Final = ("MaxLinkPercentageInsertedLines",)
LINKS_DELETED: Final = ("MaximumLinkDeletedLines", "MaxLinkPercentageDeletedLines")
LINKS_DELETED_SHARE: Final = ("MaxLinkPercentageDeletedLines",)

Damage = Callable[[Path, str], object]
"""Breaks the good export in a folder; the second argument is its separator."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Prepare fails, and its message names the file, the line and the reason.

    :param says: a part of the message that only this reason has.
    :param file: name of the file that the message names; None if it is about no file.
    """

    says: str
    line: int | None = None
    file: str | None = f"{PERSONS}.csv"
    error: type[IdmError] = SourceFileError


@dataclass(frozen=True, slots=True)
class Blocked:
    """A batch is published, and synchronize stops at the gate; ``thresholds`` are all of those exceeded."""

    thresholds: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One broken export.

    :param separator: only one separator makes sense; None for that of the mode.
    :param type: what the sources hold in mode Incremental.
    :param options: settings of the prepare.
    :param after_reading: the damage happens while the export is read, after that table.
    """

    name: str
    damage: Damage
    expected: Refused | Blocked
    separator: str | None = None
    modes: tuple[SynchronizationMode, ...] = (COMPLETE, INCREMENTAL)
    type: SourceType = SourceType.NONE
    options: Mapping[str, Any] = field(default_factory=dict)
    after_reading: str | None = None


def refused(
    name: str,
    damage: Damage,
    says: str,
    line: int | None = None,
    *,
    file: str | None = f"{PERSONS}.csv",
    error: type[IdmError] = SourceFileError,
    **more: Any,
) -> Case:
    """Return a case that prepare refuses."""
    return Case(name=name, damage=damage, expected=Refused(says, line, file, error), **more)


def blocked(name: str, damage: Damage, *thresholds: tuple[str, ...], **more: Any) -> Case:
    """Return a case that the thresholds block."""
    names = frozenset(name for group in thresholds for name in group)
    return Case(name=name, damage=damage, expected=Blocked(names), **more)
