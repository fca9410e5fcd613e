import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from marin.execution.executor import Executor
from marin.execution.status import StatusEvent, StepStatus, read_log, write_event

RunScript = Callable[..., subprocess.CompletedProcess[str]]

SCRIPT_HEAD = """
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marin.execution.executor import THIS_OUTPUT_PATH, ExecutorStep, executor_main, versioned


@dataclass(frozen=True)
class Config:
    value: Any = None
    output_path: str = THIS_OUTPUT_PATH


def write(config):
    (Path(config.output_path) / "out.txt").write_text(str(config.value))


def fail(config):
    raise ValueError("bad learning rate")
"""


def write_status(output_path: str, status: StepStatus, message: str | None = None) -> None:
    """Add an event to a status file, as a step that ended would have left it."""
    write_event(output_path, read_log(output_path), StatusEvent.now(status, message=message))


@pytest.fixture
def set_status() -> Callable[..., None]:
    """Sets the status of an output: `set_status(output_path, status, message=None)`."""
    return write_status


@pytest.fixture
def executor(tmp_path: Path) -> Executor:
    return Executor(str(tmp_path / "prefix"))


@pytest.fixture
def write_script(tmp_path: Path) -> Callable[[str], Path]:
    """Writes an experiment script: a common head, then the given body."""

    def write(body: str) -> Path:
        script = tmp_path / "experiment.py"
        script.write_text(SCRIPT_HEAD + textwrap.dedent(body))
        return script

    return write


@pytest.fixture
def script_environment() -> dict[str, str]:
    """The environment of a script: nothing of what the caller has set for Marin."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MARIN_")}


@pytest.fixture
def run_script(tmp_path: Path, write_script: Callable[[str], Path], script_environment: dict[str, str]) -> RunScript:
    """Runs an experiment script as a process of its own, in `tmp_path`."""

    def run(body: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(write_script(body)), *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**script_environment, **environment},
            check=False,
        )

    return run
