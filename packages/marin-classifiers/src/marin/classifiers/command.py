"""Train a text classifier, score a corpus with it, keep the documents that pass."""

import contextlib
import json
from collections.abc import Callable, Generator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from marin.cli.output import console, json_option, print_json, print_table

if TYPE_CHECKING:
    from marin.classifiers.cards import ModelCard

_input_argument = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
_cluster_option = click.option(
    "--cluster",
    metavar="URL",
    help="Cluster to work on: local, iris-local, iris://HOST:PORT.  [default: $MARIN_CLUSTER]",
)
_workers_option = click.option("--max-workers", type=click.IntRange(min=1), default=4, show_default=True)
_columns = {
    "--id-column": "Key of a document's id.",
    "--text-column": "Key of its text.",
    "--source-column": "Key of its source.",
    "--label-column": "Key of its label.",
}


def _column_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            default = name.removeprefix("--").removesuffix("-column")
            command = click.option(name, default=default, show_default=True, help=_columns[name])(command)
        return command

    return add


@click.group()
def classify() -> None:
    """Train a text classifier, score a corpus with it, keep the documents that pass.

    INPUT is a file, a folder or a glob of JSON lines: {"id", "text", "source"}; .jsonl, .jsonl.gz or .jsonl.zst.
    """


@classify.command()
@_input_argument
@click.option("--output", required=True, metavar="FOLDER", help="Model folder to write.")
@click.option(
    "--backend", default="fasttext", show_default=True, help="Kind of classifier; `marin plugins` lists them."
)
@click.option("--positive-label", metavar="LABEL", help="Adds the best threshold for this label.")
@click.option(
    "--validation-fraction", type=float, default=0.1, show_default=True, help="Part held out to measure with."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the split and of the training.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="1 is reproducible.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Option of the back end; repeatable.")
@click.option("--on-bad-document", type=click.Choice(["fail", "skip"]), default="fail", show_default=True)
@_column_options("--id-column", "--text-column", "--label-column")
@json_option
def train(
    inputs: tuple[str, ...],
    output: str,
    backend: str,
    positive_label: str | None,
    validation_fraction: float,
    seed: int,
    threads: int,
    settings: tuple[str, ...],
    on_bad_document: Any,
    id_column: str,
    text_column: str,
    label_column: str,
    as_json: bool,
) -> None:
    """Train a classifier on labelled documents ({"id", "text", "label"}) and measure it on a held-out part."""
    from marin.classifiers.datasets import DatasetConfig
    from marin.classifiers.documents import DocumentColumns
    from marin.classifiers.protocol import TrainingConfig
    from marin.classifiers.training import train_classifier

    dataset = DatasetConfig(
        input_path=inputs,
        columns=DocumentColumns(id=id_column, text=text_column, label=label_column),
        validation_fraction=validation_fraction,
        seed=seed,
        on_bad_document=on_bad_document,
    )
    config = TrainingConfig(
        backend=backend,
        dataset=dataset,
        output_path=output,
        positive_label=positive_label,
        seed=seed,
        threads=threads,
        options=dict(map(_setting, settings)),
    )
    card = train_classifier(config)
    if as_json:
        print_json(asdict(card))
    else:
        _print_card(card, output)


