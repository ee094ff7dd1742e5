"""Writes the lines of metrics into the run's folder."""

from tokenformer.observers import Observer
from tokenformer.run_folder.metrics import MetricsFile


class MetricsWriter(Observer):
    """Appends every line to the metrics file, which it first cuts back to the checkpoint that the run goes on after."""

    file: MetricsFile | None = None

    def before_training(self, trainer):
        if trainer.is_writer:
            step = trainer.start_iteration_step if trainer.start.checkpoint else -1
            self.file = MetricsFile(trainer.run.config.run_folder, step)
            trainer.clock.seconds = self.file.elapsed_seconds

    def log(self, trainer, line):
        if self.file is not None:
            self.file.write(line)

    def close(self, trainer):
        if self.file is not None:
            self.file.close()
