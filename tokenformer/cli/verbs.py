"""The verbs: each is the options of one function of the package, and calls it.

A docstring is the help of its verb, and the sentence under a field the help of its option. The functions are imported
when a verb runs, so that help and wrong command lines do not wait for torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, Suppress, UseAppendAction, arg, subcommand

from tokenformer.cli.arguments import Assignments, BatchSize, LanguageParameters, Paths, Tasks, Verified
from tokenformer.cli.run_verbs import Config, Plan, Train, prepared_run
from tokenformer.console import printable, show
from tokenformer.corpora.options import CodeCorpusOptions, FormalCorpusOptions
from tokenformer.data.options import PrepareOptions
from tokenformer.data.reading import Unit
from tokenformer.errors import UserError
from tokenformer.evaluation.runners.options import EvaluationOptions, GenerateOptions, ModelSource
from tokenformer.experiments.options import CompareOptions
from tokenformer.files import refuse_to_replace
from tokenformer.reports.options import ScoreOptions
from tokenformer.trainer.growing.options import GrowOptions


@dataclass(frozen=True)
class Bible:
    """Write the Bible in Basic, modern and 1611 English (extra [demo]).

    Example: tokenformer corpus bible data/bible
    """

    output: Positional[Path]
    """Folder for the files."""

    def __call__(self) -> None:
        from tokenformer.corpora import write_corpus, written_sentence

        write_corpus("bible", self.output)
        show(written_sentence(self.output))


@dataclass(frozen=True)
class Formal(FormalCorpusOptions):
    """Write strings of a formal language, by difficulty; docs/formal_languages.md explains the languages.

    Example: tokenformer corpus formal data/dyck --language dyck --set kinds=4 --set depth=8 --pairs 1000
    """

    parameters: Annotated[Mapping[str, int], *LanguageParameters] = field(default_factory=dict)
    output: Positional[Path] = field(kw_only=True)
    """Folder for the files."""

    def __call__(self) -> None:
        from tokenformer.corpora import written_sentence
        from tokenformer.corpora.formal.corpus import write_formal_corpus

        write_formal_corpus(self.output, self)
        show(written_sentence(self.output))


@dataclass(frozen=True)
class Code(CodeCorpusOptions):
    """Write the programs of a source tree, or of Python's own library.

    Example: tokenformer corpus code data/code --unit definition --pairs 600
    """

    output: Positional[Path] = field(kw_only=True)
    """Folder for the files."""

    def __call__(self) -> None:
        from tokenformer.corpora import written_sentence
        from tokenformer.corpora.code.corpus import write_code_corpus

        write_code_corpus(self.output, self)
        show((self.output / "README.txt").read_text(encoding="utf-8") + written_sentence(self.output))


@dataclass(frozen=True)
class Corpus:
    """Write raw text that needs no download: the Bible in three difficulties, a formal language, or programs.

    Example: tokenformer corpus formal data/dyck --language dyck
    """

    kind: (
        Annotated[Bible, subcommand("bible", prefix_name=False)]
        | Annotated[Formal, subcommand("formal", prefix_name=False)]
        | Annotated[Code, subcommand("code", prefix_name=False)]
    )

    def __call__(self) -> None:
        self.kind()


@dataclass(frozen=True)
class Models:
    """Trained models that measure complexity: one for the measure perplexity, two for loss_gap."""

    reference: Path | None = None
    """Checkpoint whose loss on a text is the text's complexity."""
    weak: Path | None = None
    """Checkpoint of a weaker model, from whose loss that of the reference is subtracted."""
    reference_tokenizer: Path | None = None
    """Tokenizer folder of both. Without it: the one that each checkpoint carries."""

    def measure(self, name: str | None) -> tuple[str | None, dict[str, Any]]:
        """The measure that is meant, and its parameters."""
        if self == Models():
            return name, {}
        from tokenformer.trainer.checkpoint.checkpoint_losses import measure_of_models

        return measure_of_models(name, self.reference, self.weak, self.reference_tokenizer)


@dataclass(frozen=True)
class Prepare(PrepareOptions):
    """Make a corpus to train on: read documents, score their complexity, train a tokenizer, write token shards.

    Example: tokenformer prepare stories/ news.jsonl=2 --output data/mine --vocabulary-size 4096
    """

    inputs: Positional[Paths]
    validation_inputs: Annotated[Paths, arg(name="validation")] = ()
    measure_parameters: Suppress[Mapping[str, Any]] = field(default_factory=dict)
    command: Suppress[str | None] = None
    models: Models = Models()

    def __call__(self) -> None:
        from tokenformer.data.prepare import prepare_corpus

        measure, parameters = self.models.measure(self.measure)
        prepare_corpus(replace(self, measure=measure, measure_parameters=parameters))
        show((self.output / "report.txt").read_text(encoding="utf-8") + f"\nwritten to {self.output}")


