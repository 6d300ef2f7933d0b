"""``airflow idm``: the command line ``idm`` as Airflow's own (Airflow 3.2 and later).

Every ``airflow`` command loads this module, so it imports nothing of the provider until ``idm`` is what was asked for.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from typing import NoReturn

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand

_NO_PREFIX = "\0"
"""A character that no argument begins with, as the system allows none in them."""


class _Everything(Arg):
    """All that follows the command, options and ``--help`` too: ``idm`` itself reads them."""

    def add_to_parser(self, parser: ArgumentParser) -> None:
        """Have a parser pass everything on."""
        parser.prefix_chars = _NO_PREFIX
        super().add_to_parser(parser)


def get_cli_commands() -> list[CLICommand]:
    """Return the commands that the provider adds to ``airflow``."""
    everything = _Everything(flags=("idm_arguments",), nargs=REMAINDER)  # type: ignore[no-untyped-call]
    return [
        ActionCommand(
            name="idm",
            help="Upward data synchronization of an identity repository",
            func=_run,
            args=(everything,),
        )
    ]


def _run(arguments: Namespace) -> NoReturn:
    """Do what ``idm`` does, with Airflow's home as this process knows it."""
    from airflow.configuration import AIRFLOW_HOME

    from airflow_provider_idm.cli import main

    os.environ.setdefault(
        "AIRFLOW_HOME", AIRFLOW_HOME
    )  # where repository, exchange and work folder are by default
    # What it has to say it says itself, to standard error; Airflow's own handlers would repeat it.
    logging.getLogger("airflow_provider_idm").propagate = False
    sys.exit(main(arguments.idm_arguments, program="airflow idm"))
