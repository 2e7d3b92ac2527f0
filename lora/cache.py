"""Latents and encoded captions on disk, so that the next training begins at once.

Cache   of one model's files
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from ..patching.paths import write_whole
from .storage import unpacked

_EMBEDDINGS = "the embeddings"


class Cache:
    """folder: None for none; files: of the model, and clip_type: how its text encoders are read, which say whose latents and captions they
    are."""

    def __init__(self, folder, files, clip_type):
        self._folder = folder and Path(folder)
        whose = [(str(Path(file).resolve()), Path(file).stat().st_size, Path(file).stat().st_mtime_ns) for file in files]
        self._whose = repr((whose, clip_type)).encode()

    def latent(self, picture, make):
        """picture: IMAGE of one; make(picture) -> its latent [channels, height, width]"""
        path = self._path(b"picture" + repr(picture.shape).encode() + picture.numpy().tobytes())
        kept = path and _read(path)
        if kept:
            return kept[0]["latent"]
        latent = make(picture)
        if path:
            _write(path, {"latent": latent}, {})
        return latent

    def prompt(self, caption, make):
        """make(caption) -> CONDITIONING; one that holds more than tensors and plain values is not kept, nor is one that names a file of
        embeddings, which may be another one tomorrow."""
        path = None if "embedding:" in caption else self._path(b"caption" + caption.encode())
        kept = path and _read(path)
        if kept:
            tensors, plain = kept
            return [[tensors.pop(_EMBEDDINGS), tensors | plain]]
        conditioning = make(caption)
        ((embeddings, extra), *others) = conditioning
        tensors = {name: value for name, value in extra.items() if torch.is_tensor(value)}
        plain = {name: value for name, value in extra.items() if not torch.is_tensor(value)}
        if path and not others and all(isinstance(value, bool | int | float | str | None) for value in plain.values()):
            _write(path, {_EMBEDDINGS: embeddings, **tensors}, plain)
        return conditioning

    def _path(self, what):
        return self._folder and self._folder / f"{hashlib.sha256(self._whose + what).hexdigest()}.safetensors"


def _read(path):
    """(tensors, plain values); None where nothing is kept, or it is damaged."""
    try:
        tensors, about = unpacked(path.read_bytes())
        return tensors, json.loads(about["plain"])
    except (OSError, SafetensorError, ValueError, KeyError):
        return None


def _write(path, tensors, plain):
    write_whole(save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, {"plain": json.dumps(plain)}), path)
