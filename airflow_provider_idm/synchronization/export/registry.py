"""Which exporter serves which package."""

from __future__ import annotations

from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export.csv_exporter import export_csv
from airflow_provider_idm.synchronization.export.exporter import Exporter

_exporters: dict[str, tuple[str, Exporter]] = {}


def register_exporter(package: str, exporter: Exporter) -> None:
    """Let an exporter serve every package whose name begins so; the longest beginning that fits is chosen.

    ``Usercube.CSV`` serves ``Usercube.CSV``, ``Usercube.CSV@0000001`` and ``Usercube.CSV.Complete@0000001``,
    but not ``Usercube.CSVX``. Case does not matter. A package registered again is served by the newcomer.
    """
    _exporters[package.casefold()] = (package, exporter)


def registered_packages() -> list[str]:
    """Return the beginnings of all packages that can be exported, as registered, sorted."""
    return sorted(package for package, _ in _exporters.values())


def exporter_for(package: str) -> Exporter | None:
    """Return the exporter of a package, or None if there is none."""
    wanted = package.casefold()
    fitting = [key for key in _exporters if wanted.startswith(key) and _ends_a_word(key, wanted)]
    return _exporters[max(fitting, key=len)][1] if fitting else None


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


register_exporter("Usercube.CSV", export_csv)
