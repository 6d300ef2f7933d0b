"""The search for garbage rests while much is made, and is then as it was."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from airflow_provider_idm.configuration.collector import without_garbage_collection


class Thing:
    """Something that may refer to itself."""


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    gc.unfreeze()
    gc.enable()
    yield
    gc.unfreeze()
    gc.enable()


def test_it_rests_meanwhile_and_goes_on_afterwards() -> None:
    with without_garbage_collection():
        assert not gc.isenabled()
        with without_garbage_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()

    assert gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="wrong"), without_garbage_collection():
        raise ValueError("wrong")

    assert gc.isenabled()


def test_it_stays_off_where_it_was_off() -> None:
    gc.disable()

    with without_garbage_collection():
        pass

    assert not gc.isenabled()


def test_garbage_that_was_made_meanwhile_is_found_later() -> None:
    with without_garbage_collection():
        thing = Thing()
        thing.__dict__["itself"] = thing
        found = weakref.ref(thing)
        del thing
        assert found() is not None

    gc.collect()
    assert found() is None


def test_what_somebody_froze_stays_frozen() -> None:
    gc.freeze()

    with without_garbage_collection():
        pass

    assert gc.get_freeze_count() > 0
