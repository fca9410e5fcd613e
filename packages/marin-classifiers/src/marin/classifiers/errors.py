"""What goes wrong with classifiers and their data.

marin.errors.UsageError       exit code 2
├── InputError                no input, or inputs that do not fit together
├── DocumentError             a document cannot be used; names the file and the line
├── DatasetError              the labelled documents cannot train a classifier
└── ModelError                a model folder is missing, incomplete, damaged or of another version
marin.errors.MarinError       exit code 1
├── TrainingError             the training itself failed
└── ClassificationError       the workers failed
marin.errors.MissingRequirementError
└── FastTextInstallError      exit code 3: fastText is missing, or the installed one returns wrong scores
"""

from marin.errors import MarinError, MissingRequirementError, UsageError


class InputError(UsageError):
    """No input files, or inputs that cannot be mapped to outputs; names the path."""


class DocumentError(UsageError):
    """A document cannot be used; the message starts with `file:line`."""


class DatasetError(UsageError):
    """The labelled documents cannot train a classifier: none, one class, or nothing to validate on."""


class ModelError(UsageError):
    """A model folder is missing, incomplete or damaged, or lacks what is asked of it."""


class TrainingError(MarinError):
    """The training failed on data that looked right; the message says what to change."""


class ClassificationError(MarinError):
    """The workers that read and write the files failed for good."""


class FastTextInstallError(MissingRequirementError):
    """The `fasttext` module is missing, claimed by two distributions, or returns wrong scores."""
