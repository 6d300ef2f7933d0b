"""The section ``[idm]`` of Airflow's configuration; read when a task runs, never when a DAG file is parsed.

What an operator is given wins over it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.errors import ConfigurationError
from airflow_provider_idm.provider_info import CONFIG_OPTIONS, CONFIG_SECTION

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Value = TypeVar("Value")

_BOOLEANS: Final = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
"""As Airflow reads them."""


def memory_limit() -> str:
    """Return how much memory a task may take for its data, e.g. ``1GB``.

    :raises ConfigurationError: if it is no size.
    """
    from airflow_provider_idm.engine import check_memory_limit

    return _read("memory_limit", check_memory_limit, "a size such as 1GB or 512MiB")


def lock_timeout() -> float:
    """Return how long a task waits for another one of its connector, in seconds.

    :raises ConfigurationError: if it is no number of seconds.
    """
    return _read("lock_timeout", _seconds, "a number of seconds")


def poll_interval() -> timedelta:
    """Return how often a task that waits for a decision looks whether it was made elsewhere.

    :raises ConfigurationError: if it is no number of seconds, or less than ten.
    """
    return _read("poll_interval", _pause, "a number of seconds, 10 or more")


def history() -> bool:
    """Tell whether former versions of resources and links are kept.

    :raises ConfigurationError: if it is neither true nor false.
    """
    return _read("history", lambda text: _BOOLEANS[text.lower()], "true or false")


def _read(option: str, convert: Callable[[str], Value], expected: str) -> Value:
    text = _text(option)
    try:
        return convert(text)
    except (KeyError, ValueError, ConfigurationError):
        raise ConfigurationError(
            f"Airflow's configuration has {option} = {text!r} in its section [{CONFIG_SECTION}] (or the environment has "
            f"AIRFLOW__IDM__{option.upper()}); expected {expected}"
        ) from None


def _text(option: str) -> str:
    try:  # since Airflow 3.2
        from airflow.sdk.configuration import conf
    except ImportError:
        from airflow.configuration import conf

    default = CONFIG_OPTIONS[option]["default"]
    return str(conf.get(CONFIG_SECTION, option, fallback=default)).strip() or str(default)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds


def _pause(text: str) -> timedelta:
    seconds = _seconds(text)
    if seconds < 10:
        raise ValueError(text)
    return timedelta(seconds=seconds)
