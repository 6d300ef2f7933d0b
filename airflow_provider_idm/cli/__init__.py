"""The command line ``idm``: every stage from a shell, without Airflow.

Imports nothing heavy: each command loads what it needs when it runs, so that ``idm --help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None, program: str = "idm") -> int:
    """Run ``idm``.

    :param arguments: what stands behind ``idm``; those of this process by default.
    :param program: what help and usage call the program.
    :return: the exit code: 0 done, 1 failed, 2 usage or configuration error, 3 blocked by a threshold.
    """
    from airflow_provider_idm.cli.app import run

    return run(arguments, program)
