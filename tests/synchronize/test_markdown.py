"""What a person reads before deciding: nothing that matters is missing, nothing from data is more than text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from airflow_provider_idm.synchronization.synchronize.markdown import LEAST, as_markdown, subject
from airflow_provider_idm.synchronization.synchronize.markdown_text import LONGEST, code, prose, visible
from airflow_provider_idm.synchronization.synchronize.result import (
    AssociationCounts,
    BatchOutcome,
    EntityTypeCounts,
    ExceededThreshold,
    SynchronizeResult,
)
from airflow_provider_idm.synchronization.synchronize.review import Change, ChangeGroup, Review

BATCH = "019a3b2c-0000-7000-8000-000000000001"
BLOCKED = SynchronizeResult(
    connector="HR",
    state="blocked",
    batches=(BatchOutcome(BATCH, "Complete", "blocked"),),
    entity_types={
        "Organization": EntityTypeCounts(unchanged=40),
        "Person": EntityTypeCounts(inserted=1, updated=2, deleted=500, unchanged=9_498, anomalies=3),
    },
    associations={"Person_Organization": AssociationCounts(1, 1_234, 8_766, 5, 6)},
    thresholds=(
        ExceededThreshold("Connector HR", "MaximumDeletedLines", 100, 500, 10_040),
        ExceededThreshold("EntityTypeMapping Person", "MaxPercentageDeletedLines", 4.99999, 5.0, 10_000),
        ExceededThreshold("EntityTypeMapping New", "MaxPercentageInsertedLines", 5, None, 0),
    ),
    warnings=("Person_Organization: 6 rows lost their place to others",),
    blocked_by=BATCH,
)
REVIEW = Review(
    batch=BATCH,
    mode="Complete",
    effective_date=datetime(2026, 3, 1, 6, tzinfo=UTC),
    change_set="0123456789abcdef" * 4,
    groups=(
        ChangeGroup("resource", "Person", "insert", 1, (Change("1", new={"code": "1", "name": "Ada"}),)),
        ChangeGroup(
            "resource",
            "Person",
            "update",
            2,
            (
                Change("2", old={"name": "Alan", "since": None}, new={"name": None, "since": "2026"}),
                Change("3", old={"name": "Grace"}, new={"name": "Grace B."}),
            ),
        ),
        ChangeGroup(
            "resource", "Person", "delete", 500, (Change("4", old={"name": "Tony"}), Change(" 5", old={}))
        ),
        ChangeGroup("file", "Person", "update", 1, (Change("2", None, {"photo": "aa"}, {"photo": "bb"}),)),
        ChangeGroup("link", "Person_Organization", "delete", 1_234, (Change("4", "A"), Change("5", "A|B"))),
    ),
)

WITHOUT_VALUES = """\
### Synchronization of `HR`: blocked by a threshold

Connector `HR`, batch `BATCH` (Complete, effective 2026-03-01 06:00:00 UTC), change set `0123456789ab`.

**Thresholds exceeded**

| scope | threshold | limit | actual | stored |
|---|---|--:|--:|--:|
| `Connector HR` | `MaximumDeletedLines` | 100 | 500 | 10,040 |
| `EntityTypeMapping Person` | `MaxPercentageDeletedLines` | 4.99999 % | 5 % | 10,000 |
| `EntityTypeMapping New` | `MaxPercentageInsertedLines` | 5 % | any change | 0 |

| entity type | inserted | updated | deleted | unchanged | anomalies | stored |
|---|--:|--:|--:|--:|--:|--:|
| `Organization` | 0 | 0 | 0 | 40 | 0 | 40 |
| `Person` | 1 (< 0.1 %) | 2 (< 0.1 %) | 500 (5 %) | 9,498 | 3 | 10,000 |

| association | inserted | deleted | unchanged | orphans | conflicts | stored |
|---|--:|--:|--:|--:|--:|--:|
| `Person_Organization` | 1 (< 0.1 %) | 1,234 (12.3 %) | 8,766 | 5 | 6 | 10,000 |

**`Person`: 1 inserted**

| key |
|---|
| `1` |

**`Person`: 2 updated**

| key | properties |
|---|---|
| `2` | `name`, `since` |
| `3` | `name` |

**`Person`: 500 deleted**

| key |
|---|
| `4` |
| `␠5` |

… and 498 more

**`Person`: 1 files updated**

| key | properties |
|---|---|
| `2` | `photo` |

**`Person_Organization`: 1,234 links deleted**

| key1 | key2 |
|---|---|
| `4` | `A` |
| `5` | `A\\|B` |

… and 1,232 more

