import json
from collections.abc import Callable

import pytest

from marin.execution.errors import PlanError
from marin.execution.failures import Failure


def failure_of(function: Callable[[], None]) -> Failure:
    with pytest.raises((Exception, SystemExit)) as caught:
        function()
    return Failure.of(caught.value)


def test_the_location_is_the_deepest_frame_of_the_user() -> None:
    def parse() -> None:
        json.loads("{")

    failure = failure_of(parse)
    assert failure.location == f"{__file__}:{parse.__code__.co_firstlineno + 1}"
    assert failure.error_line().startswith("JSONDecodeError: Expecting property name")
    assert "json/decoder.py" in failure.traceback
    assert failure.summary() == f"{failure.error_line()} ({failure.location})"


def test_an_error_without_a_message_is_its_type() -> None:
    def leave() -> None:
        raise SystemExit

    assert failure_of(leave).error_line() == "SystemExit"


def test_without_frames_there_is_no_location() -> None:
    failure = Failure.of(PlanError("never raised"))
    assert failure.location is None
    assert failure.summary() == "PlanError: never raised"


def test_it_survives_json() -> None:
    failure = Failure.of(ValueError("é"))
    assert Failure.from_json(json.loads(json.dumps({"attempt": "x", **failure.to_json()}))) == failure
