"""Every step reads the samples of the plan, whatever the number of ranks and of loader workers."""

from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.data import Dataset, get_worker_info

from tests.support.training.run_files import assert_same_end
from tokenformer.config.loading import load_config
from tokenformer.trainer.loop import batches as dataloader
from tokenformer.trainer.loop.sample_dataset import SampleDataset
from tokenformer.trainer.run.prepared_run import PreparedRun

STEPS = 16


@pytest.fixture
def run(tiny_config):
    return PreparedRun.from_file(tiny_config)


@pytest.fixture
def planned(run):
    """The samples of each step by definition: the documents in the plan's order end to end, cut every 32 tokens.

    int64 [steps, samples a step, 33].
    """
    shards, length = run.corpus.train.shards, 32
    stream = np.concatenate([np.asarray(shards.document_tokens(document)) for document in run.plan.order])
    samples = [stream[start : start + length + 1] for start in range(0, STEPS * 4 * length, length)]
    return np.stack(samples).reshape(STEPS, 4, length + 1)


class Witness(Dataset):
    """A dataset that notes, as a file, which worker read a sample; 'here' is the process itself."""

    def __init__(self, dataset, folder):
        self.dataset, self.folder = dataset, folder

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        worker = get_worker_info()
        (self.folder / ("here" if worker is None else f"worker {worker.id}")).touch()
        return self.dataset[index]


@pytest.fixture
def consumed(run, tiny_config, monkeypatch, tmp_path):
    """What the ranks of a layout consume, dealt back into steps: int64 [steps, samples a step, 33]."""
    monkeypatch.setattr(dataloader, "dist", SimpleNamespace(get_rank=lambda group: group.rank))

    def consume(ranks=1, size=4, accumulation=1, workers=0, first_step=0):
        settings = (
            f"parallelism.dp={ranks}",
            f"tokens.micro_batch_size={size}",
            f"tokens.batch_accumulation_per_replica={accumulation}",
            f"data_stages.0.data.num_loading_workers={workers}",
        )
        config = load_config(tiny_config, settings)
        dataset = Witness(SampleDataset(run.corpus.train.shards, run.plan.order, 32), tmp_path)
        of_ranks = []
        for rank in range(ranks):
            context = SimpleNamespace(dp_pg=SimpleNamespace(rank=rank), pp_pg=SimpleNamespace(rank=0))
            batches = dataloader.training_batches(config, dataset, context, 0, 0, first_step)
            samples = [np.concatenate([batch["input_ids"], batch["label_ids"][:, -1:]], axis=1) for batch in batches]
            of_ranks.append(np.stack(samples).reshape(STEPS - first_step, accumulation, size, 33))
        by_microbatch = np.stack(of_ranks, axis=2)  # [steps, microbatches, ranks, samples, 33]
        return by_microbatch.reshape(STEPS - first_step, accumulation * ranks * size, 33)

    return consume


LAYOUTS = {
    "one rank": {},
    "two ranks": {"ranks": 2, "size": 2},
    "four ranks": {"ranks": 4, "size": 1},
    "two microbatches": {"size": 2, "accumulation": 2},
    "two ranks, two microbatches": {"ranks": 2, "size": 1, "accumulation": 2},
    "two workers": {"workers": 2},
    "two ranks, two workers each": {"ranks": 2, "size": 2, "workers": 2},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_each_step_consumes_what_the_plan_says(consumed, planned, layout):
    np.testing.assert_array_equal(consumed(**layout), planned)


@pytest.mark.parametrize("first_step", [1, 7, 15])
def test_a_resumed_run_reads_on_where_it_stopped(consumed, planned, first_step):
    np.testing.assert_array_equal(consumed(ranks=2, size=2, first_step=first_step), planned[first_step:])


@pytest.mark.parametrize(("workers", "readers"), [(0, {"here"}), (2, {"worker 0", "worker 1"})])
def test_workers_read_when_they_are_asked_for(consumed, tmp_path, workers, readers):
    consumed(workers=workers)
    assert {path.name for path in tmp_path.iterdir()} == readers


def test_labels_are_the_inputs_shifted_by_one(run, consumed, tiny_config, planned):
    dataset = SampleDataset(run.corpus.train.shards, run.plan.order, 32)
    context = SimpleNamespace(dp_pg=SimpleNamespace(rank=0), pp_pg=SimpleNamespace(rank=0))
    batch = next(dataloader.training_batches(load_config(tiny_config), dataset, context, 0, 0, 0))
    np.testing.assert_array_equal(batch["input_ids"], planned[0, :, :-1])
    np.testing.assert_array_equal(batch["label_ids"], planned[0, :, 1:])
    assert batch["input_mask"].all() and batch["label_mask"].all()


def test_training_with_workers_gives_the_same_run(train_here, reference):
    assert_same_end(train_here("data_stages.0.data.num_loading_workers=2"), reference)


def test_a_run_of_any_length_begins_at_once(run, consumed, tiny_config):
    """Samples are numbered as they are read: a list of all of these would fill every memory."""
    dataset = SampleDataset(run.corpus.train.shards, run.plan.order, 32)
    context = SimpleNamespace(dp_pg=SimpleNamespace(rank=0), pp_pg=SimpleNamespace(rank=0))
    config = load_config(tiny_config, ["tokens.train_steps=1000000000"])
    assert next(dataloader.training_batches(config, dataset, context, 0, 0, 0))["input_ids"].shape == (4, 32)