**Warnings**

- `Person_Organization`: 6 rows lost their place to others
""".replace("BATCH", BATCH)


# ----------------------------------------------------------------------------------------- what it says


def test_everything_that_is_needed_to_decide() -> None:
    assert as_markdown(BLOCKED, REVIEW) == WITHOUT_VALUES


def test_values_are_shown_only_where_that_was_asked_for() -> None:
    assert "Ada" not in as_markdown(BLOCKED, REVIEW)
    shown = as_markdown(BLOCKED, REVIEW, show_values=True)

    assert "| `1` | `code`: `1`; `name`: `Ada` |" in shown
    assert "| `2` | `name`: `Alan` → *empty*; `since`: *empty* → `2026` |" in shown
    assert "| `4` | `name`: `Tony` |" in shown
    assert "| `2` | `photo`: `aa` → `bb` |" in shown


def test_a_heading_of_ones_own_is_text_too() -> None:
    shown = as_markdown(BLOCKED, None, heading="Plan of <b>HR</b>\nfor @alice, #12")

    assert shown.splitlines()[0] == "### Plan of `<b>HR</b>` for `@alice`, `#12`"
    assert "change set" not in shown


def test_a_block_that_stands_since_before_names_its_batch() -> None:
    own = "019a3b2c-0000-7000-8000-000000000002"
    behind = SynchronizeResult(
        "HR", "blocked", (BatchOutcome(own, "Incremental", "pending"),), blocked_by=BATCH
    )

    assert f"Connector `HR`, batch `{BATCH}`." in as_markdown(behind, None)


def test_counts_of_several_batches_have_no_percentages() -> None:
    both = SynchronizeResult(
        "HR",
        "completed",
        (BatchOutcome("a", "Complete", "cancelled"), BatchOutcome("b", "Complete", "pending")),
        {"Person": EntityTypeCounts(1, 2, 3, 4)},
    ).followed_by(
        SynchronizeResult(
            "HR",
            "completed",
            (BatchOutcome("c", "Incremental", "pending"),),
            {"Person": EntityTypeCounts(1, 0, 0, 8)},
        )
    )

    shown = as_markdown(both, None)

    assert "### Synchronization of `HR`\n" in shown
    assert "| `b` | Complete | pending |\n| `c` | Incremental | pending |" in shown
    assert "The counts are of all these batches together.\n" in shown
    assert (
        "The counts are of all these batches together; the changes shown are those of the last one.\n"
        in as_markdown(both, REVIEW)
    )
    assert "| entity type | inserted | updated | deleted | unchanged | anomalies |" in shown
    assert "| `Person` | 2 | 2 | 3 | 8 | 0 |" in shown


def test_nothing_to_do() -> None:
    assert as_markdown(SynchronizeResult("HR", "nothing"), None) == (
        "### Synchronization of `HR`: nothing to do\n\nConnector `HR`.\n"
    )


@pytest.mark.parametrize(
    ("deleted", "unchanged", "told"),
    [
        (1, 9_999, "1 (< 0.1 %)"),
        (10, 9_990, "10 (0.1 %)"),
        (9_999, 1, "9,999 (99.9 %)"),
        (10_000, 0, "10,000 (100 %)"),
        (1, 2, "1 (33.3 %)"),
        (0, 7, "0"),
    ],
)
def test_percentages_are_never_rounded_to_none_or_all(deleted: int, unchanged: int, told: str) -> None:
    result = SynchronizeResult(
        "HR", "completed", entity_types={"P": EntityTypeCounts(deleted=deleted, unchanged=unchanged)}
    )

    assert f"| `P` | 0 | 0 | {told} |" in as_markdown(result, None)


@pytest.mark.parametrize(
    ("limit", "actual", "told"),
    [
        (5, 100 / 3, "33.33 %"),
        (5, 5.0000001, "5.0000001 %"),
        (0.5, 0.501, "0.501 %"),
        (5, 100.0, "100 %"),
    ],
)
def test_an_actual_percentage_differs_from_its_limit(limit: float, actual: float, told: str) -> None:
    exceeded = ExceededThreshold("Connector HR", "MaxPercentageDeletedLines", limit, actual, 1_000)

    shown = as_markdown(SynchronizeResult("HR", "blocked", thresholds=(exceeded,)), None)

    assert f"| {told} | 1,000 |" in shown


# --------------------------------------------------------------------------------------- text from data


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("007", "`007`"),
        ("", "*empty*"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("a\r\nb\tc", "`a␍␊b␉c`"),
        (" padded  ", "`␠padded␠␠`"),
        ("   ", "`␠␠␠`"),
        ("<script>", "`<script>`"),
        ("@team #12", "`@team #12`"),
        ("abc\u202edef\ud800", "`abc<U+202E>def<U+D800>`"),
        ("ab\u200c\U0001f469\u200d\U0001f680", "`ab\u200c\U0001f469\u200d\U0001f680`"),
        ("x" * 61, f"`{'x' * 47}…{'x' * 12}`"),
        ("a" * 100_000 + "z", f"`{'a' * 47}…{'a' * 11}z`"),
    ],
)
def test_a_text_becomes_a_code_span(text: str, span: str) -> None:
    assert code(text) == span


def test_plain_words_of_a_sentence_stay_words() -> None:
    sentence = "Person: 3 rows, 1,234 of 5 % (all) don't fit; see /tmp/x_y.csv, GH-1 and 1. www.example.com"

    assert prose(sentence) == (
        "Person: 3 rows, 1,234 of 5 % (all) don't fit; see `/tmp/x_y.csv`, `GH-1` and `1.` `www.example.com`"
    )


RENDERER = MarkdownIt("gfm-like")


def tables(text: str) -> list[list[list[str]]]:
    """Render a text; give the cells of its tables as plain text, and find nothing in it but what we use."""
    found: list[list[list[str]]] = []
    tokens = RENDERER.parse(text)
    for before, token in pairwise([*tokens[:1], *tokens]):
        children = token.children or []
        kinds = {token.type, *(child.type for child in children)}
        assert kinds <= ALLOWED, kinds - ALLOWED
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline":
            _check_plain(token)
            if before.type in {"td_open", "th_open"}:
                found[-1][-1].append("".join(child.content for child in children))
    return found


ALLOWED = {
    f"{name}_{end}"
    for name in ("heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td", "strong", "em")
    for end in ("open", "close")
} | {"bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"}
ALLOWED |= {"inline", "text", "code_inline"}
"""Neither links nor images, HTML, code blocks, line breaks, quotes."""


def _check_plain(token: Token) -> None:
    for child in token.children or []:
        if child.type == "text":
            assert not re.search(r"[@#<>&`|\\]|://|www\.", child.content.replace("< 0.1 %", "")), (
                child.content
            )


TEXTS = st.one_of(
    st.text(max_size=100),
    st.text("ab `|\\\n\r\t<>&@#*_[]()!~:/-+.1\u202e\u2028\ud800", max_size=90),
    st.sampled_from(
        ["<script>alert(1)</script>", "@everyone", "#123", "GH-1", "\\|", "\\", "`" * 200, "---", "|"]
    ),
)
NUMBERS = st.integers(0, 10**9)
VALUES = st.none() | st.dictionaries(TEXTS, st.none() | TEXTS, max_size=15)
CHANGES = st.builds(Change, TEXTS, st.none() | TEXTS, VALUES, VALUES)
GROUPS = st.builds(
    ChangeGroup,
    st.sampled_from(["resource", "link", "file"]),
    TEXTS,
    st.sampled_from(["insert", "update", "delete"]),
    NUMBERS,
    st.lists(CHANGES, max_size=12).map(tuple),
)
REVIEWS = st.builds(
    Review,
    TEXTS,
    st.sampled_from(["Complete", "Incremental"]),
    st.datetimes(timezones=st.just(UTC)),
    TEXTS,
    st.lists(GROUPS, max_size=12).map(tuple),
)
THRESHOLDS = st.builds(
    ExceededThreshold,
    TEXTS,
    st.sampled_from(["MaximumDeletedLines", "MaxPercentageDeletedLines"]),
    NUMBERS,
    st.none() | st.floats(0, 1e12),
    NUMBERS,
)
RESULTS = st.builds(
    SynchronizeResult,
    connector=TEXTS,
    state=st.sampled_from(["blocked", "completed", "nothing"]),
    batches=st.lists(st.builds(BatchOutcome, TEXTS, TEXTS, TEXTS), max_size=15).map(tuple),
    entity_types=st.dictionaries(TEXTS, st.builds(EntityTypeCounts, *[NUMBERS] * 5), max_size=30),
    associations=st.dictionaries(TEXTS, st.builds(AssociationCounts, *[NUMBERS] * 5), max_size=30),
    thresholds=st.lists(THRESHOLDS, max_size=30).map(tuple),
    warnings=st.lists(TEXTS, max_size=30).map(tuple),
    blocked_by=st.none() | TEXTS,
)


@given(RESULTS, st.none() | REVIEWS, st.booleans(), st.none() | TEXTS, st.integers(LEAST, 30_000))
@example(BLOCKED, REVIEW, True, None, LEAST)
def test_no_text_breaks_a_table_or_the_limit(
    result: SynchronizeResult, review: Review | None, show_values: bool, heading: str | None, limit: int
) -> None:
    shown = as_markdown(result, review, show_values=show_values, heading=heading, limit=limit)

    assert len(shown) <= limit
    shown.encode("utf-8")
    for rows in tables(shown):
        assert {len(row) for row in rows} == {len(rows[0])}
    assert shown.count("\n### ") == 0
    assert "\n" not in subject(result)
    assert len(subject(result)) < 1_000


@given(st.lists(TEXTS, min_size=1, max_size=30))
def test_every_key_is_read_as_it_is(keys: list[str]) -> None:
    group = ChangeGroup("resource", "Person", "insert", len(keys), tuple(Change(key) for key in keys))
    review = Review(BATCH, "Complete", datetime(2026, 3, 1, tzinfo=UTC), "0" * 64, (group,))

    (read,) = tables(as_markdown(SynchronizeResult("HR", "completed"), review))

    for (shown,), key in zip(read[1:], keys, strict=True):
        whole = re.sub(r"\\(?=\|)", "\N{SET MINUS}", visible(key))
        if not whole:
            assert shown == "empty"
        elif len(whole) <= LONGEST:
            assert shown == whole
        else:
            assert len(shown) == LONGEST


# -------------------------------------------------------------------------------------------- the limit


def many_changes(number: int) -> Review:
    changes = tuple(Change(f"key-{n:04}-{'k' * 40}", old={"name": "a"}, new={"name": "b"}) for n in range(20))
    groups = tuple(ChangeGroup("resource", f"Type{n}", "update", 1_020, changes) for n in range(number))
    return Review(BATCH, "Complete", datetime(2026, 3, 1, tzinfo=UTC), "0" * 64, groups)


def test_samples_give_way_first_and_that_is_said() -> None:
    whole = as_markdown(BLOCKED, many_changes(10), limit=60_000)
    assert whole.count("key-") == 200
    assert whole.count("… and 1,000 more\n") == 10
    assert "Shortened" not in whole

    shorter = as_markdown(BLOCKED, many_changes(10), limit=8_000)
    assert "Shortened to fit into 8,000 characters: at most 9 of each kind are shown.\n" in shorter
    assert shorter.count("key-") == 90
    assert shorter.count("… and 1,011 more\n") == 10
    assert shorter.count("`Connector HR` | `MaximumDeletedLines` | 100 | 500 |") == 1
    assert "500 (5 %)" in shorter
    assert "**Warnings**" in shorter

    without = as_markdown(BLOCKED, many_changes(2_000), limit=4_000)
    assert (
        "The sample of the changes is left out: it does not fit into 4,000 characters. `idm plan`" in without
    )
    assert "key-" not in without
    assert "500 (5 %)" in without


def test_what_changes_stays_where_not_all_counts_fit() -> None:
    counts = {f"Type{n:04}": EntityTypeCounts(deleted=n // 999, unchanged=5) for n in range(1_000)}
    result = SynchronizeResult("HR", "blocked", entity_types=counts, thresholds=BLOCKED.thresholds)

    shown = as_markdown(result, None, limit=10_000)

    assert len(shown) <= 10_000
    assert "`Connector HR`" in shown
    assert "| `Type0999` | 0 | 0 | 1 (16.7 %) |" in shown
    left = re.search(r"… and (\d+) more entity types\n", shown)
    assert left is not None
    assert int(left[1]) + shown.count("| `Type") == 1_000


def test_a_limit_that_nothing_fits_into_is_refused() -> None:
    with pytest.raises(ValueError, match=r"limit 3999: expected at least 4000 characters"):
        as_markdown(BLOCKED, None, limit=3_999)


# ------------------------------------------------------------------------------------------ the subject


def test_the_subject_is_one_line() -> None:
    assert subject(BLOCKED) == (
        "HR is blocked: Connector HR: MaximumDeletedLines 100 exceeded: 500 of 10,040 stored "
        "(and 2 more thresholds)"
    )
    assert subject(SynchronizeResult("H\nR", "nothing")) == "H␊R: no batch is pending"
    assert subject(
        SynchronizeResult(
            "HR",
            "completed",
            entity_types={"A": EntityTypeCounts(1, 2, 3), "B": EntityTypeCounts(1_000)},
            associations={"C": AssociationCounts(4, 5)},
        )
    ) == ("HR (completed): 1,001 resources inserted, 2 updated, 3 deleted; 4 links inserted, 5 deleted")
