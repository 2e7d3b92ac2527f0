"""LoRA files that the pack writes.

save     under ComfyUI's output folder, where its loaders look too
write    anywhere
"""

import hashlib
from datetime import datetime, timezone
from pathlib import Path

import folder_paths
from safetensors.torch import save as serialize
from safetensors.torch import save_file


def save(lora, prefix):
    """lora: metadata.LoraTensors. Writes PREFIX_00001_.safetensors, or the next free number, under ComfyUI's output folder; returns its
    path.

    Raises ValueError when the prefix leads out of that folder.
    """
    try:
        folder, name, number, _, _ = folder_paths.get_save_image_path(prefix, folder_paths.get_output_directory())
    except Exception as error:  # ComfyUI raises a bare one
        raise ValueError(f"The file cannot be written to {prefix}: it must lie inside ComfyUI's output folder.") from error
    return write(lora, Path(folder) / f"{name}_{number:05}_.safetensors")


def write(lora, path):
    """lora: metadata.LoraTensors. Returns the path."""
    about = {
        "modelspec.title": path.stem,
        "modelspec.date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "modelspec.hash_sha256": f"0x{_hash(lora)}",
    }
    save_file(lora, path, lora.metadata | about)
    return path


def _hash(tensors):
    """SHA-256 of a safetensors file without its header, so that metadata do not change it."""
    data = serialize(tensors)
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
