import dataclasses
import json
import os
import subprocess
import sys

from marin.execution.holders import Holder


def test_this_process_lives() -> None:
    current = Holder.current()
    assert current.pid == os.getpid()
    assert not current.is_dead()
    assert Holder(**current.to_json()) == current
    assert str(current) == f"process {os.getpid()} on {current.host}"


def test_a_process_that_has_ended_is_dead() -> None:
    code = "import json; from marin.execution.holders import Holder; print(json.dumps(Holder.current().to_json()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ended = Holder(**json.loads(result.stdout))
    assert ended.is_dead()


def test_a_process_id_that_is_used_again_is_another_process() -> None:
    current = Holder.current()
    assert dataclasses.replace(current, started=current.started + 1).is_dead()


def test_of_a_process_elsewhere_or_unknown_nothing_is_known() -> None:
    gone = dataclasses.replace(Holder.current(), started=Holder.current().started + 1)
    for changes in ({"machine": "another"}, {"machine": ""}, {"started": 0}):
        assert not dataclasses.replace(gone, **changes).is_dead()
