"""What a blocked connector waits for: why, how to look at it, how to decide."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_provider_idm.cli import output

_CHANGE_SET = 12


def tell_blocked(
    conf: Path,
    connector: str,
    batch: str,
    thresholds: Iterable[Mapping[str, Any]],
    *,
    change_set: str | None,
    since: datetime | None = None,
    pending: Iterable[str] = (),
    say: Callable[[str], None] = output.message,
) -> None:
    """Say that a batch awaits a decision, why, how to look and how to decide.

    :param since: when it was blocked; None if it was just now.
    :param pending: batches behind it that were not looked at.
    :param say: writes a line; on standard error by default.
    """
    from airflow_provider_idm.synchronization.synchronize import ExceededThreshold

    exceeded = [ExceededThreshold(**t) for t in thresholds]
    number = "a threshold is" if len(exceeded) == 1 else f"{len(exceeded)} thresholds are"
    say(
        f"{connector} is blocked{_since(since)} by batch {batch}: {number} exceeded, nothing of it was applied"
    )
    for threshold in exceeded:
        say(f"  {threshold.as_text()}")
    for other in pending:
        say(f"  batch {other} waits behind it and was not looked at")
    _say_what_to_do(conf, connector, batch, change_set, say)


def tell_needs_complete(
    conf: Path,
    connector: str,
    message: str,
    since: datetime | None = None,
    *,
    say: Callable[[str], None] = output.message,
) -> None:
    """Say that a connector takes no Incremental, why, and what to do.

    :param message: what the repository says about it.
    """
    why = message or "a batch was rejected"
    say(f"{connector} needs a Complete{_since(since)}: {why}; Incrementals fail until one is applied")
    say(f"  run:     {_command('prepare', conf, connector)} --mode complete")
    say(f"           {_command('synchronize', conf, connector)}")


def _say_what_to_do(
    conf: Path, connector: str, batch: str, change_set: str | None, say: Callable[[str], None]
) -> None:
    own = f"--batch {batch}"
    seen = f" --change-set {change_set[:_CHANGE_SET]}" if change_set else ""
    say(f"  look:    {_command('plan', conf, connector)} {own} --show 20   (--changes FILE writes them all)")
    say(f"  apply:   {_command('resume', conf, connector)} {own}{seen}")
    say(f"  discard: {_command('reject', conf, connector)} {own}   (a Complete is needed then)")


def _command(name: str, conf: Path, connector: str) -> str:
    return f"idm {name} {shlex.quote(str(conf))} --connector {shlex.quote(connector)}"


def _since(moment: datetime | None) -> str:
    return f" since {moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
