"""What importing the Marin packages needs and loads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
HEAVY = {"aiohttp", "gcsfs", "iris", "jax", "numpy", "pyarrow", "s3fs", "torch", "transformers", "vllm", "zephyr"}

IMPORT_EVERY_MODULE = """
import importlib, json, pkgutil, sys
from pathlib import Path

class BlockRay:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ray":
            # Not an ImportError, which an optional import would swallow.
            raise AssertionError("something imports ray")

sys.meta_path.insert(0, BlockRay())
source = Path(sys.argv[1])
imported = []
for init in sorted(source.rglob("__init__.py")):
    package = ".".join(init.parent.relative_to(source).parts)
    imported.append(importlib.import_module(package).__name__)
    for module in pkgutil.iter_modules([str(init.parent)], package + "."):
        imported.append(importlib.import_module(module.name).__name__)
print(json.dumps(imported))
"""


def import_every_module(source: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_EVERY_MODULE, str(source)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_imports_without_ray(package: str):
    source = ROOT / "packages" / package / "src"
    done = import_every_module(source)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for path in source.rglob("*.py")
    }


@pytest.mark.parametrize(
    "statement",
    [
        "import ray",
        "from ray import serve",
        "import importlib; importlib.import_module('ray.util')",
        "try:\n    import ray\nexcept ImportError:\n    ray = None",
    ],
)
def test_a_module_that_imports_ray_is_found(tmp_path: Path, statement: str):
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "__init__.py").write_text("")
    (tmp_path / "planted" / "leak.py").write_text(statement)
    done = import_every_module(tmp_path)
    assert done.returncode != 0
    assert "something imports ray" in done.stderr


def loaded_by(command: list[str]) -> set[str]:
    """Return the names of all modules that a fresh interpreter imports for `command`."""
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    environment.pop("MARIN_CLUSTER", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    imports = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert done.returncode == 0, "\n".join(line for line in done.stderr.splitlines() if line not in imports)
    return {line.rpartition("|")[2].strip() for line in imports}


MARIN = str(Path(sys.executable).with_name("marin"))
BUDGETS = {
    "connect": ([sys.executable, "-c", "import marin.cluster.connect"], "marin.cluster.connect", 300),
    "executor": ([sys.executable, "-c", "import marin.execution.executor"], "marin.execution.executor", 350),
    "plugins": ([sys.executable, "-c", "import marin.plugins.registry"], "marin.plugins.registry", 220),
    "help": ([MARIN, "--help"], "marin.cli.main", 250),
    "version": ([MARIN, "--version"], "marin.cli.main", 250),
}
"""Command, a module that it must load, and how many modules it may load at most (the standard library's included)."""


@pytest.mark.parametrize("name", BUDGETS)
def test_import_stays_light(name: str):
    command, expected, bound = BUDGETS[name]
    loaded = loaded_by(command)
    assert expected in loaded
    assert HEAVY.isdisjoint(loaded)
    assert len(loaded) <= bound


def test_a_heavy_import_is_found(tmp_path: Path):
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "planted.py").write_text("import torch")
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import planted"]
    assert not HEAVY.isdisjoint(loaded_by(command))
