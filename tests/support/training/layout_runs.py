"""Short runs in layouts of several processes, whose checkpoints tests read and go on from."""

from dataclasses import dataclass

from tests.support.places import PROGRAMS

RECORDING_RANK = str(PROGRAMS / "recording_rank.py")
RUN_OF_SIX_STEPS = (
    "growth=null",
    "tokens.train_steps=6",
    "checkpoints.checkpoint_interval=3",
    "tokens.val_check_interval=-1",
    "validation.batch_size=256",
)


@dataclass(frozen=True)
class Layout:
    """Settings of the layout and of the model, for `--set`; `tolerance` is of losses against another layout's."""

    ranks: int
    settings: tuple[str, ...]
    model: tuple[str, ...]
    tolerance: float = 1e-5


LAYOUTS = {
    "tp": Layout(
        ranks=2,
        settings=("parallelism.tp=2",),
        model=(
            "model.model_config.qkv_tokens=[{tokens: 8, tau: 3.0}, {tokens: 4, tau: 2.0}]",
            "model.model_config.num_attention_heads=4",
            "model.model_config.num_key_value_heads=2",
            "model.model_config.block_norm_affine=true",
            "model.model_config.tau=learned",
            "model.model_config.tie_word_embeddings=false",
        ),
    ),
    # Three layers, so that the second stage gets the tied head and not the loss alone.
    "pp": Layout(ranks=2, settings=("parallelism.pp=2",), model=("model.model_config.num_hidden_layers=3",)),
    # A learned tau is one number: the second replica has no slice of it.
    "ZeRO-1 in 16 bits": Layout(
        ranks=2,
        settings=("parallelism.dp=2", "tokens.micro_batch_size=2", "optimizer.zero_stage=1"),
        model=(
            "model.dtype=bfloat16",
            "optimizer.accumulate_grad_in_fp32=true",
            "model.model_config.tau=learned",
        ),
        tolerance=1e-3,  # sums over a batch are rounded to 8 bits
    ),
    "tp and ZeRO-1": Layout(
        ranks=4,
        settings=("parallelism.tp=2", "parallelism.dp=2", "tokens.micro_batch_size=2", "optimizer.zero_stage=1"),
        model=(
            "model.model_config={is_llama_config: true, vocab_size: 384, max_position_embeddings: 32, hidden_size: 32, "
            "intermediate_size: 48, num_hidden_layers: 1, num_attention_heads: 4, num_key_value_heads: 2, "
            "tie_word_embeddings: false}",
        ),
    ),
}
