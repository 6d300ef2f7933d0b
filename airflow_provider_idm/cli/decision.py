"""What ``idm resume`` and ``idm reject`` have in common: who decides, on what."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING

import typer

from airflow_provider_idm.cli.counts import show_counts

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_idm.repository import Repository


def decider(given: str | None) -> str:
    """Return who decides: the name given, or the operating system's user."""
    if given is not None:
        return given.strip()
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a user without a name, as in some containers
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "an unnamed user"


def whole_change_set(repository: Repository, connector: str, given: str | None) -> str | None:
    """Return the change set that was looked at, whole where only its beginning was given.

    One that is blocked no more is returned as given: it fits nothing, and what is blocked by now is asked about again.
    """
    from airflow_provider_idm.synchronization.synchronize import find_block

    block = find_block(repository, connector) if given else None
    return block.change_set if block and given and block.change_set.startswith(given) else given


def confirmed(repository: Repository, connector: str) -> tuple[str, str] | None:
    """Show a person at a terminal what is blocked now and ask whether that is meant.

    Who names neither batch nor change set may have looked at another one: a block passes to a later Complete.

    :return: the batch and the change set that were agreed to; None if nothing is blocked, or nobody can be asked.
    :raises typer.Abort: if that is not meant.
    """
    if not sys.stdin.isatty():
        return None

    from airflow_provider_idm.synchronization.synchronize import find_block

    block = find_block(repository, connector)
    if block is None:
        return None
    show_counts(block.result.as_dict(), on_stderr=True)
    told = f"{block.batch}, change set {block.change_set[:12]}"
    typer.confirm(f"Apply these changes of {connector} (batch {told})?", abort=True, err=True)
    return block.batch, block.change_set


def when(moment: datetime | None) -> str:
    """Return a moment as a part of a sentence."""
    return f" at {moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
