import json

import pytest

from marin.execution.page.data import PageData, StepData, dump_json
from marin.execution.status import StepStatus

PAGE_KEYS = ["title", "description", "prefix", "record", "generated", "live", "provenance", "steps"]
STEP_KEYS = [
    *["id", "name", "state", "cached", "output_path", "dependencies", "started", "ended", "seconds", "attempts"],
    *["description", "fn_name", "config", "changes", "error", "traceback", "owner", "jobs", "files"],
]


def test_the_json_has_exactly_the_keys_that_the_page_reads(make_page, make_step) -> None:
    value = make_page(make_step(0)).to_json()
    assert list(value) == PAGE_KEYS
    assert list(value["steps"][0]) == STEP_KEYS


def test_the_json_holds_what_was_given(make_page, make_step) -> None:
    step = make_step(
        1,
        state=StepStatus.FAILED,
        dependencies=(0,),
        seconds=1.5,
        config={"lr": 0.2, "layers": [1, 2], "text": None},
        changes=("lr: 0.1 -> 0.2",),
        jobs=("job-1",),
        files={"log": "/prefix/step-1/.executor_log"},
    )
    page = make_page(make_step(0), step, provenance={"git_dirty": True, "packages": {"marin-core": "1.0.0"}})
    value = json.loads(dump_json(page.to_json()))
    assert value["provenance"] == {"git_dirty": True, "packages": {"marin-core": "1.0.0"}}
    failed = value["steps"][1]
    assert failed["state"] == "FAILED"
    assert failed["dependencies"] == [0]
    assert failed["config"] == {"lr": 0.2, "layers": [1, 2], "text": None}
    assert failed["changes"] == ["lr: 0.1 -> 0.2"]
    assert failed["jobs"] == ["job-1"]
    assert failed["files"] == {"log": "/prefix/step-1/.executor_log"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**53 - 1, 2**53 - 1),
        (2**63, "9223372036854775808"),
        (-(2**53), "-9007199254740992"),
        (True, True),
        ([{"deep": (float("inf"),)}], [{"deep": ["inf"]}]),
        ({1: "a"}, {"1": "a"}),
    ],
)
def test_numbers_that_a_browser_would_not_read_exactly_are_strings(make_page, make_step, value, expected) -> None:
    text = dump_json(make_page(make_step(0, config=value)).to_json())
    assert json.loads(text)["steps"][0]["config"] == expected


def test_text_that_cannot_be_encoded_is_carried_all_the_same(make_page, make_step) -> None:
    text = dump_json(make_page(make_step(0, name="cut \ud83d off")).to_json())
    assert text.isascii()
    assert json.loads(text)["steps"][0]["name"] == "cut \ud83d off"


def test_page_and_step_cannot_be_changed(make_page, make_step) -> None:
    for value in (make_page(), make_step(0)):
        assert isinstance(value, PageData | StepData)
        with pytest.raises(AttributeError, match="cannot assign"):
            value.description = "other"
