"""The fingerprint of a connector's mappings: equal as long as clean files mean the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.model import Location, Thresholds

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.mappings import MappedAssociation, MappedEntityType

_VERSION: Final = 1


def fingerprint(
    connector: str, entity_types: tuple[MappedEntityType, ...], associations: tuple[MappedAssociation, ...]
) -> str:
    """Return the SHA-256 (hex) of what decides what clean files hold and how they are stored.

    Places in files, thresholds, display names and the order of elements do not count; the order of a mapping's
    properties does, for it is that of the clean file's columns.
    """
    content = {
        "version": _VERSION,
        "connector": connector,
        "entity_types": [_plain(mapped) for mapped in sorted(entity_types, key=lambda e: e.identifier)],
        "associations": [_plain(mapped) for mapped in sorted(associations, key=lambda a: a.identifier)],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    """Turn a part of the model into what JSON holds, leaving out what does not count."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        return {n: _plain(v) for n, v in parts.items() if not isinstance(v, Location | Thresholds)}
    return value
