"""Code samples in the documents run, and print what the documents say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPLE = re.compile(r"```python\n(?P<code>.*?)```\n\n```\n(?P<output>.*?)```", re.DOTALL)


def samples(name: str) -> list[re.Match[str]]:
    return list(SAMPLE.finditer((ROOT / name).read_text()))


def check(sample: re.Match[str], folder: Path) -> None:
    (folder / "sample.py").write_text(sample["code"])
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MARIN_")}
    result = subprocess.run(
        [sys.executable, "sample.py"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=variables,
        timeout=100,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, sample["output"]), result.stderr


def test_the_readme(tmp_path: Path):
    (sample,) = samples("README.md")
    check(sample, tmp_path)


@pytest.mark.cluster
def test_the_page_on_clusters(tmp_path: Path):
    (sample,) = samples("docs/cluster.md")
    check(sample, tmp_path)
