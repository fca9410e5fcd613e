"""Snakemake on two cores, called in this process: one rule, whose command is the body."""

import os
from pathlib import Path

from measured import CHAIN, OUTPUT, measure
from snakemake.cli import main

RULES = """
rule all:
    input: expand("{output}-{{index}}.txt", index=range({size}))

rule step:
    input: {waits_for}
    output: "{output}-{{index}}.txt"
    shell: "echo done > {{output}}"
"""


def run(shape: str, size: int, folder: Path) -> None:
    """Write the workflow and run it in `folder`."""
    previous = f'lambda wanted: f"{OUTPUT}-{{int(wanted.index) - 1}}.txt" if int(wanted.index) else []'
    rules = RULES.format(output=OUTPUT, size=size, waits_for=previous if shape == CHAIN else "")
    (folder / "Snakefile").write_text(rules)
    os.chdir(folder)
    try:
        main(["--cores", "2", "--quiet", "all"])
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"snakemake has ended with {end.code}") from end


if __name__ == "__main__":
    measure(run, "snakemake")
