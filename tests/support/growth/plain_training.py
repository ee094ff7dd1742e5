"""AdamW on the plain models, in one process, with growth between two steps."""

import torch
from torch.nn import functional

from tests.support.growth.plain_models import grown, logits, of_sources, random_parameters
from tokenformer.growth.operator import Transition

EPS = 1e-12  # the law of moments holds where Adam's eps does not matter


def next_batch(step: int, vocabulary: int, size: int = 4, length: int = 12) -> torch.Tensor:
    """Text with something to learn, [size, length + 1]: each token is one of three that follow from the last."""
    generator = torch.Generator().manual_seed(step)
    text = [torch.randint(vocabulary, (size,), generator=generator)]
    for choice in torch.randint(3, (size, length), generator=generator).unbind(1):
        text.append((5 * text[-1] + 7 * choice + 1) % vocabulary)
    return torch.stack(text, 1)


def loss_of(parameters, config, batch: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits(parameters, config, batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


def gradients(parameters, config, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in parameters.items()}
    loss_of(leaves, config, batch).backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


class Training:
    """Parameters, and an optimizer with a learning rate for each; decay times rate is the same for all.

    Args:
        rates: learning rate by parameter.
        decay: learning rate times weight decay, the share of every weight that a step takes away.
        step: steps done.
    """

    def __init__(self, config, parameters, rates: dict[str, float], decay: float = 0.0, step: int = 0):
        self.config, self.rates, self.decay, self.step = config, rates, decay, step
        self.parameters = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
        groups = [
            {"params": [parameter], "lr": rates[name], "weight_decay": decay / rates[name]}
            for name, parameter in self.parameters.items()
        ]
        self.optimizer = torch.optim.AdamW(groups, eps=EPS, betas=(0.9, 0.95))

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    def run(self, steps: int) -> list[float]:
        """The loss before each step."""
        losses = []
        for _ in range(steps):
            loss = loss_of(self.parameters, self.config, next_batch(self.step, self.config.vocab_size))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
            self.step += 1
        return losses

    def grown(self, operator, follow_rates: bool = True) -> "Training":
        """A training that goes on from here with the grown model; this one stays as it is."""
        parameters, after = grown(operator, self.config, self.weights())
        transition = Transition(operator, self.config, after)
        rates, moments = {}, {}
        for name in parameters:
            growth = transition.growth_of(name)
            factor = growth.learning_rate_factor if follow_rates else 1.0
            states = of_sources(transition, name, self._states())
            rates[name] = factor * of_sources(transition, name, self.rates)[-1]
            moments[name] = {"step": states[0]["step"].clone()}
            for power, key in ((1, "exp_avg"), (2, "exp_avg_sq")):
                moments[name][key] = growth.moment(*(state[key] for state in states), power=power).clone()
        result = Training(after, parameters, rates, self.decay, self.step)
        for name, state in moments.items():
            result.optimizer.state[result.parameters[name]] = state
        return result

    def _states(self) -> dict[str, dict]:
        return {name: self.optimizer.state[parameter] for name, parameter in self.parameters.items()}


def training(config, seed: int = 0, dtype=torch.float64, rate: float = 3e-3, weight_decay: float = 0.0) -> Training:
    parameters = random_parameters(config, seed, dtype)
    return Training(config, parameters, dict.fromkeys(parameters, rate), rate * weight_decay)
