"""Experiment scripts as their users run them: one process each."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from marin.execution.executor import ExecutorMainConfig, ExecutorStep, executor_main
from marin.execution.status import read_status

RunScript = Callable[..., subprocess.CompletedProcess[str]]

TWO_STEPS = """
first = ExecutorStep("raw/first", write, Config(versioned(1)))
second = ExecutorStep("second", write, Config([first / "out.txt"]))
if __name__ == "__main__":
    executor_main(steps=[second], description="two steps")
"""

BROKEN = """
broken = ExecutorStep("broken", fail, Config())
blocked = ExecutorStep("blocked", write, Config(broken))
other = ExecutorStep("other", write, Config(7))
executor_main(steps=[blocked, other])
"""


def outputs(tmp_path: Path, prefix: str = "outputs") -> list[str]:
    return sorted(path.parent.name for path in (tmp_path / prefix).rglob("out.txt"))


def test_the_first_run_works_and_the_second_is_cached(run_script: RunScript, tmp_path: Path) -> None:
    first = run_script(TWO_STEPS)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("2 steps: 2 run in ")
    assert first.stderr.splitlines()[0] == "2 steps: 2 to run, 0 cached"
    assert outputs(tmp_path) == ["first-1b138f", "second-bda7ed"]
    [record] = (tmp_path / "outputs" / "experiments").glob("experiment-??????.json")
    assert json.loads(record.read_text())["description"] == "two steps"

    second = run_script(TWO_STEPS)
    assert (second.returncode, second.stdout, second.stderr) == (0, "all 2 steps are cached\n", "")


def test_a_cached_run_loads_nothing_heavy(run_script: RunScript) -> None:
    body = TWO_STEPS + (
        "    heavy = ['rich', 'iris', 'zephyr', 'numpy', 'pyarrow', 'jax', 'cloudpickle', 's3fs']\n"
        "    print(sorted(set(heavy) & set(sys.modules)))\n"
    )
    run_script(body)
    assert run_script(body).stdout.splitlines() == ["all 2 steps are cached", "[]"]


def test_a_failure_is_told_without_a_traceback(run_script: RunScript, tmp_path: Path) -> None:
    result = run_script(BROKEN)
    assert result.returncode == 1
    assert result.stdout.startswith("3 steps: 1 run, 1 failed, 1 not run because of failures in ")
    lines = result.stderr.splitlines()
    line = next(index for index, text in enumerate(lines) if text.startswith("error:"))
    assert lines[line : line + 4] == [
        "error: step broken failed: ValueError: bad learning rate",
        "  raised at: experiment.py:21",
        "  traceback: outputs/broken-b9aa25/.executor_traceback",
        "  not run because of it: blocked",
    ]
    assert "Traceback" not in result.stderr
    assert "ValueError: bad learning rate" in (tmp_path / "outputs/broken-b9aa25/.executor_traceback").read_text()


def test_a_failure_of_an_earlier_run_can_stop_the_next(run_script: RunScript) -> None:
    run_script(BROKEN)
    result = run_script(BROKEN, "--force_run_failed", "false")
    assert result.returncode == 1
    assert result.stderr.startswith(
        "error: these steps failed earlier and force_run_failed is off: broken (status FAILED"
    )
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("flags", [["--dry_run"], ["--dry-run"], ["--dry_run", "true"], ["--dry_run=True"]])
def test_dry_run_prints_the_plan_and_writes_nothing(run_script: RunScript, tmp_path: Path, flags: list[str]) -> None:
    result = run_script(TWO_STEPS, *flags)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "step       state  reason         output path",
        "raw/first  run    no result yet  outputs/raw/first-1b138f",
        "second     run    no result yet  outputs/second-bda7ed",
    ]
    assert not (tmp_path / "outputs").exists()


def test_dry_run_false_runs(run_script: RunScript, tmp_path: Path) -> None:
    assert run_script(TWO_STEPS, "--dry_run", "false").returncode == 0
    assert len(outputs(tmp_path)) == 2


def test_json(run_script: RunScript, tmp_path: Path) -> None:
    plan = json.loads(run_script(BROKEN, "--dry_run", "--json").stdout)
    assert [(step["step"], step["state"]) for step in plan] == [("broken", "run"), ("blocked", "run"), ("other", "run")]
    assert plan[0]["output_path"] == str(tmp_path / "outputs/broken-b9aa25")

    result = run_script(BROKEN, "--json")
    assert result.returncode == 1
    value = json.loads(result.stdout)
    assert [(step["step"], step["state"]) for step in value["steps"]] == [
        ("broken", "failed"),
        ("blocked", "blocked"),
        ("other", "run"),
    ]
    assert value["steps"][0]["error"].startswith("ValueError: bad learning rate (")
    assert value["steps"][1]["error"] == "needs broken, which failed"
    assert Path(value["experiment"]).is_file()


@pytest.mark.parametrize(
    "arguments",
    [['["^raw", "nothing"]'], ["[^raw, nothing]"], ["^raw"], ["nothing", "--run-only", "first$"]],
)
def test_run_only(run_script: RunScript, tmp_path: Path, arguments: list[str]) -> None:
    result = run_script(TWO_STEPS, "--run_only", *arguments)
    assert result.returncode == 0, result.stderr
    assert outputs(tmp_path) == ["first-1b138f"]
    assert result.stdout.startswith("2 steps: 1 run, 1 not needed in ")


def test_prefixes(run_script: RunScript, tmp_path: Path) -> None:
    run_script(TWO_STEPS, "--prefix", "mine", "--executor_info_base_path", "records", MARIN_PREFIX="other")
    assert len(outputs(tmp_path, "mine")) == 2
    assert list((tmp_path / "records").glob("*.json"))
    run_script(TWO_STEPS, MARIN_PREFIX=str(tmp_path / "other"))
    assert len(outputs(tmp_path, "other")) == 2
    assert list((tmp_path / "other" / "experiments").glob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nope"], "No such option '--nope'"),
        (["--max_concurrent", "0"], "0 is not in the range"),
        (["--dry_run", "perhaps"], "'perhaps' is not a valid boolean"),
        (["--run_only", "("], "error: run_only: '(' is not a regular expression"),
        (["stray"], "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_status_2(run_script: RunScript, arguments: list[str], message: str) -> None:
    result = run_script(TWO_STEPS, *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_cluster_is_status_2(run_script: RunScript, tmp_path: Path) -> None:
    result = run_script(TWO_STEPS, "--cluster", "nowhere://host")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert "nowhere" in result.stderr
    assert outputs(tmp_path) == []


def test_a_wrong_experiment_is_status_2(run_script: RunScript) -> None:
    result = run_script('executor_main(steps=[ExecutorStep("../x", write, Config())])')
    assert (result.returncode, result.stderr) == (2, "error: step '../x': the name must not hold '..'\n")


def test_a_prefix_that_cannot_be_written_is_status_1(run_script: RunScript) -> None:
    result = run_script(TWO_STEPS, "--prefix", "/proc/marin")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: cannot write /proc/marin/experiments/experiment-")
    assert "run    raw/first" not in result.stderr


def test_help(run_script: RunScript) -> None:
    result = run_script(TWO_STEPS, "--help")
    assert result.returncode == 0
    for flag in ("--prefix", "--dry_run, --dry-run", "--run_only", "--cluster", "--json", "--max_concurrent"):
        assert flag in result.stdout


def test_ctrl_c_is_status_130_and_marks_what_ran(
    write_script: Callable[[str], Path], script_environment: dict[str, str], tmp_path: Path
) -> None:
    script = write_script("""
        import threading

        def wait(config):
            print("started", flush=True)
            threading.Event().wait()

        executor_main(steps=[ExecutorStep("waiting", wait, Config())])
    """)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=script_environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == 130
    assert error.splitlines()[-1].startswith("interrupted: ")
    assert "Traceback" not in error
    [status_file] = tmp_path.rglob(".executor_status")
    assert read_status(str(status_file.parent)) == "CANCELLED"


def test_the_kill_of_a_run_leaves_no_result(
    write_script: Callable[[str], Path], run_script: RunScript, script_environment: dict[str, str], tmp_path: Path
) -> None:
    body = """
        def write_half(config):
            (Path(config.output_path) / "out.txt").write_text("half")
            if "--prefix" not in sys.argv:
                print("started", flush=True)
                sys.stdin.read()
            write(config)

        executor_main(steps=[ExecutorStep("killed", write_half, Config("whole"))])
    """
    with subprocess.Popen(
        [sys.executable, str(write_script(body))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env=script_environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        os.kill(process.pid, signal.SIGKILL)
    [output] = tmp_path.rglob("out.txt")
    assert output.read_text() == "half"

    again = run_script(body, "--prefix", "outputs")
    assert again.stdout.startswith("1 step: 1 run in ")
    assert output.read_text() == "whole"


def test_a_script_writes_the_page_of_its_experiment(run_script: RunScript, tmp_path: Path) -> None:
    result = run_script('executor_main([ExecutorStep("broken", fail, Config())])')
    [page] = (tmp_path / "outputs/experiments").glob("*.html")
    assert f"page   outputs/experiments/{page.name}\n" in result.stderr
    assert "bad learning rate" in page.read_text()
    page.unlink()
    run_script('executor_main([ExecutorStep("a", write, Config())])', "--dry_run")
    assert not page.exists()


def test_a_program_may_give_the_config_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = ExecutorStep("a", None, None)
    executor_main(ExecutorMainConfig(prefix=str(tmp_path)), [step], "described")
    executor_main(config=ExecutorMainConfig(prefix=str(tmp_path)), steps=[step], max_concurrent=2)
    assert capsys.readouterr().out.splitlines()[1] == "the step is cached"


def test_steps_may_be_the_first_argument(run_script: RunScript, tmp_path: Path) -> None:
    assert run_script('executor_main([ExecutorStep("a", write, Config())])').returncode == 0
    assert len(outputs(tmp_path)) == 1


def test_code_after_a_run_that_works_is_reached(run_script: RunScript) -> None:
    result = run_script(TWO_STEPS + "    print('after')\n")
    assert result.stdout.splitlines()[-1] == "after"


def test_steps_of_a_script_run_as_jobs(run_script: RunScript) -> None:
    result = run_script(
        """
        from marin.resources.config import ResourceConfig

        executor_main(steps=[ExecutorStep("job", fail, Config(), resources=ResourceConfig(cpu=1))])
        """,
        "--cluster",
        "local",
    )
    assert result.returncode == 1
    assert "error: step job failed: ValueError: bad learning rate\n  raised at: experiment.py:21\n" in result.stderr
