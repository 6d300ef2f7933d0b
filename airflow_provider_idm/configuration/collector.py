"""Building something large without Python looking for garbage in it all the while."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Leave out the search for objects that only refer to one another, while much is made that stays.

    The search runs again and again as objects become more, over everything there is; where Airflow is imported, it
    takes as long as reading a configuration does. Objects that nothing refers to are freed as always.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            _make_old()
            gc.enable()


def _make_old() -> None:
    """Leave what is there to the next search of everything: else one would begin at once, with all that was made."""
    if gc.get_freeze_count() == 0:  # what somebody froze (before a fork, say) stays so
        gc.freeze()
        gc.unfreeze()
