"""The order of a job's tasks."""

from __future__ import annotations

from airflow_provider_idm.jobs.order import Place, upstream


def test_a_level_starts_when_the_lower_one_has_ended() -> None:
    places = [Place(0, "HR"), Place(0, "HR"), Place(1, "HR"), Place(2, "HR")]

    assert upstream(places) == [frozenset(), frozenset(), {0, 1}, {2}]


def test_tasks_of_one_level_run_side_by_side_whatever_their_reading_order() -> None:
    places = [Place(1, "HR"), Place(0, "HR")]

    assert upstream(places) == [{1}, frozenset()]


def test_connectors_never_wait_for_one_another() -> None:
    places = [Place(0, "HR"), Place(1, "AD"), Place(2, "HR"), Place(3, "AD")]

    assert upstream(places) == [frozenset(), frozenset(), {0}, {1}]


def test_connectors_are_the_same_in_any_case() -> None:
    assert upstream([Place(0, "HR"), Place(1, "hr")]) == [frozenset(), {0}]


def test_a_task_without_connector_waits_for_all_before_it_and_all_after_it_wait_for_it() -> None:
    places = [Place(0, "HR"), Place(0, "AD"), Place(1, None), Place(2, "HR"), Place(2, "AD")]

    assert upstream(places) == [frozenset(), frozenset(), {0, 1}, {2}, {2}]


def test_an_explicit_parent_may_belong_to_another_connector() -> None:
    places = [Place(0, "HR"), Place(0, "AD"), Place(1, "HR", frozenset({1}))]

    assert upstream(places) == [frozenset(), frozenset(), {0, 1}]


def test_what_follows_from_other_dependencies_is_left_out() -> None:
    places = [Place(0, "HR"), Place(1, "HR"), Place(2, "HR", frozenset({0}))]

    assert upstream(places) == [frozenset(), {0}, {1}]
