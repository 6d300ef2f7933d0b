"""The model itself keeps the specification's promise, whatever the product does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.model import Model, cleanse, fold_changes
from tests.oracle.sequences import World, steps
from tests.oracle.shapes import SHAPES


@given(st.data())
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_commands_that_tell_all_end_where_a_complete_does(name: str, data: st.DataObject) -> None:
    shape = SHAPES[name]
    model, world = Model(shape), World(shape)
    for step in data.draw(steps(shape)):
        if step.kind in {"Changes", "ActiveDirectory"} and step.raw is None:
            changes = world.changes(step.edits, step.kind)
            model.apply("Incremental", fold_changes(shape, changes, step.kind))
        else:
            for edit in step.edits:
                world.edit(edit)
            world.exact = True
            model.apply("Complete", {t: c.file for t, c in cleanse(shape, world.tables).items()})
        if world.exact:
            again = Model(shape)
            again.apply("Complete", {t: c.file for t, c in cleanse(shape, world.tables).items()})
            assert model.resources == again.resources
            assert model.all_links() == again.all_links()
            assert model.rows == again.rows
