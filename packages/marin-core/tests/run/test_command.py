"""`marin run`: scripts in this process, commands as jobs, mistakes in one line."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def marin(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "marin.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **variables},
        timeout=100,
        check=False,
    )


def test_a_script_runs_as_python_would_run_it(tmp_path: Path):
    (tmp_path / "beside.py").write_text("VALUE = 7\n")
    (tmp_path / "script.py").write_text(
        "import sys, beside\nif __name__ == '__main__':\n    print(sys.argv, __file__, beside.VALUE)\n"
    )
    result = marin("run", "script.py", "--flag", "x", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "['script.py', '--flag', 'x'] script.py 7\n"), result.stderr


def test_the_script_works_with_the_cluster_that_was_named(tmp_path: Path):
    (tmp_path / "script.py").write_text("from marin.cluster.connect import current_cluster\nprint(current_cluster())\n")
    result = marin("run", "--cluster", "local", "script.py", cwd=tmp_path, MARIN_CLUSTER="nowhere")
    assert result.stdout == "Cluster('local')\n", result.stderr


def test_the_status_of_a_script_is_kept(tmp_path: Path):
    (tmp_path / "script.py").write_text("import sys\nsys.exit(7)\n")
    assert marin("run", "script.py", cwd=tmp_path).returncode == 7


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = = 3\n", "error: script.py, line 1 is not valid Python: invalid syntax: x = = 3\n"),
        ("def f(:\n", "error: script.py, line 1 is not valid Python"),
        ("x = '\0'\n", "error: script.py"),
    ],
)
def test_a_syntax_error_is_one_line(tmp_path: Path, source: str, message: str):
    (tmp_path / "script.py").write_text(source)
    result = marin("run", "script.py", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    assert "Traceback" not in result.stderr


def test_a_script_that_raises_shows_its_own_frames_only(tmp_path: Path):
    (tmp_path / "script.py").write_text("def f():\n    raise ValueError('boom')\n\nf()\n")
    result = marin("run", "script.py", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("error: the script script.py raised ValueError\n")
    assert result.stderr.endswith("ValueError: boom\n")
    assert "runpy" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("none.py",), 2, "cannot read the script none.py: No such file or directory"),
        (("--cluster", "slurm://x", "script.py"), 2, "no cluster back end serves 'slurm://x'"),
        (("--cluster", "iris://127.0.0.1:9", "script.py"), 4, "no Iris controller answers at iris://127.0.0.1:9"),
        (("--", "no-such-command"), 1, "cannot start 'no-such-command': No such file or directory"),
        ((), 2, "Missing argument"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: tuple[str, ...], status: int, message: str):
    (tmp_path / "script.py").write_text("")
    result = marin("run", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (status, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_command_runs_as_a_job(tmp_path: Path):
    result = marin("run", "--", "bash", "-c", "echo out; exit 5", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (5, "out\n")
    assert "exit status 5" in result.stderr


@pytest.mark.cluster
def test_a_command_runs_on_a_real_cluster(tmp_path: Path):
    result = marin(
        "run",
        "--cluster",
        "iris-local?workers=1",
        "--",
        "bash",
        "-c",
        "echo $0 $1; exit 5",
        "a",
        "/tmp/b",
        cwd=tmp_path,
    )
    assert (result.returncode, result.stdout) == (5, "a /tmp/b\n"), result.stderr


def interrupt_when_ready(*arguments: str, cwd: Path) -> tuple[int, str]:
    """Start `marin run`, send it Ctrl-C when it prints `ready`; its exit status and what it says of it."""
    command = [sys.executable, "-m", "marin.cli", "run", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_ctrl_c_stops_the_command(tmp_path: Path):
    assert interrupt_when_ready("--", "bash", "-c", "echo ready; sleep 600", cwd=tmp_path) == (130, "interrupted\n")


def test_ctrl_c_ends_a_script_that_waits_for_a_job(tmp_path: Path):
    (tmp_path / "script.py").write_text(
        "import threading\n"
        "from fray.types import Entrypoint\n"
        "from marin.cluster.connect import current_cluster\n"
        "from marin.cluster.jobs import JobSpec\n"
        "def body():\n"
        "    print('ready', flush=True)\n"
        "    threading.Event().wait()\n"
        "current_cluster().submit(JobSpec(name='x', entrypoint=Entrypoint.from_callable(body))).wait()\n"
    )
    assert interrupt_when_ready("script.py", cwd=tmp_path) == (130, "interrupted\n")
