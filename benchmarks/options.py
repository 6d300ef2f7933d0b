"""Options that several of the commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

OF_THE_DATA = "of the data, which is made if it is not there"
OF_EACH_SIZE = "keep the data here, a folder for each size"


def add_server(parser: argparse.ArgumentParser, *, url: bool = True) -> None:
    """Add which PostgreSQL is measured.

    :param url: whether it may be one that is there.
    """
    if url:
        parser.add_argument(
            "--postgresql", metavar="URL", help="a server to make databases on (default: one of its own)"
        )
    parser.add_argument("--server-settings", choices=("tuned", "default"), default="tuned")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another setting of it"
    )


def add_files(parser: argparse.ArgumentParser, data: str) -> None:
    """Add where files go, and what is printed.

    :param data: what is said of the data's folder.
    """
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help=data)
    parser.add_argument(
        "--folder", type=Path, default=Path(".bench"), help="for all other files (default: .bench)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run, too")
    parser.add_argument("--markdown", action="store_true")
