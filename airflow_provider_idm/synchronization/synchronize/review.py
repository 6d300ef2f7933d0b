"""What a person needs to decide about changes: how many of which kind, and some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    :param key1: primary key of the resource, or of the link's first end.
    :param key2: primary key of the link's second end; None for resources and files.
    :param old: former values by property of an update's changed properties, or of all that a deleted resource had; for
        a file its property with its former hash. None for inserts and links. Values of persons: not for a log.
    :param new: the values to come, likewise; None for deletes and links.
    """

    key1: str
    key2: str | None = None
    old: Mapping[str, str | None] | None = None
    new: Mapping[str, str | None] | None = None

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties that change, or have a value, in the order of the mapping."""
        return tuple(dict.fromkeys((*(self.old or ()), *(self.new or ()))))


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """Changes of one kind.

    :param kind: ``resource``, ``link`` or ``file``.
    :param type: entity type or association.
    :param operation: ``insert``, ``update`` or ``delete``.
    :param total: how many there are.
    :param shown: the first of them by key.
    """

    kind: str
    type: str
    operation: str
    total: int
    shown: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """The changes of one batch as a person reviews them.

    :param change_set: SHA-256 (hex) of all the changes by keys and values: what an approval is bound to.
    :param groups: per entity type, file and association, and operation: those with changes only.
    """

    batch: str
    mode: str
    effective_date: datetime
    change_set: str
    groups: tuple[ChangeGroup, ...]
