"""LoRA files that the pack writes.

save     under ComfyUI's output folder, where its loaders look too; without metadata where ComfyUI runs with --disable-metadata
write    anywhere
"""

import hashlib
import re
from datetime import datetime, timezone
from pathlib import Path

import folder_paths
import torch
from comfy.cli_args import args
from safetensors import SafetensorError
from safetensors.torch import save as serialize
from safetensors.torch import save_file

from ..patching.messages import is_broken
from ..patching.places import why
from .metadata import LoraTensors

_LONGEST_NAME = 200  # bytes; file systems take 255, and a number and the ending come behind


def save(lora, prefix):
    """lora: metadata.LoraTensors. Writes PREFIX_00001_.safetensors, or the next free number, under ComfyUI's output folder; returns its
    path.

    Raises ValueError when the prefix leads out of that folder, and for a name that no file can have.
    """
    if any(len(part.encode("utf-8", "replace")) > _LONGEST_NAME for part in re.split(r"[/\\]", prefix)):
        longest = f"{_LONGEST_NAME} characters at most, fewer where they are not Latin"
        raise ValueError(f"The file name {prefix[:60]}... is too long: take {longest}.")
    if is_broken(prefix) or any(c < " " for c in prefix):
        raise ValueError(f"The file name {prefix!a:.60} holds characters that no file name can have. Type it again.")
    try:
        folder, name, number, _, _ = folder_paths.get_save_image_path(prefix, folder_paths.get_output_directory())
    except OSError as error:
        raise ValueError(f"The LoRA cannot be written to {prefix[:60]} in the output folder: {why(error)}.") from None
    except Exception as error:  # ComfyUI raises a bare one
        raise ValueError(f"The file cannot be written to {prefix[:60]}: it must lie inside ComfyUI's output folder.") from error
    try:
        return write(lora, Path(folder) / f"{name}_{number:05}_.safetensors", metadata=not args.disable_metadata)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"The LoRA cannot be written to {prefix[:60]} in the output folder: {why(error)}.") from None


def write(lora, path, metadata=True):
    """lora: metadata.LoraTensors; metadata: whether they go into the file. Returns the path. When the disk is full, no half of a file stays
    behind."""
    # Tensors of pickles may be views of others, which safetensors does not take.
    lora = LoraTensors({key: t.detach().cpu().clone(memory_format=torch.contiguous_format) for key, t in lora.items()}, lora.metadata)
    about = {
        "modelspec.title": path.stem,
        "modelspec.date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "modelspec.hash_sha256": f"0x{_hash(lora)}",
    }
    try:
        save_file(lora, path, lora.metadata | about if metadata else None)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _hash(tensors):
    """SHA-256 of a safetensors file without its header, so that metadata do not change it."""
    data = serialize(tensors)
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
