"""LoRA files that the pack writes.

save          under ComfyUI's output folder, where its loaders look too; without metadata where ComfyUI runs with --disable-metadata
write         anywhere
packed        the bytes of a file
unpacked      its tensors and metadata
"""

import hashlib
import json
import os
import re
from datetime import datetime, timezone
from pathlib import Path

import folder_paths
import torch
from comfy.cli_args import args
from safetensors.torch import load as deserialize
from safetensors.torch import save as serialize

from ..patching.messages import is_broken
from ..patching.paths import why, write_whole

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
    folder = _inside_output(prefix)
    try:
        folder, name, number, _, _ = folder_paths.get_save_image_path(Path(prefix).name, str(folder))
        return write(lora, Path(folder) / f"{name}_{number:05}_.safetensors", metadata=not args.disable_metadata)
    except OSError as error:
        raise ValueError(
            f"The LoRA cannot be written to {prefix[:60]} in the output folder: {why(error)}. It is still there: queue again when that is "
            "mended."
        ) from None


def _inside_output(prefix):
    """The folder. ComfyUI's own check takes output/loras for a place outside where it is a link that its owner has made."""
    output = Path(folder_paths.get_output_directory())
    try:
        return Path(folder_paths.get_save_image_path(prefix, str(output))[0])
    except Exception as error:  # ComfyUI raises a bare one
        folder = Path(os.path.normpath(output / prefix)).parent
        if ".." in re.split(r"[/\\]", prefix) or not folder.is_relative_to(os.path.normpath(output)):
            raise ValueError(f"The file cannot be written to {prefix[:60]}: it must lie inside ComfyUI's output folder.") from error
        return folder


def write(lora, path, metadata=True):
    """lora: metadata.LoraTensors; metadata: whether they go into the file. Returns the path."""
    write_whole(packed(lora, path.stem, metadata), path)
    return path


def packed(lora, title, metadata=True):
    """lora: metadata.LoraTensors -> the bytes of its file."""
    # Tensors of pickles may be views of others, which safetensors does not take.
    tensors = {key: t.detach().cpu().clone(memory_format=torch.contiguous_format) for key, t in lora.items()}
    about = {
        "modelspec.title": title,
        "modelspec.date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "modelspec.hash_sha256": f"0x{_hash(tensors)}",
    }
    return serialize(tensors, lora.metadata | about if metadata else None)


def unpacked(data):
    """Bytes of a safetensors file -> (tensors, metadata). Raises SafetensorError for what is none."""
    tensors = deserialize(data)
    return tensors, json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})


def _hash(tensors):
    """SHA-256 of a safetensors file without its header, so that metadata do not change it."""
    data = serialize(tensors)
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
