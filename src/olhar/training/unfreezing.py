"""Which parts of a pretrained network are trained when, and how fast.

Sources: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification",
sections 3.2 (a learning rate that falls by 2.6 from each part to the one before) and 3.3 (one more
part thawed each epoch, the last first).
"""

from __future__ import annotations

import itertools

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from olhar.networks.weights import find_head

_BODY_STAGES = 4
_LR_FALL = 2.6


class Stages:
    """A network in parts from input to output; the last is its head alone.

    Batch norms keep their running statistics throughout, in thawed parts too: those of a few small
    batches are worse than those that the network came with.
    """

    def __init__(self, network: nn.Module, body_stages: int = _BODY_STAGES) -> None:
        head = network.get_submodule(find_head(network))
        body = [
            module
            for module in network.modules()
            if module is not head and next(module.parameters(recurse=False), None) is not None
        ]
        count = min(body_stages, len(body))
        cuts = [len(body) * index // count for index in range(count + 1)] if count else [0]
        self.parts = [body[start:end] for start, end in itertools.pairwise(cuts)]
        self.parts.append([head])
        self._norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]

    def parameters(self, part: int) -> list[nn.Parameter]:
        """The weights of a part."""
        return [p for module in self.parts[part] for p in module.parameters(recurse=False)]

    def lr_shares(self) -> dict[int, float]:
        """The share of the learning rate that each weight gets, by its id."""
        last = len(self.parts) - 1
        return {
            id(weight): _LR_FALL ** (part - last)
            for part in range(last + 1)
            for weight in self.parameters(part)
        }

    def enter(self, epoch: int) -> None:
        """Freeze what epoch `epoch` does not train: of the first, all but the head."""
        for part in range(len(self.parts)):
            thawed = part >= len(self.parts) - epoch
            for weight in self.parameters(part):
                weight.requires_grad_(thawed)
        for norm in self._norms:
            norm.eval()
