"""Collectives over gloo, as Nanotron calls them."""

import pytest
import torch

from tokenformer.trainer.bridge.cpu_host import _in_place


class Group:
    def __init__(self, ranks: int):
        self.ranks = ranks

    def size(self) -> int:
        return self.ranks


@pytest.mark.parametrize(
    ("group", "asynchronous", "called"),
    [(Group(1), False, False), (Group(1), True, True), (Group(2), False, True), (None, False, True)],
)
def test_a_group_of_one_has_nothing_to_sum(group, asynchronous, called):
    calls = []

    def collective(tensor, op=None, group=None, async_op=False):
        calls.append((tensor.requires_grad, op, group, async_op))

    parameter = torch.nn.Parameter(torch.ones(2))
    _in_place(collective)(parameter, op="sum", group=group, async_op=asynchronous)
    assert calls == ([(False, "sum", group, asynchronous)] if called else [])
