"""The command line: one function a verb, which parses nothing and calls one function of the package."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenformer import __version__
from tokenformer.errors import UserError

UNITS = ("passage", "line", "paragraph", "file")


def corpus(arguments: argparse.Namespace) -> None:
    from tokenformer.corpora import write_corpus

    write_corpus(arguments.name, arguments.output)


def formal_corpus(arguments: argparse.Namespace) -> None:
    from tokenformer.corpora import write_corpus
    from tokenformer.corpora.formal.corpus import parsed_parameters

    write_corpus(
        "formal",
        arguments.output,
        language=arguments.language,
        parameters=parsed_parameters(arguments.set),
        documents=arguments.documents,
        validation_share=arguments.validation_share,
        pairs=arguments.pairs,
        seed=arguments.seed,
    )


def code_corpus(arguments: argparse.Namespace) -> None:
    from tokenformer.corpora import write_corpus

    write_corpus(
        "code",
        arguments.output,
        source=arguments.source,
        unit=arguments.unit,
        suffixes=arguments.suffixes,
        validation_share=arguments.validation_share,
        pairs=arguments.pairs,
        seed=arguments.seed,
    )
    print((arguments.output / "README.txt").read_text(encoding="utf-8"), end="")


def prepare(arguments: argparse.Namespace) -> None:
    from tokenformer.data.corpus_scoring import available_processes
    from tokenformer.data.prepare import PrepareOptions, prepare_corpus
    from tokenformer.data.reading import InputSource

    measure, parameters = _measure(arguments)
    options = PrepareOptions(
        inputs=[InputSource.parse(text) for text in arguments.inputs],
        output=arguments.output,
        unit=arguments.unit,
        passage_words=arguments.passage_words,
        text_field=arguments.text_field,
        language=arguments.language,
        measure=measure,
        measure_parameters=parameters,
        tokenizer=arguments.tokenizer,
        vocabulary_size=arguments.vocabulary_size,
        validation_inputs=[InputSource.parse(text) for text in arguments.validation],
        validation_share=arguments.validation_share,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
        processes=arguments.processes or (1 if parameters else available_processes()),
        command=arguments.command_line,
    )
    prepare_corpus(options)
    print((arguments.output / "report.txt").read_text(encoding="utf-8"), end="")


def score(arguments: argparse.Namespace) -> None:
    from tokenformer.data.text_collection import of_prepared_corpus, open_collection
    from tokenformer.reports.complexity_report import ScoreOptions, report_complexity

    run = None
    if len(arguments.texts) == 1 and arguments.texts[0].endswith((".yaml", ".yml")):
        from tokenformer.trainer.run.prepared_run import PreparedRun

        run = PreparedRun.from_file(Path(arguments.texts[0]), arguments.set)
    collection = (
        of_prepared_corpus(run.corpus)
        if run
        else open_collection(arguments.texts, arguments.unit, arguments.text_field)
    )
    measure, parameters = _measure(arguments)
    processes = arguments.processes or (1 if parameters else None)
    options = ScoreOptions(arguments.language, measure, parameters, processes=processes)
    print(report_complexity(collection, options, arguments.html, run.plan if run else None))


def _measure(arguments: argparse.Namespace) -> tuple[str | None, dict]:
    """The complexity measure asked for, and its parameters; trained models are the only ones."""
    if arguments.reference is None and arguments.weak is None:
        return arguments.measure, {}
    from tokenformer.trainer.checkpoint.checkpoint_losses import measure_of_models

    return measure_of_models(arguments.measure, arguments.reference, arguments.weak, arguments.reference_tokenizer)


def plan(arguments: argparse.Namespace) -> None:
    from tokenformer.trainer.run.plan_table import plan_table
    from tokenformer.trainer.run.prepared_run import PreparedRun

    print(plan_table(PreparedRun.from_file(arguments.config, arguments.set)))


def train(arguments: argparse.Namespace) -> None:
    from tokenformer.trainer.loop.launch import train_from_file

    train_from_file(arguments.config, arguments.set)


def compare(arguments: argparse.Namespace) -> None:
    from tokenformer.experiments.compare import CompareOptions, compare

    options = CompareOptions(
        sources=arguments.sources,
        results=arguments.results,
        runs=arguments.runs,
        jobs=arguments.jobs,
        threads=arguments.threads,
        nice=arguments.nice,
        only=arguments.only,
        settings=arguments.set,
        keep_weights=arguments.keep_weights,
        report_only=arguments.report_only,
        slurm=arguments.slurm,
    )
    print(compare(options))


def report(arguments: argparse.Namespace) -> None:
    from tokenformer.evaluation.baselines import ensure_baselines
    from tokenformer.reports.report import write_report

    ensure_baselines(arguments.run)
    print(write_report(arguments.run))


def import_checkpoint(arguments: argparse.Namespace) -> None:
    from tokenformer.conversion import hugging_face, official

    if hugging_face.is_hugging_face_model(arguments.source):
        print(hugging_face.import_model(arguments.source, arguments.output))
        return
    print(official.import_checkpoint(arguments.source, arguments.output, arguments.heads, arguments.context_length))


def export(arguments: argparse.Namespace) -> None:
    from tokenformer.conversion.export import export_checkpoint
    from tokenformer.conversion.ladder import BABYLM_WORDS, export_ladder

    source, output = arguments.source, arguments.output
    if arguments.words and not arguments.ladder:
        raise UserError("--words chooses the revisions of a ladder: give --ladder too")
    if arguments.ladder:
        words = tuple(arguments.words) or BABYLM_WORDS
        lines = export_ladder(source, output, arguments.tokenizer, arguments.verify, words)
    else:
        lines = export_checkpoint(source, output, arguments.tokenizer, arguments.verify)
    print("\n".join(lines))


def grow(arguments: argparse.Namespace) -> None:
    from tokenformer.trainer.growing.offline import OfflineGrowth, grow_checkpoint

    growth = OfflineGrowth(
        source=arguments.checkpoint,
        output=arguments.output,
        operator=arguments.operator,
        parameters=arguments.set,
        new_moments=arguments.new_moments,
        seed=arguments.seed,
        verify=arguments.verify,
        tolerance=arguments.tolerance,
    )
    print("\n".join(grow_checkpoint(growth)))


def evaluate(arguments: argparse.Namespace) -> None:
    from tokenformer.evaluation.runners import evaluate as evaluation
    from tokenformer.evaluation.runners.batch_size import parse_batch_size
    from tokenformer.evaluation.runners.opened_model import ModelSource

    source = ModelSource(
        model=arguments.model,
        tokenizer=arguments.tokenizer,
        dtype=arguments.dtype,
        device=arguments.device,
        revision=arguments.revision,
        trust_remote_code=arguments.trust_remote_code,
    )
    options = evaluation.EvaluationOptions(
        source=source,
        tasks=tuple(name for names in arguments.tasks for name in names.split(",")),
        data=arguments.data,
        fast=arguments.fast,
        batch_size=parse_batch_size(arguments.batch_size),
        task_folder=arguments.include_path,
    )
    results = evaluation.evaluate(options)
    print(evaluation.results_table(results))
    if arguments.output is not None:
        evaluation.write_results(arguments.output, results)


def doctor(arguments: argparse.Namespace) -> None:
    from tokenformer.doctor import findings

    for name, value in findings():
        print(f"{name:<22} {value}")


def _add_corpus(verbs) -> None:
    verb = verbs.add_parser("corpus", help="write a corpus that needs no download: text, formal languages or code")
    corpora = verb.add_subparsers(title="corpora", required=True, metavar="NAME", dest="name")
    bible = corpora.add_parser("bible", help="one text in Basic, modern and 1611 English (extra [demo])")
    bible.set_defaults(function=corpus)
    formal = corpora.add_parser("formal", help="strings of a formal language, by difficulty; docs/formal_languages.md")
    formal.add_argument("--language", required=True, help="such as dyck, arithmetic or context_free")
    formal.add_argument("--set", action="append", default=[], metavar="KEY=NUMBER", help="a parameter of the language")
    formal.add_argument("--documents", type=int, default=10_000, help="for training and validation, all different")
    formal.set_defaults(function=formal_corpus)
    code = corpora.add_parser("code", help="programs of a source tree, or of Python's own library")
    code.add_argument("--source", type=Path, help="root of the tree; default: the interpreter's standard library")
    code.add_argument("--unit", choices=("file", "definition"), default="file", help="what a document is")
    code.add_argument("--suffixes", nargs="+", default=[".py"], metavar=".SUFFIX", help="files to read")
    code.set_defaults(function=code_corpus)
    for added in (bible, formal, code):
        added.add_argument("output", type=Path, help="folder for the files")
    for added in (formal, code):
        added.add_argument("--validation-share", type=float, default=0.05, help="held out")
        added.add_argument("--pairs", type=int, default=0, help="minimal pairs to write, of held-out text")
        added.add_argument("--seed", type=int, default=0, help="of everything that is drawn")


def _add_prepare(verbs) -> None:
    verb = verbs.add_parser(
        "prepare", help="read documents, score their complexity, train a tokenizer, write token shards and a report"
    )
    verb.add_argument("inputs", nargs="+", metavar="PATH[=WEIGHT]", help=".txt .train .jsonl .parquet, each also .gz")
    verb.add_argument("--output", type=Path, required=True, help="folder for the prepared corpus")
    verb.add_argument("--unit", choices=UNITS, default="passage", help="what a document of plain text is")
    verb.add_argument("--passage-words", type=int, default=200, help="about how many words a passage has")
    verb.add_argument("--text-field", default="text", help="field of .jsonl and column of .parquet with the text")
    verb.add_argument("--language", default="en", help="en or sv, another code, code or formal")
    _add_measure(verb, default="ensemble, for code and formal nesting_depth")
    verb.add_argument("--tokenizer", type=Path, help="a Hugging Face tokenizer folder; one is trained when not given")
    verb.add_argument("--vocabulary-size", type=int, default=4096, help="of the tokenizer that is trained")
    verb.add_argument("--validation", nargs="*", default=[], metavar="PATH", help="held-out documents")
    verb.add_argument("--validation-share", type=float, default=0.02, help="held out when --validation is not given")
    verb.add_argument("--seed", type=int, default=0, help="of the choice of held-out documents")
    verb.add_argument("--overwrite", action="store_true", help="replace an existing output")
    verb.add_argument("--processes", type=int, help="that score complexity; default: one for each processor")
    verb.set_defaults(function=prepare)


def _add_measure(verb, default: str) -> None:
    verb.add_argument("--measure", help=f"complexity measure, see docs/complexity.md; default: {default}")
    verb.add_argument("--reference", type=Path, metavar="CHECKPOINT", help="model of the measure perplexity")
    verb.add_argument("--weak", type=Path, metavar="CHECKPOINT", help="a weaker model: with --reference, loss_gap")
    verb.add_argument("--reference-tokenizer", type=Path, help="of both models; default: that of their runs' corpus")


def _add_score(verbs) -> None:
    verb = verbs.add_parser("score", help="how hard a sentence, files, a prepared corpus or a run's text is")
    verb.add_argument("texts", nargs="+", metavar="TEXT", help="quoted text, files and folders, or a run's YAML")
    verb.add_argument("--language", default="auto", help="en, sv, another code, code or formal; auto finds out")
    _add_measure(verb, default="the corpus's own, else that of prepare")
    verb.add_argument("--unit", choices=UNITS, default="paragraph", help="what a document of plain text is")
    verb.add_argument("--text-field", default="text", help="field of .jsonl and column of .parquet with the text")
    verb.add_argument("--html", type=Path, metavar="OUT", help="write a page with pictures and the documents to read")
    verb.add_argument("--processes", type=int, help="that score at the same time; default: one for each processor")
    verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of a run's YAML")
    verb.set_defaults(function=score)


def _add_config_verb(verbs, name: str, function, help_text: str) -> None:
    verb = verbs.add_parser(name, help=help_text)
    verb.add_argument("config", type=Path, help="a run's YAML; see configs/")
    verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the YAML")
    verb.set_defaults(function=function)


def _add_import(verbs) -> None:
    verb = verbs.add_parser(
        "import",
        help="make a Nanotron checkpoint of an export, a Hugging Face Llama or a released official Tokenformer",
    )
    verb.add_argument(
        "source",
        type=Path,
        help="a Hugging Face folder; of the official: pytorch_model.bin, a .safetensors file, or a folder with one",
    )
    verb.add_argument("output", type=Path, help="folder for the checkpoint, which does not exist yet")
    verb.add_argument("--heads", type=int, help="official: heads; default: the released models', or width / 64")
    verb.add_argument("--context-length", type=int, default=2048, help="official: 1024 for OpenWebText2")
    verb.set_defaults(function=import_checkpoint)


def _add_export(verbs) -> None:
    verb = verbs.add_parser(
        "export", help="make a Hugging Face folder of a checkpoint, which loads without this package"
    )
    verb.add_argument("source", type=Path, help="RUN/checkpoints/STEP of any layout, or RUN for its newest")
    verb.add_argument("output", type=Path, help="folder for the export, which does not exist yet")
    verb.add_argument("--tokenizer", type=Path, help="its folder; default: that of the run's corpus")
    verb.add_argument(
        "--no-verify", dest="verify", action="store_false", help="do not compare the logits with Nanotron's model"
    )
    verb.add_argument("--ladder", action="store_true", help="all BabyLM revisions of a run: chck_1M, chck_2M, .., main")
    verb.add_argument("--words", type=int, nargs="+", default=[], help="words seen of the revisions, for --ladder")
    verb.set_defaults(function=export)


def _add_compare(verbs) -> None:
    verb = verbs.add_parser("compare", help="make the runs of a grid and answer its question, or lay runs side by side")
    verb.add_argument("sources", nargs="+", type=Path, metavar="GRID|RUN", help="a grid's YAML, or folders of runs")
    verb.add_argument("--results", type=Path, help="folder for records and page; default: results/NAME by the grid")
    verb.add_argument("--runs", type=Path, help="folder for the runs; default: runs/NAME")
    verb.add_argument("--jobs", type=int, default=1, help="runs that are made at the same time")
    verb.add_argument("--threads", type=int, default=1, help="threads of each run")
    verb.add_argument("--nice", type=int, default=0, help="how far the priority of the runs is lowered, up to 19")
    verb.add_argument("--only", metavar="ARM/SEED", help="make this run alone; ARM/SEED/VALUE is a trial of the tuning")
    verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="where the corpus is")
    verb.add_argument("--keep-weights", action="store_true", help="do not remove the checkpoints of finished runs")
    verb.add_argument("--report-only", action="store_true", help="train nothing: answer from the records at hand")
    verb.add_argument("--slurm", action="store_true", help="print a Slurm job array instead of making the runs")
    verb.set_defaults(function=compare)


def _add_grow(verbs) -> None:
    verb = verbs.add_parser("grow", help="make a larger checkpoint of one, by the operators that grow a live run")
    verb.add_argument("checkpoint", type=Path, help="RUN/checkpoints/STEP, written in any parallel layout")
    verb.add_argument("output", type=Path, help="folder for the grown checkpoint, which does not exist yet")
    verb.add_argument("--operator", required=True, help="append_tokens, hypercloning or stack_layers")
    verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the operator")
    verb.add_argument("--new-moments", default="keep", help="Adam's moments of new elements: keep, zero or mean")
    verb.add_argument("--seed", type=int, help="of what is drawn; default: that of the checkpoint's run")
    verb.add_argument("--verify", action="store_true", help="compare the logits, and write nothing when they differ")
    verb.add_argument("--tolerance", type=float, help="largest difference of logits; default: what rounding makes")
    verb.set_defaults(function=grow)


def _add_eval(verbs) -> None:
    verb = verbs.add_parser("eval", help="score a model in minimal pairs and other tasks")
    verb.add_argument("model", help="RUN/checkpoints/STEP, an export, or a Hugging Face model's folder or Hub id")
    verb.add_argument("--tasks", nargs="+", required=True, metavar="TASK", help="ours, lm-eval's, or a .yaml file")
    verb.add_argument("--data", type=Path, help="folder with our tasks' files; default: $TOKENFORMER_EVALUATION_DATA")
    verb.add_argument("--fast", action="store_true", help="a fixed tenth of the items, every kind in its share")
    verb.add_argument("--batch-size", default="auto", help="rows of a forward pass; scores do not depend on it")
    verb.add_argument("--dtype", default="auto", help="auto (as stored), float32, bfloat16 or float16")
    verb.add_argument("--device", help="cpu or cuda; default: a GPU where there is one")
    verb.add_argument("--tokenizer", help="folder with a tokenizer.json; default: the run's or the model's")
    verb.add_argument("--revision", help="of a Hub id")
    verb.add_argument("--trust-remote-code", action="store_true", help="let Python code of the model's folder run")
    verb.add_argument("--include-path", type=Path, help="folder of more task files for lm-eval")
    verb.add_argument("--output", type=Path, metavar="JSON", help="file for everything that was measured")
    verb.set_defaults(function=evaluate)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="tokenformer", description="Grow a language model while it trains.")
    top.add_argument("--version", action="version", version=f"tokenformer {__version__}")
    verbs = top.add_subparsers(title="verbs", required=True, metavar="VERB")
    _add_corpus(verbs)
    _add_prepare(verbs)
    _add_score(verbs)
    _add_config_verb(verbs, "plan", plan, "print the stages of a run before anything is trained")
    _add_config_verb(verbs, "train", train, "train, or go on where the run stopped")
    verb = verbs.add_parser("report", help="table, picture and page of a run, beside n-gram baselines")
    verb.add_argument("run", type=Path, help="the run's folder")
    verb.set_defaults(function=report)
    _add_eval(verbs)
    _add_compare(verbs)
    _add_grow(verbs)
    _add_import(verbs)
    _add_export(verbs)
    verb = verbs.add_parser("doctor", help="versions, device, kernels, and what was repaired")
    verb.set_defaults(function=doctor)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; a user's mistake prints one line and gives status 2."""
    words = sys.argv[1:] if arguments is None else arguments
    parsed = parser().parse_args(words)
    parsed.command_line = shlex.join(["tokenformer", *words])
    try:
        parsed.function(parsed)
    except UserError as error:
        if os.environ.get("RANK", "0") == "0":
            print(f"tokenformer: {'; '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    return 0
