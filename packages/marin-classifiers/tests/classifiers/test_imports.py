import subprocess
import sys

import pytest

HEAVY = {
    "fasttext",
    "iris",
    "jax",
    "numpy",
    "polars",
    "pyarrow",
    "ray",
    "s3fs",
    "torch",
    "transformers",
    "vllm",
    "zephyr",
}


@pytest.mark.parametrize(
    "module",
    [
        "marin.classifiers.command",
        "marin.classifiers.fasttext.backend",
        "marin.classifiers.testing",
        "marin.processing.classification.consolidate",
        "marin.processing.classification.inference",
    ],
)
def test_modules_load_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in sys.modules if '.' not in name))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)
