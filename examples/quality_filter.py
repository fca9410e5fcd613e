"""A quality filter over real text, from collecting the documents to a report, as an experiment of six steps.

    marin run examples/quality_filter.py                          in this process
    marin run examples/quality_filter.py --cluster iris-local     on a real cluster, in worker processes

The text is what every Python installation carries: documentation and docstrings (prose, wanted) against source code,
tables, data files and licences (the rest). Run it again and every step is cached.
"""

import ast
import hashlib
import json
import os
import platform
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from marin.classifiers.cards import read_card
from marin.classifiers.datasets import DatasetConfig
from marin.classifiers.protocol import TrainingConfig
from marin.classifiers.training import train_classifier
from marin.execution.executor import THIS_OUTPUT_PATH, ExecutorStep, executor_main, output_path_of, versioned
from marin.execution.progress import report_progress
from marin.processing.classification.config import ClassificationConfig
from marin.processing.classification.consolidate import ConsolidateConfig, ScoreFilter, consolidate
from marin.processing.classification.inference import run_classification
from marin.processing.classification.page import PageConfig, write_page
from marin.resources.config import ResourceConfig
from marin.storage import expand, join, open_atomic, open_read

SHARDS = 8
MIN_CHARACTERS = 200
MAX_CHARACTERS = 4_000

# ---------------------------------------------------------------------------------------------------------------------
# 1. Collect: documents with a stable id, sharded by its hash.


@dataclass(frozen=True, kw_only=True)
class CollectConfig:
    """What to collect from the Python installation that runs this."""

    output_path: str = THIS_OUTPUT_PATH
    documents_per_kind: int = 4_000
    python: str = platform.python_version()


def collect(config: CollectConfig) -> None:
    """Write documents of this Python installation as JSON lines, in shards."""
    shards: list[list[str]] = [[] for _ in range(SHARDS)]
    wanted = dict.fromkeys(KINDS, config.documents_per_kind)
    files = sorted(_installed_files(), key=lambda file: _hash(file[0]))  # no package comes first
    for position, (name, path) in enumerate(files):
        if position % 100 == 0:
            report_progress(position, len(files), "files")
        if path.suffix == ".py" and not wanted["code"] and not wanted["docstring"]:
            continue
        for number, (kind, text) in enumerate(_documents(path)):
            if wanted[kind]:
                wanted[kind] -= 1
                document = {"id": f"{name}#{number}", "text": text[:MAX_CHARACTERS], "source": kind}
                shards[_hash(name) % SHARDS].append(json.dumps(document))
    for index, lines in enumerate(shards):
        with open_atomic(join(config.output_path, f"documents-{index:02}-of-{SHARDS:02}.jsonl.gz")) as stream:
            stream.write("".join(f"{line}\n" for line in lines).encode())


def _hash(name: str) -> int:
    """A number that is the same on every machine, unlike that of `hash`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


def _installed_files() -> Iterator[tuple[str, Path]]:
    """Text files of the standard library and of the installed packages, each with a name that no machine changes."""
    for place in ("stdlib", "purelib"):
        root = Path(sysconfig.get_path(place))
        for path in root.rglob("*"):
            name = path.relative_to(root)
            nested = place == "stdlib" and name.parts[0] == "site-packages"
            if path.suffix not in SKIPPED_ENDINGS and not nested and path.is_file() and path.stat().st_size < 300_000:
                yield f"{place}/{name}", path


def _documents(path: Path) -> list[tuple[str, str]]:
    """The documents of a file, as pairs of kind and text; none if it is not text."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    found = _python_documents(text) if path.suffix == ".py" else _file_documents(path, text)
    return [(kind, text.strip()) for kind, text in found if len(text.strip()) >= MIN_CHARACTERS]


def _python_documents(source: str) -> Iterator[tuple[str, str]]:
    """Docstrings, and the code without them."""
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    lines = source.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield "docstring", docstring
                place = node.body[0]
                for number in range(place.lineno - 1, place.end_lineno or place.lineno):
                    lines[number] = ""
    code = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    for start in range(0, len(code), 60):
        yield "code", "\n".join(code[start : start + 60])


def _file_documents(path: Path, text: str) -> Iterator[tuple[str, str]]:
    if any(word in path.name.lower() for word in ("license", "licence", "copying", "notice")):
        yield "licence", text
    elif path.name == "METADATA":
        yield "readme", text.partition("\n\n")[2]
    elif path.suffix in (".rst", ".md"):
        yield "readme", text
    elif path.suffix in (".csv", ".tsv") or path.name == "RECORD":
        yield "table", text
    elif path.suffix in (".json", ".xml", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".proto", ".css", ".js", ".pyi"):
        yield "data", text


