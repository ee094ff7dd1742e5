"""The keys of the metrics file, each once, with its meaning.

A `*` in a name stands for a level of held-out text, a task, or a group of a task's items.
"""

KEYS: dict[str, str] = {}


def _key(name: str, meaning: str) -> str:
    KEYS[name] = meaning
    return name


STEP = _key("iteration_step", "Training steps done. Every line has it.")
TOKENS = _key("consumed_tokens", "Tokens read since the start of the run.")
WORDS = _key("consumed_words", "Whitespace words read since the start of the run, repeats counted.")
FLOPS = _key("training_flops", "Training FLOPs since the start of the run, by formula.")
COMPLEXITY = _key("curriculum/complexity", "Moving average of the complexity of the text, in the measure's unit.")
CONTEXT_LENGTH = _key("curriculum/context_length", "Tokens of context in this step, where the config lets it change.")
PARAMETERS = _key("growth/parameters", "Parameters of the model.")
SECONDS = _key(
    "elapsed_seconds",
    "Seconds of training since the start of the run: steps and growth. Measurements, checkpoints and the time between "
    "a stop and a resume do not count.",
)

LOSS = _key("lm_loss", "Training loss of the step in nats a token, the mean over its batch.")
LEARNING_RATE = _key("lr", "Learning rate of the step.")
GRADIENT_NORM = _key("grad_norm", "Norm of the gradient before clipping. It is missing when nothing is clipped.")
SAMPLES_A_STEP = _key("global_batch_size", "Samples of the step.")
STEP_MILLISECONDS = _key("time_per_iteration_ms", "Milliseconds of the step alone, without growth and measurements.")
TOKENS_PER_SECOND = _key("tokens_per_sec", "Tokens of the step by the seconds of the step alone.")
TOKENS_PER_SECOND_PER_PROCESS = _key("tokens_per_sec_per_gpu", "The same, by process.")
TERAFLOPS_PER_PROCESS = _key("model_tflops_per_gpu", "TFLOP/s of each process by formula, in the step alone.")

HELD_OUT_LOSS = _key("val/loss", "Held-out loss in nats a token.")
HELD_OUT_LOSS_OF = _key("val/loss/*", "The same for a level of difficulty or a source.")
BITS_PER_BYTE = _key("val/bits_per_byte", "Held-out loss in bits a byte of text.")
BITS_PER_BYTE_OF = _key("val/bits_per_byte/*", "The same for a level of difficulty or a source.")

EVENT = _key("growth/event", "Number of a growth event, from 1. Its line is not that of a step.")
OPERATOR = _key("growth/operator", "Name of the operator.")
REASON = _key("growth/reason", "Why the trigger let the model grow.")
LOSS_BEFORE = _key("growth/loss_before", "Loss on one fixed held-out batch before the event, in nats a token.")
LOSS_AFTER = _key("growth/loss_after", "The same after the event.")
PARAMETERS_BEFORE = _key("growth/parameters_before", "Parameters before the event.")
STAGE_ENDS = _key("growth/stage_ends", "Number of the stage that ends, in a line with its last held-out loss.")

SAMPLE = _key("sample/*", "A text that the model wrote after this step, by the number of its prompt, from 1.")

EVALUATION = "eval/"
SCORE = _key("eval/*", "Accuracy of a task, or of a group of its items (`eval/TASK/GROUP`).")
SCORE_ITEMS = _key("eval/*/items", "Items of the task.")
SCORE_ERROR = _key("eval/*/stderr", "Standard error of the accuracy.")
SCORE_TIES = _key("eval/*/ties", "Items whose two sides have one score.")
EVALUATION_SECONDS = _key("eval/seconds", "Seconds of the evaluation. Every line of an evaluation has it.")
EVALUATION_FAILED = _key("eval/failed", "Why the evaluation failed. The run goes on.")

TEXTS = (OPERATOR, REASON, EVALUATION_FAILED)
"""Keys whose values are text; those of all others are numbers."""

FAMILIES = ("val/loss/", "val/bits_per_byte/", EVALUATION)
"""How keys begin that have a level, a task or a group in their name."""

PROGRESS = (WORDS, TOKENS, FLOPS)


def of_part(key: str, part: str) -> str:
    """The name that a key with a `*` has for one level, task or group."""
    return key.replace("*", part)
