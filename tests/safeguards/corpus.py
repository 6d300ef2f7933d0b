"""The corpus: every broken export, and what must come of it."""

from __future__ import annotations

from tests.safeguards.case import Case
from tests.safeguards.cases_changes import CHANGES
from tests.safeguards.cases_files import FILES
from tests.safeguards.cases_structure import STRUCTURE
from tests.safeguards.cases_values import CONTENT

CORPUS: tuple[Case, ...] = (*FILES, *STRUCTURE, *CONTENT, *CHANGES)
