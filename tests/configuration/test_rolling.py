"""Rolling windows: limits over the last days, given outside the XML."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from airflow_provider_idm.configuration.model import RollingWindow, Thresholds
from airflow_provider_idm.configuration.rolling import (
    by_connector,
    check_connectors,
    parse_rolling_window,
    parse_rolling_windows,
)
from airflow_provider_idm.errors import ConfigurationError

WEEK: dict[str, Any] = {"days": 7, "MaximumDeletedLines": 500}
RESOURCES = {
    "MaximumInsertedLines": "maximum_inserted_lines",
    "MaximumUpdatedLines": "maximum_updated_lines",
    "MaximumDeletedLines": "maximum_deleted_lines",
    "MaxPercentageInsertedLines": "max_percentage_inserted_lines",
    "MaxPercentageUpdatedLines": "max_percentage_updated_lines",
    "MaxPercentageDeletedLines": "max_percentage_deleted_lines",
}
LINKS = {
    "MaximumLinkInsertedLines": "maximum_inserted_lines",
    "MaximumLinkDeletedLines": "maximum_deleted_lines",
    "MaxLinkPercentageInsertedLines": "max_percentage_inserted_lines",
    "MaxLinkPercentageDeletedLines": "max_percentage_deleted_lines",
    "MaxPercentageLinkInsertedLines": "max_percentage_inserted_lines",
    "MaxPercentageLinkDeletedLines": "max_percentage_deleted_lines",
}


def refusal(value: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_rolling_window(value, "here")
    return str(caught.value)


# --------------------------------------------------------------------------------------------------------- one window


@pytest.mark.parametrize(("name", "field"), RESOURCES.items())
def test_limits_on_resources_have_the_names_of_the_xml(name: str, field: str) -> None:
    window = parse_rolling_window({"days": 30, name: 12}, "here")

    assert window == RollingWindow(30, Thresholds(**{field: 12}), Thresholds())


@pytest.mark.parametrize(("name", "field"), LINKS.items())
def test_limits_on_links_have_the_names_of_the_xml(name: str, field: str) -> None:
    window = parse_rolling_window({"days": 30, name: 12}, "here")

    assert window == RollingWindow(30, Thresholds(), Thresholds(**{field: 12}))


def test_a_limit_that_is_left_out_is_off_whatever_the_connector_has() -> None:
    window = parse_rolling_window({"days": 0.5, "MaxPercentageDeletedLines": 2.5}, "here")

    assert window.days == 0.5
    assert window.resource_thresholds == Thresholds(max_percentage_deleted_lines=2.5)
    assert window.link_thresholds == Thresholds()


def test_zero_switches_a_limit_off_as_in_the_xml() -> None:
    assert parse_rolling_window({**WEEK, "MaximumInsertedLines": 0}, "here") == parse_rolling_window(WEEK, "")


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    assert refusal({**WEEK, "MaximumDeletedLine": 3}) == (
        "here: 'MaximumDeletedLine' is no name of a limit; did you mean MaximumDeletedLines?"
    )


def test_names_are_written_as_in_the_xml_for_it_takes_no_other_case() -> None:
    assert refusal({"days": 7, "maximumdeletedlines": 3}) == (
        "here: 'maximumdeletedlines' is no name of a limit; did you mean MaximumDeletedLines?"
    )
    assert "'Days' is no name of a limit; did you mean days?" in refusal(
        {"Days": 7, "MaximumDeletedLines": 3}
    )


@pytest.mark.parametrize("value", [-1, 1.5, 10.0, "5", None, True, [1], math.nan, 2**63])
def test_a_number_of_lines_is_a_whole_number(value: object) -> None:
    assert refusal({"days": 7, "MaximumDeletedLines": value}) == (
        f"here: MaximumDeletedLines cannot be {value!r}: expected a whole number, 0 or more"
    )


@pytest.mark.parametrize("value", [-0.1, "5", None, False, {}, math.nan, math.inf])
def test_a_percentage_is_a_number(value: object) -> None:
    assert refusal({"days": 7, "MaxPercentageDeletedLines": value}) == (
        f"here: MaxPercentageDeletedLines cannot be {value!r}: expected a number, 0 or more"
    )


@pytest.mark.parametrize("value", [0, -7, "7", None, True, math.nan, math.inf, 36_501, 10**400])
def test_days_are_a_positive_number(value: object) -> None:
    assert "here: days cannot be " in refusal({**WEEK, "days": value})
    assert "expected a number of days above 0, at most 36500" in refusal({**WEEK, "days": value})


def test_days_are_required() -> None:
    assert (
        refusal({"MaximumDeletedLines": 5})
        == "here: days is missing: how many days back does the window reach?"
    )


@pytest.mark.parametrize("limits", [{}, {"MaximumDeletedLines": 0}, {"MaxLinkPercentageDeletedLines": 0}])
def test_a_window_without_a_limit_is_refused(limits: dict[str, Any]) -> None:
    assert "no limit is set (0 is none)" in refusal({"days": 7, **limits})


def test_one_limit_under_both_names_is_refused() -> None:
    both = {"days": 7, "MaxLinkPercentageDeletedLines": 3, "MaxPercentageLinkDeletedLines": 4}

    assert refusal(both) == (
        "here: MaxLinkPercentageDeletedLines and MaxPercentageLinkDeletedLines are the same limit: keep one"
    )


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert refusal({"days": 0, "MaximumDeletedLines": -1, "Limit": 3}).splitlines() == [
        "here: 'Limit' is no name of a limit",
        "here: days cannot be 0: expected a number of days above 0, at most 36500",
        "here: MaximumDeletedLines cannot be -1: expected a whole number, 0 or more",
    ]


@pytest.mark.parametrize("value", [7, "7", None, [WEEK], True])
def test_a_window_is_an_object(value: object) -> None:
    assert "here: expected an object such as" in refusal(value)


# ------------------------------------------------------------------------------------------------------- by connector


@pytest.mark.parametrize("value", [{"HR": WEEK}, json.dumps({"HR": WEEK}), {" HR ": WEEK}])
def test_windows_by_connector_come_as_an_object_or_as_json_text(value: object) -> None:
    windows = parse_rolling_windows(value, "here")

    assert list(windows) == ["HR"]
    assert windows["hr"].resource_thresholds.maximum_deleted_lines == 500


@pytest.mark.parametrize("value", [None, "", "  ", "null", {}, "{}"])
def test_nothing_given_is_no_window(value: object) -> None:
    assert dict(parse_rolling_windows(value, "here")) == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "here: not JSON (line 1, column 2: "),
        ("[1]", "here: expected an object by connector"),
        (7, "here: expected an object by connector"),
        ('{"HR": {"days": 7, "days": 8}}', "here: days is there twice; keep one"),
        ('{"HR": 1, "HR": 2}', "here: HR is there twice; keep one"),
        ({"HR": WEEK, "hr": WEEK}, "here: connector hr is there twice; keep one"),
        ({"": WEEK}, "here: '' is no identifier of a connector"),
        ({7: WEEK}, "here: 7 is no identifier of a connector"),
        ("[" * 100_000, "here: "),
        ('{"HR": {"days": NaN, "MaximumDeletedLines": 1}}', "here, connector HR: days cannot be nan"),
    ],
)
def test_what_is_no_object_by_connector_is_refused(value: object, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_rolling_windows(value, "here")
    assert str(caught.value).startswith(message)


def test_every_wrong_window_is_named_with_its_connector() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_rolling_windows({"HR": {"days": 7}, "AD": WEEK, "SAP": 3}, "here")

    hr, sap = str(caught.value).splitlines()
    assert hr.startswith("here, connector HR: no limit is set")
    assert sap.startswith("here, connector SAP: expected an object")


def test_a_wrong_window_can_be_left_to_the_one_who_needs_it() -> None:
    windows = by_connector({"HR": "nonsense", "AD": WEEK}, "here")

    assert parse_rolling_window(windows["ad"], "here").days == 7


def test_a_window_of_a_connector_that_does_not_exist_is_refused_with_the_nearest_one() -> None:
    check_connectors(["hr"], ["HR", "AD"], "here")

    with pytest.raises(ConfigurationError) as caught:
        check_connectors(["HRR", "hr", "Zebra"], ["HR", "AD"], "here")

    assert str(caught.value).splitlines() == [
        "here: the configuration has no connector HRR; did you mean HR?",
        "here: the configuration has no connector Zebra",
    ]