@dataclass(frozen=True)
class Score(Verified, ScoreOptions):
    """Say how hard a sentence, files, a prepared corpus or a run's text is.

    Example: tokenformer score "The cat sat on the mat."

    Example: tokenformer score data/mine --html complexity.html
    """

    texts: Positional[Annotated[tuple[str, ...], arg(metavar="TEXT ...", help_behavior_hint="")]] = ()
    """Quoted text, files and folders, a prepared corpus, or a run's YAML."""
    unit: Unit = "paragraph"
    """One document of a plain text file is a passage, line, paragraph or the whole file."""
    text_field: str = "text"
    """Field of .jsonl and column of .parquet that holds the text."""
    html: Path | None = None
    """Page to write, with pictures and the documents that a person should read."""
    set: Assignments = ()
    """Another value for a key of a run's YAML."""
    models: Models = Models()
    parameters: Suppress[Mapping[str, Any]] = field(default_factory=dict)
    every_measure: Suppress[bool] = False
    kept: Suppress[Path | None] = None

    def __call__(self) -> None:
        from tokenformer.data.text_collection import of_prepared_corpus, open_collection
        from tokenformer.reports.complexity_report import report_complexity

        run = None
        if len(self.texts) == 1 and self.texts[0].endswith((".yaml", ".yml")):
            run = prepared_run(Path(self.texts[0]), self.set)
            collection = of_prepared_corpus(run.corpus)
        else:
            collection = open_collection(self.texts, self.unit, self.text_field)
        measure, parameters = self.models.measure(self.measure)
        processes = 1 if parameters and self.processes is None else self.processes
        options = ScoreOptions(self.language, measure, parameters, processes=processes)
        show(report_complexity(collection, options, self.html, run.plan if run else None))


def _check_files(source: Path, otherwise: str, output: Path | None = None) -> None:
    """Before torch is imported: raises UserError where nothing is at the source, or something at the output."""
    if not source.exists():
        raise UserError(f"{source} {otherwise}: there is no file or folder of this name")
    if output is not None:
        refuse_to_replace(output)


@dataclass(frozen=True)
class Report(Verified):
    """Write the table, picture and page of a run, beside n-gram baselines.

    Example: tokenformer report runs/mine
    """

    run: Positional[Path]
    """Folder of the run."""

    def __call__(self) -> None:
        from tokenformer.evaluation.baselines import ensure_baselines
        from tokenformer.reports.report import write_report

        note = ensure_baselines(self.run)
        show(write_report(self.run))
        if note is not None:
            show(f"\nNote: {note}")


@dataclass(frozen=True)
class Source(ModelSource):
    """The model."""

    model: Positional[str]


@dataclass(frozen=True)
class Eval(Verified, EvaluationOptions):
    """Score a model on minimal pairs and other tasks.

    Example: tokenformer eval runs/mine/checkpoints/1400 --tasks blimp --data evaluation-data

    Example: tokenformer eval MODEL --tasks zeroshot_swe '-multiblimp_swe' --fast --output scores.json
    """

    source: Source
    tasks: Annotated[tuple[tuple[str, ...], ...], Tasks]
    batch_size: Annotated[int | None, BatchSize] = None
    task_folder: Annotated[Path | None, arg(name="include-path")] = None
    output: Path | None = None
    """JSON file for everything that was measured."""

    def __call__(self) -> None:
        from tokenformer.evaluation.runners.evaluate import evaluate, results_table, write_results

        results = evaluate(replace(self, tasks=tuple(chain.from_iterable(self.tasks))))
        show(results_table(results))
        if self.output is not None:
            write_results(self.output, results)


@dataclass(frozen=True)
class Generate(Verified, GenerateOptions):
    """Continue texts by a checkpoint, an export or another Hugging Face model.

    Example: tokenformer generate runs/mine/checkpoints/1400 --prompt "In the beginning"
    """

    source: Source
    prompt: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="TEXT")] = ()

    def __call__(self) -> None:
        from tokenformer.evaluation.runners.generate import generate

        for piece in generate(self):
            print(printable(piece), end="", flush=True)
        print()