@classify.command()
@_input_argument
@click.option("--model", required=True, metavar="FOLDER", help="Model folder of `marin classify train`.")
@click.option("--output", required=True, metavar="FOLDER", help="Folder of the attribute files.")
@click.option("--attribute", required=True, metavar="NAME", help="Name of the scores in the attribute files.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Documents of one call.")
@_workers_option
@_cluster_option
@click.option("--on-bad-document", type=click.Choice(["fail", "skip"]), default="fail", show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace earlier scores instead of going on from them.")
@_column_options("--id-column", "--text-column", "--source-column")
@json_option
def run(
    inputs: tuple[str, ...],
    model: str,
    output: str,
    attribute: str,
    batch_size: int,
    max_workers: int,
    cluster: str | None,
    on_bad_document: Any,
    overwrite: bool,
    id_column: str,
    text_column: str,
    source_column: str,
    as_json: bool,
) -> None:
    """Score every document with a model; one attribute file for each input file."""
    from marin.classifiers.documents import DocumentColumns
    from marin.processing.classification.config import ClassificationConfig
    from marin.processing.classification.inference import run_classification

    config = ClassificationConfig(
        input_path=inputs,
        output_path=output,
        model_path=model,
        attribute_name=attribute,
        columns=DocumentColumns(id=id_column, text=text_column, source=source_column),
        batch_size=batch_size,
        max_workers=max_workers,
        on_bad_document=on_bad_document,
        overwrite=overwrite,
    )
    with _on_cluster(cluster), _progress_bar("classifying", as_json):
        report = run_classification(config)
    if as_json:
        print_json(asdict(report))
        return
    print_table(["documents", "scored", "empty", "bad"], [[report.documents, report.scored, report.empty, report.bad]])
    written = len(report.files) - report.reused_files
    console().print(f"files: {written} written, {report.reused_files} kept from an earlier run; {report.output_path}")
    console().print(f"worker processes: {report.workers}, model loads: {report.model_loads}")


@classify.command()
@_input_argument
@click.option("--attributes", required=True, metavar="FOLDER", help="Attribute files of `marin classify run`.")
@click.option("--attribute", required=True, metavar="NAME", help="Name of the scores.")
@click.option("--label", required=True, help="Label whose probability counts.")
@click.option("--lower-threshold", type=float, help="Smallest probability that passes.")
@click.option("--upper-threshold", type=float, help="Largest probability that passes.")
@click.option("--output", required=True, metavar="FOLDER", help="Folder of the kept documents.")
@_workers_option
@_cluster_option
@_column_options("--id-column", "--text-column")
@json_option
def consolidate(
    inputs: tuple[str, ...],
    attributes: str,
    attribute: str,
    label: str,
    lower_threshold: float | None,
    upper_threshold: float | None,
    output: str,
    max_workers: int,
    cluster: str | None,
    id_column: str,
    text_column: str,
    as_json: bool,
) -> None:
    """Keep the documents whose scores pass; one output file for each input file."""
    from marin.classifiers.documents import DocumentColumns
    from marin.processing.classification.consolidate import ConsolidateConfig, ScoreFilter
    from marin.processing.classification.consolidate import consolidate as keep_passing

    score_filter = ScoreFilter(
        attributes_path=attributes,
        attribute_name=attribute,
        label=label,
        lower_threshold=lower_threshold,
        upper_threshold=upper_threshold,
    )
    config = ConsolidateConfig(
        input_path=inputs,
        output_path=output,
        filters=(score_filter,),
        columns=DocumentColumns(id=id_column, text=text_column),
        max_workers=max_workers,
    )
    with _on_cluster(cluster), _progress_bar("consolidating", as_json):
        report = keep_passing(config)
    if as_json:
        print_json(asdict(report))
        return
    dropped = report.documents - report.kept - report.unscored
    print_table(
        ["documents", "kept", "dropped", "unscored"], [[report.documents, report.kept, dropped, report.unscored]]
    )
    console().print(f"files: {len(report.files)}; {report.output_path}")


def _setting(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


@contextlib.contextmanager
def _on_cluster(url: str | None) -> Generator[None]:
    from marin.cluster.connect import connect, use_cluster

    if url is None:
        yield
        return
    with connect(url) as cluster, use_cluster(cluster):
        yield


@contextlib.contextmanager
def _progress_bar(what: str, as_json: bool) -> Generator[None]:
    """Show the finished files on a terminal, on standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from marin.cli.output import error_console
    from marin.execution.progress import progress_sink

    terminal = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True, disable=as_json or not terminal.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def show(done: int, total: int | None, unit: str) -> None:
            progress.update(task, completed=done, total=total, description=f"{what} {unit}")

        token = progress_sink.set(show)
        try:
            yield
        finally:
            progress_sink.reset(token)


def _print_card(card: "ModelCard", output: str) -> None:
    rows = [
        [label, card.data["train"].get(label), card.data["validation"].get(label), *_measures(measures)]
        for label, measures in card.metrics["labels"].items()
    ]
    print_table(["label", "train", "validation", "precision", "recall", "F1"], rows)
    positive = card.metrics.get("positive")
    if positive:
        precision, recall, f1 = _measures(positive)
        console().print(
            f"best threshold for {positive['label']}: {positive['threshold']:.4f} "
            f"(precision {precision}, recall {recall}, F1 {f1})"
        )
    skipped = f", {card.data['bad']} bad documents skipped" if card.data["bad"] else ""
    leaked = f", {card.data['leaked']} held-out duplicates left out" if card.data["leaked"] else ""
    console().print(f"accuracy {card.metrics['accuracy']:.4f}{skipped}{leaked}; model folder: {output}")


def _measures(measures: dict[str, float]) -> list[str]:
    return [f"{measures[name]:.4f}" for name in ("precision", "recall", "f1")]
