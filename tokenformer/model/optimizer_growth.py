"""A torch optimizer that goes on when a parameter is replaced by a longer one."""

import functools
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

_REPLACED = "replaced_by_growth"
# What new rows get where it is not zero: Rprop's first step is the learning rate, ASGD averages the weights.
_FIRST_STATES = {"step_size": lambda group, new: group["lr"], "ax": lambda group, new: new}


def _is_of_rows(state: Any) -> bool:
    """Tells whether a state is about elements; all others are counts or scalars, which go on."""
    return isinstance(state, torch.Tensor) and state.dim() > 0 and state.numel() > 1


def check_can_grow(optimizer: torch.optim.Optimizer, parameters: dict[str, torch.nn.Parameter]) -> None:
    """Refuses an optimizer that could not go on with longer parameters.

    Args:
        parameters: those that are to be replaced, by name.

    Raises:
        ValueError: one that is trained is not in the optimizer, or its state has another shape than it.
    """
    held = {id(param) for group in optimizer.param_groups for param in group["params"]}
    for name, param in parameters.items():
        if id(param) not in held:
            if param.requires_grad:
                raise ValueError(f"the optimizer does not hold {name} of this layer; give the one that trains it")
            continue
        for key, state in optimizer.state.get(param, {}).items():
            if isinstance(state, list | dict) or (_is_of_rows(state) and state.shape != param.shape):
                raise ValueError(
                    f"{type(optimizer).__name__} keeps a {key} that is not of the shape of {name}, so it cannot go on "
                    "with more tokens; grow without an optimizer, and make a new one"
                )


@torch.no_grad()
def carry_over(optimizer: torch.optim.Optimizer, old: torch.nn.Parameter, new: torch.nn.Parameter) -> None:
    """Puts `new` in the place of `old`, whose rows are its first; what is known of them stays.

    States of new rows begin as for a new parameter: at zero, with few exceptions.
    """
    for group in optimizer.param_groups:
        places = [index for index, param in enumerate(group["params"]) if param is old]
        for index in places:
            group["params"][index] = new
        if places and old in optimizer.state:
            optimizer.state[new] = {
                key: _grown(key, state, old, new, group) for key, state in optimizer.state.pop(old).items()
            }


def _grown(key: str, state: Any, old: torch.nn.Parameter, new: torch.nn.Parameter, group: dict[str, Any]) -> Any:
    if not isinstance(state, torch.Tensor) or state.dim() == 0 or state.shape != old.shape:
        return state
    rows = state.new_zeros(len(new) - len(old), *state.shape[1:])
    if key in _FIRST_STATES:
        first = _FIRST_STATES[key](group, new[len(old) :])
        rows.copy_(first) if isinstance(first, torch.Tensor) else rows.fill_(first)
    return torch.cat([state, rows])


def mark_as_replaced(param: torch.nn.Parameter) -> None:
    """Makes an optimizer that holds this parameter raise from now on, in place of a step that would train nothing."""
    setattr(param, _REPLACED, True)
    _watch_steps()


def _refuse_replaced(optimizer: torch.optim.Optimizer, *_) -> None:
    if any(hasattr(param, _REPLACED) for group in optimizer.param_groups for param in group["params"]):
        raise RuntimeError(
            f"this {type(optimizer).__name__} holds parameters from before a Pattention layer grew, so it would train "
            "nothing: call layer.grow(tokens, optimizer=optimizer), or make a new optimizer after growth"
        )


@functools.cache
def _watch_steps() -> None:
    register_optimizer_step_pre_hook(_refuse_replaced)
