"""Whatever happens to the sources, in whatever batches it comes, the repository holds what the model says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from tests.oracle.harness import Harness
from tests.oracle.runner import Runner
from tests.oracle.sequences import steps
from tests.oracle.shapes import SHAPES

if TYPE_CHECKING:
    from tests.conftest import Databases


def make_tables(url: str) -> None:
    from airflow_provider_idm.repository import Repository

    Repository.open(url).close()


@pytest.mark.parametrize("prepared", [False, True], ids=["by hand", "prepared"])
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_repository_equals_the_model_after_every_batch(
    databases: Databases, tmp_path: Path, name: str, prepared: bool
) -> None:
    shape = SHAPES[name]

    @given(steps(shape))
    def sequences(drawn: list) -> None:
        url = databases.prepared(make_tables)
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            harness = Harness(shape, url, Path(folder))
            try:
                Runner(harness, prepared=prepared).run(drawn)
            finally:
                harness.close()
                databases.drop(url)

    sequences()