KINDS = ("docstring", "readme", "code", "table", "data", "licence")
PROSE = ("docstring", "readme")
SKIPPED_ENDINGS = (".pyc", ".so", ".a", ".exe", ".gz", ".png", ".whl")

# ---------------------------------------------------------------------------------------------------------------------
# 2. Label a sample: prose is high quality.


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """Which documents to label, and how."""

    input_path: str
    output_path: str = THIS_OUTPUT_PATH
    sample: float = 0.5


def label(config: LabelConfig) -> None:
    """Label a sample of the documents, chosen by the hash of their ids: `hq` for prose, `lq` for the rest."""
    files = expand(join(config.input_path, "*.jsonl.gz"))
    for position, path in enumerate(files):
        report_progress(position, len(files), "shards")
        output = join(config.output_path, path.rsplit("/", 1)[-1])
        with open_read(path) as lines, open_atomic(output) as labelled:
            for line in lines:
                document = json.loads(line)
                if _hash(document["id"]) < 2**64 * config.sample:
                    document["label"] = "hq" if document["source"] in PROSE else "lq"
                    labelled.write(json.dumps(document).encode() + b"\n")


# ---------------------------------------------------------------------------------------------------------------------
# 6. Report. Steps 3 to 5 (train, classify, keep what passes) are functions of marin-classifiers.


def report(config: PageConfig) -> None:
    """Write the page, and say the most important of it on the terminal."""
    page = write_page(config)
    measured = read_card(config.model_path).metrics["labels"][config.label]
    print(
        f"validation: precision {measured['precision']:.3f}, recall {measured['recall']:.3f}, F1 {measured['f1']:.3f}\n"
        f"report: {page.removeprefix(os.getcwd() + os.sep)}",
        file=sys.stderr,
    )


# ---------------------------------------------------------------------------------------------------------------------
# The experiment: what each step needs, and what identifies it.

ON_A_WORKER = ResourceConfig(cpu=1, ram="2g")


def experiment() -> ExecutorStep:
    """The last step, which needs all the others."""
    documents = ExecutorStep(
        name="quality/documents",
        description="Text of this Python installation, from prose to tables",
        fn=collect,
        config=CollectConfig(documents_per_kind=versioned(4_000), python=versioned(platform.python_version())),
        resources=ON_A_WORKER,
    )
    labelled = ExecutorStep(
        name="quality/labelled",
        description="A sample of the documents with labels",
        fn=label,
        config=LabelConfig(input_path=output_path_of(documents), sample=versioned(0.5)),
        resources=ON_A_WORKER,
    )
    model = ExecutorStep(
        name="quality/model",
        description="A fastText classifier",
        fn=train_classifier,
        config=TrainingConfig(
            backend=versioned("fasttext"),
            dataset=DatasetConfig(input_path=output_path_of(labelled), validation_fraction=versioned(0.2)),
            output_path=THIS_OUTPUT_PATH,
            positive_label="hq",
            options={"epoch": versioned(5), "word_ngrams": versioned(1)},
        ),
        resources=ON_A_WORKER,
    )
    scores = ExecutorStep(
        name="quality/scores",
        description="The score of every document",
        fn=run_classification,
        config=ClassificationConfig(
            input_path=output_path_of(documents),
            output_path=THIS_OUTPUT_PATH,
            model_path=output_path_of(model),
            attribute_name="quality",
            max_workers=2,
        ),
    )
    kept = ExecutorStep(
        name="quality/kept",
        description="The documents that pass",
        fn=consolidate,
        config=ConsolidateConfig(
            input_path=output_path_of(documents),
            output_path=THIS_OUTPUT_PATH,
            filters=[
                ScoreFilter(
                    attributes_path=output_path_of(scores),
                    attribute_name="quality",
                    label="hq",
                    lower_threshold=versioned(0.5),
                )
            ],
            max_workers=2,
        ),
    )
    return ExecutorStep(
        name="quality/report",
        description="A page about all of it",
        fn=report,
        config=PageConfig(
            title="Prose of a Python installation",
            documents_path=output_path_of(documents),
            attributes_path=output_path_of(scores),
            attribute_name="quality",
            kept_path=output_path_of(kept),
            model_path=output_path_of(model),
            label="hq",
            threshold=versioned(0.5),
            output_path=THIS_OUTPUT_PATH,
        ),
    )


if __name__ == "__main__":
    executor_main(steps=[experiment()], description="Keep the prose of a Python installation")
