"""Which exporter serves which package."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.exporter import Exporter

ENTRY_POINTS: Final = "airflow_provider_idm.exporters"
"""The group of entry points by which an installed package brings exporters: package name = ``module:function``."""

_HERE: Final = "airflow_provider_idm.synchronization.export"
_exporters: dict[str, tuple[str, Exporter | str]] = {}


def register_exporter(package: str, exporter: Exporter | str) -> None:
    """Let an exporter serve every package whose name begins so; the longest beginning that fits is chosen.

    ``Usercube.CSV`` serves ``Usercube.CSV``, ``Usercube.CSV@0000001`` and ``Usercube.CSV.Complete@0000001``,
    but not ``Usercube.CSVX``. Case does not matter. A package registered again is served by the newcomer.

    :param exporter: the exporter, or where it is found: ``module:function``, imported when it is first used.
    """
    _exporters[package.casefold()] = (package, exporter)


def registered_packages() -> list[str]:
    """Return the beginnings of all packages that can be exported, as registered, sorted."""
    _read_entry_points()
    return sorted(package for package, _ in _exporters.values())


def exporter_for(package: str) -> Exporter | None:
    """Return the exporter of a package, or None if there is none.

    :raises ExportError: if the module that it is registered with cannot be imported, or has no such function.
    """
    _read_entry_points()
    wanted = package.casefold()
    fitting = [key for key in _exporters if wanted.startswith(key) and _ends_a_word(key, wanted)]
    if not fitting:
        return None
    name, exporter = _exporters[max(fitting, key=len)]
    return _load(name, exporter) if isinstance(exporter, str) else exporter


def require_exporter(package: str, connection: str) -> Exporter:
    """Return the exporter of a connection's package.

    :raises ExportError: if there is none; it lists those that exist.
    """
    exporter = exporter_for(package)
    if exporter is None:
        raise ExportError(
            f"connection {connection}: no exporter for package {package}. Exporters exist for "
            f"{', '.join(registered_packages())}; register one with "
            f"register_exporter({package.partition('@')[0]!r}, …), or let another task write the source files "
            "and take the ExportTask out"
        )
    return exporter


def _ends_a_word(key: str, package: str) -> bool:
    return not (key[-1:].isalnum() and package[len(key) : len(key) + 1].isalnum())


def _load(package: str, path: str) -> Exporter:
    module, _, function = path.partition(":")
    try:
        exporter: Exporter = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ExportError(
            f"the exporter of package {package} is registered as {path!r}, which cannot be loaded: {error}. Expected "
            "module:function of a module that this environment has"
        ) from error
    return exporter


@cache
def _read_entry_points() -> None:
    """Register what installed packages bring; what was registered in code before that wins."""
    for entry in entry_points(group=ENTRY_POINTS):
        _exporters.setdefault(entry.name.casefold(), (entry.name, entry.value))


register_exporter("Usercube.CSV", f"{_HERE}.csv_exporter:export_csv")
register_exporter("Usercube.LDAP", f"{_HERE}.ldap.exporter:export_ldap")
register_exporter("Usercube.OpenLDAP", f"{_HERE}.ldap.exporter:export_ldap")
register_exporter("Usercube.AD", f"{_HERE}.ldap.active_directory:export_active_directory")
register_exporter("Usercube.Excel", f"{_HERE}.excel_exporter:export_excel")
register_exporter("Usercube.SQL", f"{_HERE}.sql.exporter:export_sql")
register_exporter("Usercube.SQL.SQLServerEntitlements", f"{_HERE}.sql.entitlements:export_entitlements")
