"""The names of the files of a run, each once."""

from tokenformer.checksums import CHECKSUMS

# In the run's folder.
CONFIG = "config.yaml"
METRICS = "metrics.jsonl"
STAGES = "stages.json"
READING = "reading.json"
BASELINES = "baselines.json"
PAGE = "report.html"
PICTURE = "loss.png"
TENSORBOARD = "tensorboard"
CHECKPOINTS = "checkpoints"

FILES = {
    CONFIG: "The config of the run with every key. It is written when training starts.",
    STAGES: "The stages of the run as planned: step, text, size and cost at which each begins.",
    READING: "Documents, words and epochs that the plan reads, the share of each source, and the corpus' fingerprint.",
    METRICS: "Measurements, one JSON object a line.",
    BASELINES: "Held-out losses of n-gram models on the same text, written by `tokenformer report`.",
    PAGE: "The report, written by `tokenformer report`.",
    PICTURE: "The picture of the report.",
    TENSORBOARD: "The metrics for TensorBoard, where `logging.tensorboard` is true.",
    CHECKPOINTS: "The checkpoints, unless `checkpoints.checkpoints_path` names another place for them.",
}

# In the folder of the checkpoints.
LATEST = "latest.txt"
PARTIAL = ".tokenformer.partial"

# In the run's folder, and in that of the checkpoints if it is another, while the run trains.
LOCK = ".tokenformer.lock"

# In a checkpoint.
MODEL_CONFIG = "model_config.json"
RUN_CONFIG = "run.yaml"
METADATA = "checkpoint_metadata.json"
GROWTH = "growth.json"
CURRICULUM = "curriculum.json"
LOSSES = "losses.json"
TOKENIZER = "tokenizer"

CHECKPOINT_FILES = {
    "model/": "Weights, by Nanotron.",
    "optimizer/": "Adam's moments, and fp32 copies of 16-bit weights, by Nanotron.",
    "lr_scheduler/": "State of the learning rate's schedule, by Nanotron.",
    "random/": "States of the random generators, by Nanotron.",
    CONFIG: "Nanotron's own config.",
    RUN_CONFIG: "The config, with every key, of the run that wrote the checkpoint. Its `general.run` names the run.",
    METADATA: "Steps and samples done, and Nanotron's version.",
    MODEL_CONFIG: "The config of the model as it is now, grown or not.",
    GROWTH: "The growth events until now, with operator, size and losses of each.",
    CURRICULUM: "Fingerprints of sample plan and corpus, the place in the plan, and the rung of the BabyLM ladder.",
    LOSSES: "The losses that the growth trigger reads. It is missing when the trigger reads none.",
    "tokenizer/": "The tokenizer of the corpus that the run reads.",
    CHECKSUMS: "Size and hash of every file of the checkpoint. It is written last.",
}
