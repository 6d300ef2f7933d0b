"""Whatever happens to the sources, in whatever batches it comes, the repository holds what the model says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from tests.oracle.harness import Harness
from tests.oracle.runner import Runner
from tests.oracle.sequences import steps
from tests.oracle.shapes import SHAPES
from tests.synchronize.conftest import make_tables

if TYPE_CHECKING:
    from tests.conftest import Databases


@pytest.mark.parametrize("prepared", [False, True], ids=["by hand", "prepared"])
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_repository_equals_the_model_after_every_batch(
    databases: Databases, tmp_path: Path, name: str, prepared: bool
) -> None:
    shape = SHAPES[name]

    @settings(max_examples=max(2, settings.default.max_examples * (4 if prepared else 2) // 10))
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
