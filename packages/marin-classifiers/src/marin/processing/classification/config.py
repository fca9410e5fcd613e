"""What a classification reads, writes and may use."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from marin.classifiers.documents import ON_BAD_DOCUMENT, DocumentColumns, OnBadDocument
from marin.classifiers.validation import check
from marin.resources.config import ResourceConfig

MICRO_BATCH = 64
"""Default documents of one `predict` call: larger batches are no faster, and fastText blocks its worker meanwhile."""


def worker_resources() -> ResourceConfig:
    """What a worker asks for by default: one core, as threads do not speed up a classifier; processes do."""
    return ResourceConfig(cpu=1, ram="2g")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassificationConfig:
    """Scores for every document of a corpus.

    Raises:
        UsageError: a value is out of range.
    """

    input_path: str | Sequence[str]
    """Files, folders or globs of documents."""
    output_path: str
    """Folder of the attribute files, one for each input file with the same relative path, order and rows."""
    model_path: str
    """Model folder; its card names the back end."""
    attribute_name: str
    """Name of the scores: a row's are at `attributes.<attribute_name>.<label>`."""
    columns: DocumentColumns = field(default_factory=DocumentColumns)
    """Where a document's parts are found."""
    batch_size: int = MICRO_BATCH
    """Documents of one `predict` call; it changes no score."""
    max_workers: int = 4
    """Most workers at once; never more than there are files to read."""
    resources: ResourceConfig = field(default_factory=worker_resources)
    """What each worker asks of the cluster; its memory must hold the model."""
    on_bad_document: OnBadDocument = "fail"
    """A document that cannot be read fails the run, or becomes a row with null scores and the reason."""
    overwrite: bool = False
    """Remove earlier outputs first, instead of going on from them."""

    def __post_init__(self) -> None:
        check("attribute_name", self.attribute_name, bool, "a name")
        check("batch_size", self.batch_size, lambda size: size >= 1, "at least 1")
        check("max_workers", self.max_workers, lambda workers: workers >= 1, "at least 1")
        check("on_bad_document", self.on_bad_document, lambda way: way in ON_BAD_DOCUMENT, "'fail' or 'skip'")
