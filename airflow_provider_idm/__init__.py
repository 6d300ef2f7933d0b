"""Upward data synchronization of identity repositories, as an Apache Airflow provider.

Airflow imports this package to discover the provider, early and in every process, so nothing is imported here: each
exported name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_idm.jobs.generate import generate_dags
    from airflow_provider_idm.provider_info import get_provider_info

    __version__: str

__all__ = ["__version__", "generate_dags", "get_provider_info"]


def __getattr__(name: str) -> Any:
    """Load an exported name.

    :raises AttributeError: if the package exports no such name.
    """
    if name == "generate_dags":
        from airflow_provider_idm.jobs.generate import generate_dags

        return generate_dags
    if name == "get_provider_info":
        from airflow_provider_idm.provider_info import get_provider_info

        return get_provider_info
    if name == "__version__":
        from importlib.metadata import version

        return version("airflow-provider-idm")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
