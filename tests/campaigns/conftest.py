"""The tiny run of the trainer's tests, on which the campaigns work."""

from tests.trainer.conftest import (  # noqa: F401 (fixtures)
    command_line,
    corpus_folder,
    other_corpus_folder,
    reference,
    tiny_config,
    train_here,
    two_replicas,
)
