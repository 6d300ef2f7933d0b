"""``python -m airflow_provider_idm.cli``: ``idm`` where its command is not on the path."""

from __future__ import annotations

import sys

from airflow_provider_idm.cli import main

if __name__ == "__main__":
    sys.exit(main())
