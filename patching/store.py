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
        self._kept = {}  # all of a key but its last part -> [(last part, parts)]
        self._size, self._said = 0, False
        self._lock = threading.Lock()  # ComfyUI calls the model in a thread for each card

    def pieces(self, key):
        """[(last part of the key, parts)] of what was added under keys that begin so."""
        return self._kept.get(key, ())

    def add(self, records, to_come=0.0):
        """records: {key: parts} of one call, keys being tuples; to_come: how many times as much as is kept by then is expected after it.
        Raises RuntimeError, before anything is taken, where that would need more memory than is free."""
        size = sum(_room(part) for parts in records.values() for part in parts)
        with self._lock:
            self._check(size + (self._size + size) * to_come)
            self._size += size
            device = next((part.device for parts in records.values() for part in parts), _CPU)
            piece, used, places = torch.empty(size, dtype=torch.uint8, device=device), 0, {}
            for key, parts in records.items():
                places[key] = []
                for part in parts:
                    _at(piece, used, part).copy_(part.detach())
                    places[key].append(used)
                    used += _room(part)
            piece = piece.to(_CPU)  # from a card in one go
            for key, parts in records.items():
                copies = tuple(_at(piece, place, part) for place, part in zip(places[key], parts, strict=True))
                self._kept.setdefault(key[:-1], []).append((key[-1], copies))

    def _check(self, needed):
        free = comfy.model_management.get_free_memory(_CPU)
        if needed > free:
            raise RuntimeError(
                f"The target's own run would keep {_gigabytes(needed)} more of keys and values, and {_gigabytes(free)} of memory are free. "
                "Choose fewer text layers, or the method that evaluates the target on the source's latents, which keeps nothing."
            )
        if not self._said and needed:
            self._said = True
            logging.info("The target's own run keeps %s of text keys and values in memory.", _gigabytes(needed))


def _at(piece, place, like):
    """The part of a piece of memory that begins at this byte, as a tensor like another."""
    return piece[place : place + like.numel() * like.element_size()].view(like.dtype).view(like.shape)


def _room(tensor):
    return -(-tensor.numel() * tensor.element_size() // _ALIGNED) * _ALIGNED


def _gigabytes(size):
    return f"{size / 2**30:.2f} GB" if size >= 2**28 else f"{size / 2**20:.1f} MB"
