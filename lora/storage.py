"""LoRA files that the pack writes, in ComfyUI's output/loras, where its loaders look too."""

from pathlib import Path

import folder_paths
from safetensors.torch import save_file


def save(tensors, name):
    """Writes NAME_00001_.safetensors, or the next free number; returns its path."""
    prefix = Path("loras") / name
    folder, name, number, _, _ = folder_paths.get_save_image_path(str(prefix), folder_paths.get_output_directory())
    path = Path(folder) / f"{name}_{number:05}_.safetensors"
    save_file(tensors, path)
    return path
