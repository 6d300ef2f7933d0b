"""The order of a job's tasks, as edges."""

from __future__ import annotations

from airflow_provider_idm.jobs.order import Links, Place, arrange


def strict(*places: Place) -> list[frozenset[int]]:
    """Return the strict edges of tasks that have no others."""
    arrangement = arrange(places)
    assert not any(link.lenient or link.watched for link in arrangement.links)
    assert arrangement.ended == arrangement.guarded == frozenset()
    return [link.strict for link in arrangement.links]


def links(strict: set[int] = frozenset(), lenient: set[int] = frozenset(), watched: set[int] = frozenset()):
    return Links(frozenset(strict), frozenset(lenient), frozenset(watched))


def test_a_level_starts_when_the_lower_one_has_ended() -> None:
    places = [Place(0, "HR"), Place(0, "HR"), Place(1, "HR"), Place(2, "HR")]

    assert strict(*places) == [frozenset(), frozenset(), {0, 1}, {2}]


def test_tasks_of_one_level_run_side_by_side_whatever_their_reading_order() -> None:
    assert strict(Place(1, "HR"), Place(0, "HR")) == [{1}, frozenset()]


def test_connectors_never_wait_for_one_another() -> None:
    places = [Place(0, "HR"), Place(1, "AD"), Place(2, "HR"), Place(3, "AD")]

    assert strict(*places) == [frozenset(), frozenset(), {0}, {1}]


def test_connectors_are_the_same_in_any_case() -> None:
    assert strict(Place(0, "HR"), Place(1, "hr")) == [frozenset(), {0}]


def test_a_task_without_connector_comes_after_all_before_it_and_all_others_after_it() -> None:
    places = [Place(0, None), Place(1, "HR"), Place(1, "AD"), Place(2, None)]

    assert strict(*places) == [frozenset(), {0}, {0}, {1, 2}]


def test_what_follows_from_other_dependencies_is_left_out() -> None:
    assert strict(Place(0, "HR"), Place(1, "HR"), Place(2, "HR", frozenset({0}))) == [frozenset(), {0}, {1}]


def test_a_task_between_two_connectors_is_watched_by_what_comes_after_it() -> None:
    places = [Place(0, "HR"), Place(0, "AD"), Place(1, None), Place(2, "HR"), Place(3, "HR")]

    assert arrange(places).links == (
        links(),
        links(),
        links({0, 1}),
        links({0}, watched={2}),
        links({3}, watched={2}),
    )


def test_a_parent_of_another_connector_is_waited_for_but_does_not_stop_by_itself() -> None:
    places = [Place(0, "HR"), Place(0, "AD"), Place(1, "HR", frozenset({1}))]

    arrangement = arrange(places)

    assert arrangement.links[2] == links({0}, lenient={1})
    assert arrangement.links[2].needs_nodes
    assert (arrangement.ended, arrangement.guarded) == ({1}, {1})


def test_a_parent_without_connector_that_others_may_stop_does_not_stop_by_itself_either() -> None:
    places = [Place(0, "AD"), Place(1, None), Place(2, "HR", frozenset({1})), Place(3, "HR")]

    arrangement = arrange(places)

    assert arrangement.links == (links(), links({0}), links(lenient={1}), links({2}, watched={1}))
    assert arrangement.guarded == {1}


def test_others_go_on_after_a_task_that_may_fail() -> None:
    arrangement = arrange([Place(0, "HR", may_fail=True), Place(1, "HR"), Place(2, "HR")])

    assert arrangement.links == (links(), links(lenient={0}), links({1}))
    assert (arrangement.ended, arrangement.guarded) == (frozenset(), frozenset())


def test_a_last_task_that_may_fail_does_not_fail_the_run() -> None:
    arrangement = arrange([Place(0, "HR"), Place(1, "HR", may_fail=True)])

    assert arrangement.links == (links(), links({0}))
    assert (arrangement.ended, arrangement.guarded) == ({1}, {0})


def test_a_failure_before_one_that_may_fail_stops_what_comes_after_both() -> None:
    places = [Place(0, None), Place(1, "HR", may_fail=True), Place(2, "HR", frozenset({1})), Place(3, "HR")]

    arrangement = arrange(places)

    assert arrangement.links == (links(), links({0}), links({0}, lenient={1}), links({2}))
    assert (arrangement.ended, arrangement.guarded) == ({1}, frozenset())


def test_a_task_that_goes_on_only_waits_and_a_failure_before_it_still_fails_the_run() -> None:
    places = [
        Place(0, "HR"),
        Place(1, "HR", frozenset({0})),
        Place(0, "AD"),
        Place(1, "AD", frozenset({2})),
        Place(2, None, frozenset({1, 3}), goes_on=True),
    ]

    arrangement = arrange(places)

    assert arrangement.links[4] == links(lenient={1, 3})
    assert (arrangement.ended, arrangement.guarded) == (frozenset(), {1, 3})


def test_a_task_that_goes_on_is_stopped_by_nothing_else_either() -> None:
    places = [Place(0, "HR"), Place(0, "AD"), Place(1, None, frozenset({0}), goes_on=True)]

    arrangement = arrange(places)

    assert arrangement.links[2] == links(lenient={0, 1})
    assert (arrangement.ended, arrangement.guarded) == (frozenset(), {0, 1})


def test_a_thousand_tasks_are_arranged() -> None:
    places = [Place(number // 4, f"C{number % 30}" if number % 7 else None) for number in range(1000)]

    assert len(arrange(places).links) == 1000
