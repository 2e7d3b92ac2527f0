"""What is kept of a target's own run: copies of text keys and values."""

import logging
import threading

import comfy.model_management
import torch

_ALIGNED = 64  # bytes
_CPU = torch.device("cpu")


class Store:
    """In the computer's memory, whatever card the model is on; what one call leaves is one piece of it.

    Its size: calls x layers x 2 x rows x tokens x channels; 115 MB for SD3-medium's layer 10 at 28 steps and 333 tokens in 16 bit.
    """

    def __init__(self):
        self._calls = {}  # key -> {layer: [parts, ...]}
        self._said = False
        self._lock = threading.Lock()  # ComfyUI calls the model in a thread for each card

    def add(self, records, to_come):
        """records: {key: {layer: parts}} of one call; a key's rows are added to those it has. to_come: how many more such calls are
        expected. Raises RuntimeError, before anything is taken, where they would need more memory than is free."""
        with self._lock:
            tensors = [part for layers in records.values() for parts in layers.values() for part in parts]
            size = sum(map(_room, tensors))
            self._check(size, to_come)
            piece, used = torch.empty(size, dtype=torch.uint8), 0
            for key, layers in records.items():
                for name, parts in layers.items():
                    copies = []
                    for part in parts:
                        bytes_ = piece[used : used + part.numel() * part.element_size()]
                        copies.append(bytes_.view(part.dtype).view(part.shape).copy_(part.detach()))
                        used += _room(part)
                    self._calls.setdefault(key, {}).setdefault(name, []).append(tuple(copies))

    def get(self, key, layer):
        """The parts of all rows that were added under a key, or None."""
        pieces = self._calls.get(key, {}).get(layer)
        if pieces is None or len(pieces) == 1:
            return pieces and pieces[0]
        return tuple(map(torch.cat, zip(*pieces, strict=True)))

    def has(self, layer):
        return any(layer in layers for layers in self._calls.values())

    def _check(self, size, to_come):
        needed, free = size * (1 + to_come), comfy.model_management.get_free_memory(_CPU)
        if needed > free:
            raise RuntimeError(
                f"The target's own run would keep {_gigabytes(needed)} of keys and values, and {_gigabytes(free)} of memory are free. "
                "Choose fewer text layers, or the method that evaluates the target on the source's latents, which keeps nothing."
            )
        if not self._said and size:
            self._said = True
            logging.info("The target's own run keeps %s of text keys and values in memory.", _gigabytes(needed))


def _room(tensor):
    return -(-tensor.numel() * tensor.element_size() // _ALIGNED) * _ALIGNED


def _gigabytes(size):
    return f"{size / 2**30:.2f} GB" if size >= 2**28 else f"{size / 2**20:.1f} MB"
