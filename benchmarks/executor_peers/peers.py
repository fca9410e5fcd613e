"""The programs that are compared, and the environment that each gets for itself."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

_MARIN = "0.2.227.dev40316220070"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A program that runs steps."""

    key: str
    """What `--peers` calls it."""
    title: str
    """What tables call it."""
    script: str
    """Beside this file."""
    requirements: tuple[str, ...] = ()
    """What its environment holds; none means the workspace's."""
    without_dependencies: tuple[str, ...] = ()
    """What is installed after that, alone."""
    keeps_results: bool = True
    """Whether a second run can find that there is nothing to do."""
    too_long_chain: int | None = None
    """Steps of a chain that is known to be too long for it, where there is one."""

    def make_environment(self, folder: Path) -> Path:
        """Its interpreter, in an environment of its own under `folder` that is made where it is missing.

        Raises:
            CalledProcessError: something cannot be installed.
        """
        if not self.requirements:
            return Path(sys.executable)
        wanted = repr((sys.version_info[:3], self.requirements, self.without_dependencies))
        environment = folder / f"{self.key}-{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"
        python = environment / "bin/python"
        complete = environment / "complete"
        if complete.exists():
            return python
        _uv("venv", "--clear", "--python", sys.executable, str(environment))
        _uv("pip", "install", "--python", str(python), "--compile-bytecode", *self.requirements)
        if self.without_dependencies:
            _uv("pip", "install", "--python", str(python), "--no-deps", *self.without_dependencies)
        complete.touch()
        return python


def _uv(*arguments: str) -> None:
    # `uv run` says where it is; in a folder without a pinned Python, a shim of that name may not run.
    subprocess.run([os.environ.get("UV", "uv"), *arguments, "--quiet"], check=True)


PEERS = (
    Peer(key="call", title="the bodies alone", script="run_call.py", keeps_results=False),
    Peer(key="raw", title="raw files", script="run_raw.py"),
    Peer(key="marin", title="**marin.execution**", script="run_marin.py"),
    Peer(key="doit", title="doit", script="run_doit.py", requirements=("doit==0.37.0",)),
    Peer(key="joblib", title="joblib.Memory", script="run_joblib.py", requirements=("joblib==1.6.0",)),
    Peer(key="snakemake", title="Snakemake", script="run_snakemake.py", requirements=("snakemake==9.27.1",)),
    Peer(key="redun", title="redun", script="run_redun.py", requirements=("redun==0.44.1",)),
    Peer(
        key="marin-pypi",
        title="marin-core of PyPI",
        script="run_marin_pypi.py",
        requirements=(
            f"marin-fray=={_MARIN}",
            f"marin-iris[controller]=={_MARIN}",
            f"marin-rigging=={_MARIN}",
            f"marin-zephyr=={_MARIN}",
            "marin-finelog==0.2.71.dev40003900277",
            "jax==0.11.1",
            "numpy",
            "draccus",
            "pydantic",
            "fsspec",
        ),
        without_dependencies=(f"marin-core=={_MARIN}",),
        too_long_chain=200,
    ),
)
"""In the order of the tables."""
