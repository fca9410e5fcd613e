"""Scripts run inside this process, and what is left of them afterwards."""

import sys
from pathlib import Path

import pytest

from marin.errors import MarinError, UsageError
from marin.execution.script import ScriptFailed, run_script


def test_the_script_sees_itself_and_its_folder_and_leaves_no_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "neighbour_of_the_script.py").write_text("VALUE = 7\n")
    script = tmp_path / "script.py"
    script.write_text("import sys, neighbour_of_the_script as n\nprint(__name__, sys.argv[1:], n.VALUE)\n")
    before = (list(sys.argv), list(sys.path))
    monkeypatch.delitem(sys.modules, "neighbour_of_the_script", raising=False)
    run_script(str(script), ["--flag", "x"])
    assert capsys.readouterr().out == "__main__ ['--flag', 'x'] 7\n"
    assert (list(sys.argv), list(sys.path)) == before


def test_what_it_raises_is_shown_from_its_first_frame_on(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text("def f():\n    raise KeyError('k')\n\nf()\n")
    with pytest.raises(ScriptFailed) as caught:
        run_script(str(script), [])
    lines = str(caught.value).splitlines()
    assert lines[:2] == [f"the script {script} raised KeyError", "Traceback (most recent call last):"]
    assert lines[2] == f'  File "{script}", line 4, in <module>'
    assert lines[-1] == "KeyError: 'k'"
    assert isinstance(caught.value.__cause__, KeyError)


def test_errors_with_a_message_of_their_own_pass(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text("from marin.errors import UsageError\nraise UsageError('say which')\n")
    with pytest.raises(UsageError, match=r"^say which$"):
        run_script(str(script), [])


def test_its_exit_status_passes(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text("import sys\nsys.exit(7)\n")
    with pytest.raises(SystemExit) as caught:
        run_script(str(script), [])
    assert caught.value.code == 7


@pytest.mark.parametrize("source", [b"def f(:\n", b"x = '\x00'\n", b"# coding: nowhere\n", b"x = '\xff'\n"])
def test_what_is_not_python_is_named(tmp_path: Path, source: bytes):
    script = tmp_path / "script.py"
    script.write_bytes(source)
    with pytest.raises(MarinError, match=r"script\.py.* is not valid Python") as caught:
        run_script(str(script), [])
    assert caught.value.exit_code == 2
