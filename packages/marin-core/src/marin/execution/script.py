"""Runs a script as Python itself would, inside this process."""

import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from marin.errors import MarinError, UsageError


class ScriptFailed(MarinError):
    """A script raised; the message is its traceback, without the frames of this package."""


def run_script(path: str, arguments: Sequence[str]) -> None:
    """Run the script at `path` as `__main__`, with `arguments` as its `sys.argv[1:]`.

    Raises:
        UsageError: there is no such file, it cannot be read, or it is not Python.
        ScriptFailed: it raised something that Marin has no message for.
        MarinError: what it raised, as it is.
        SystemExit: it called `sys.exit`.
    """
    script = Path(path)
    _check_syntax(script)
    shipped_argv, shipped_path = sys.argv, sys.path[0]
    sys.argv = [path, *arguments]
    sys.path[0] = str(script.resolve().parent)
    try:
        runpy.run_path(path, run_name="__main__")
    except MarinError:
        raise
    except Exception as error:
        raise ScriptFailed(_script_traceback(error, path)) from error
    finally:
        sys.argv, sys.path[0] = shipped_argv, shipped_path


def _check_syntax(script: Path) -> None:
    try:
        compile(script.read_bytes(), str(script), "exec")
    except OSError as error:
        raise UsageError(f"cannot read the script {script}: {error.strerror}") from error
    except SyntaxError as error:
        place = f"{script}, line {error.lineno}" if error.lineno else str(script)
        line = f": {error.text.strip()}" if error.text else ""
        raise UsageError(f"{place} is not valid Python: {error.msg}{line}") from error
    except ValueError as error:  # a null byte in the source
        raise UsageError(f"{script} is not valid Python: {error}") from error


def _script_traceback(error: Exception, path: str) -> str:
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != path:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames or error.__traceback__)).rstrip()
    return f"the script {path} raised {type(error).__name__}\n{text}"