@dataclass(frozen=True)
class Compare(CompareOptions):
    """Make the runs of a grid and answer its question, or compare finished runs.

    A grid is a YAML with a question and several ways to train.

    Example: tokenformer compare experiments/english.yaml --jobs 2

    Example: tokenformer compare runs/a runs/b
    """

    sources: Annotated[Positional[Sequence[Path]], arg(metavar="GRID|RUN ...", help_behavior_hint="")]

    def __call__(self) -> None:
        from tokenformer.experiments.compare import compare

        show(compare(self))


@dataclass(frozen=True)
class Grow(GrowOptions):
    """Make a larger checkpoint from one, by the operators that grow a live run.

    Example: tokenformer grow runs/mine/checkpoints/1000 grown --operator hypercloning --set width=2 --verify
    """

    source: Annotated[Positional[Path], arg(metavar="CHECKPOINT")]
    output: Positional[Path]
    parameters: Annotated[Assignments, arg(name="set")] = ()

    def __call__(self) -> None:
        _check_files(self.source, "is no checkpoint", self.output)
        from tokenformer.trainer.growing.offline import grow_checkpoint

        show("\n".join(grow_checkpoint(self)))


@dataclass(frozen=True)
class Import:
    """Make a Nanotron checkpoint from an export, a Hugging Face Llama or a released official Tokenformer.

    Example: tokenformer import exports/mine imported
    """

    source: Positional[Path]
    """A Hugging Face folder; or, of an official model, a pytorch_model.bin, a .safetensors file or a folder of one."""
    output: Positional[Path]
    """Folder for the checkpoint, which must not exist."""
    heads: int | None = None
    """Attention heads of an official model. Without it: those of the released model of this width, or width / 64."""
    context_length: int = 2048
    """Longest context of an official model; those trained on OpenWebText2 have 1024."""

    def __call__(self) -> None:
        _check_files(self.source, "is no model", self.output)
        from tokenformer.conversion import hugging_face, official

        if hugging_face.is_hugging_face_model(self.source):
            show(hugging_face.import_model(self.source, self.output))
        else:
            show(official.import_checkpoint(self.source, self.output, self.heads, self.context_length))


@dataclass(frozen=True)
class Export(Verified):
    """Make a Hugging Face folder from a checkpoint; it loads where this package is not installed.

    Example: tokenformer export runs/mine exports/mine

    Example: tokenformer export --ladder runs/mine exports/mine-revisions
    """

    source: Positional[Path]
    """A checkpoint, RUN/checkpoints/STEP, or a run's folder for its newest one."""
    output: Positional[Path]
    """Folder for the export, which must not exist."""
    tokenizer: Path | None = None
    """Folder of the tokenizer. Without it: the one that the checkpoint carries."""
    verify: Annotated[bool, arg(help_behavior_hint="")] = field(default=True, kw_only=True)
    """Compare neither the checkpoint with its checksums nor the logits of the export with those of Nanotron's model."""
    ladder: bool = False
    """Export all BabyLM revisions of a run: chck_1M, chck_2M and so on, and main."""
    words: Annotated[tuple[int, ...], arg(help_behavior_hint="")] = ()
    """Numbers of words read, for the revisions of a ladder. Without it: the numbers that BabyLM asks for."""

    def __call__(self) -> None:
        if self.words and not self.ladder:
            raise UserError("--words chooses the revisions of a ladder: give --ladder too")
        _check_files(self.source, "is not the folder of a run" if self.ladder else "is no checkpoint", self.output)
        from tokenformer.conversion.export import export_checkpoint
        from tokenformer.conversion.ladder import BABYLM_WORDS, export_ladder

        source, output, tokenizer = self.source, self.output, self.tokenizer
        if self.ladder:
            lines = export_ladder(source, output, tokenizer, self.verify, self.words or BABYLM_WORDS)
        else:
            lines = export_checkpoint(source, output, tokenizer, self.verify)
        show("\n".join(lines))


@dataclass(frozen=True)
class Doctor:
    """Say which versions, device and kernels this machine has, and what was repaired.

    Example: tokenformer doctor
    """

    def __call__(self) -> None:
        from tokenformer.doctor import findings

        for name, value in findings():
            show(f"{name:<22} {value}")


VERBS: dict[str, type] = {
    "corpus": Corpus,
    "prepare": Prepare,
    "score": Score,
    "config": Config,
    "plan": Plan,
    "train": Train,
    "report": Report,
    "eval": Eval,
    "generate": Generate,
    "compare": Compare,
    "grow": Grow,
    "import": Import,
    "export": Export,
    "doctor": Doctor,
}
"""Name of a verb -> its class."""
