"""An unfinished training as a file.

State    all that it takes to go on as if the training had not stopped
read     a file -> State
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from .storage import unpacked

ENDING = ".training"
_KIND = "text layers training 1"
_WEIGHT, _BEST, _OPTIMIZER, _LOSSES = "weight.", "best.", "optimizer.", "losses"


@dataclass(frozen=True)
class State:
    """weights: {name: of an adapter}; best: those that drew best, {} where nothing was read; optimizer: of a torch optimizer, its state by
    parameter; losses: of each step so far; about: what else JSON holds (text layers, settings, what the training began with). All tensors
    are copies on the CPU. What is random belongs to a step's number and the seed, so that the number of steps is the place in the data,
    too.
    """

    weights: dict
    optimizer: dict
    losses: list
    about: dict = field(default_factory=dict)
    best: dict = field(default_factory=dict)

    @property
    def step(self):
        return len(self.losses)

    def to_bytes(self):
        tensors = {f"{_WEIGHT}{name}": w for name, w in self.weights.items()} | {f"{_BEST}{name}": w for name, w in self.best.items()}
        tensors[_LOSSES] = torch.tensor(self.losses, dtype=torch.float64)
        plain = {}
        for number, values in self.optimizer.items():
            for name, value in values.items():
                if torch.is_tensor(value):
                    tensors[f"{_OPTIMIZER}{number}.{name}"] = value
                else:
                    plain.setdefault(number, {})[name] = value
        said = {"kind": _KIND, "about": json.dumps(self.about), "optimizer": json.dumps(plain)}
        return save({name: t.contiguous().clone() for name, t in tensors.items()}, said)


def read(path):
    """Raises ValueError for what is no training, or damaged."""
    name = Path(path).name
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}.") from None
    try:
        tensors, said = unpacked(data)
        if said.get("kind") != _KIND:
            raise KeyError("kind")
        optimizer = {int(number): values for number, values in json.loads(said["optimizer"]).items()}
        for key, tensor in tensors.items():
            if key.startswith(_OPTIMIZER):
                number, kind = key.removeprefix(_OPTIMIZER).split(".", 1)
                optimizer.setdefault(int(number), {})[kind] = tensor
        weights, best = ({k.removeprefix(kind): t for k, t in tensors.items() if k.startswith(kind)} for kind in (_WEIGHT, _BEST))
        return State(weights, optimizer, tensors[_LOSSES].tolist(), json.loads(said["about"]), best)
    except (SafetensorError, KeyError, ValueError, AttributeError, TypeError, RecursionError):
        raise ValueError(f"{name} is no training to go on with: it is cut off, damaged, or of another version of this pack.") from None
