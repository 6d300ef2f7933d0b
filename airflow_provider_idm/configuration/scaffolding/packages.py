"""What the package of a connection (``Usercube.AD@0000001``) says about its source files."""

from __future__ import annotations

from typing import Final

from airflow_provider_idm.configuration.enums import SourceType

_CHANGES: Final = frozenset({"azuread", "entraid", "microsoftentraid", "servicenow", "scim"})
_WITHOUT_CHANGES: Final = frozenset({"scim.cyberark"})
"""Variants of these that know no changes."""
_NEVER_EXPORTED: Final = frozenset(
    {
        "custom",
        "easyvistaticket",
        "fulfilldatabase",
        "fulfilltofile",
        "fulfillworkflow",
        "manual",
        "powershell",
        "robotframework",
        "snowticket",
        "updatemanualprovisioningticket",
    }
)
"""Packages that write to a system, or stand for one that has no data of its own."""


def is_exported(package: str) -> bool:
    """Return whether a package is one to export from, as far as it is known."""
    return _family(package) not in _NEVER_EXPORTED


def exported_type(package: str) -> SourceType:
    """Return what a package exports when it is asked for changes."""
    family = _family(package)
    if family.partition(".")[0] == "ad":
        return SourceType.ACTIVE_DIRECTORY
    if family.partition(".")[0] in _CHANGES and family not in _WITHOUT_CHANGES:
        return SourceType.CHANGES
    return SourceType.NONE


def _family(package: str) -> str:
    """Return a package's name without publisher and version, in lower case."""
    return package.partition("@")[0].strip().casefold().partition(".")[2]
