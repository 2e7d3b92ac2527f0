"""TEXT_LAYERS files in ComfyUI's models/text_layers.

names   the files that are there
save    writes one, never over another
load    reads one
"""

import re
from pathlib import Path

import folder_paths

from .text_layers import TextLayers

FOLDER = "text_layers"
_LARGEST = 2**20  # bytes; a real file has a few hundred

if FOLDER not in folder_paths.folder_names_and_paths:
    folder_paths.folder_names_and_paths[FOLDER] = ([str(Path(folder_paths.models_dir) / FOLDER)], {".json"})


def names():
    return folder_paths.get_filename_list(FOLDER)


def find(name):
    """The path of a file; raises FileNotFoundError for one that is not among names()."""
    if name not in names():
        known = ", ".join(names()) or "none"
        raise FileNotFoundError(f"There is no text layers file {name} in models/{FOLDER}. There are: {known}.")
    return Path(folder_paths.get_full_path_or_raise(FOLDER, name))


def save(text_layers, name):
    """Writes NAME.json, or NAME 2.json and so on where that is taken by other layers; returns its path."""
    name = name.removesuffix(".json").strip()
    if not re.fullmatch(r"[^\W_][\w .,()+-]{0,99}", name):
        raise ValueError(
            f'"{name}" is no good file name: use letters, digits, spaces and . , ( ) + - _, beginning with a letter or digit, '
            "100 characters at most."
        )
    folder = Path(folder_paths.get_folder_paths(FOLDER)[0])
    folder.mkdir(parents=True, exist_ok=True)
    text = text_layers.to_json() + "\n"
    number = 1
    while True:
        path = folder / (f"{name}.json" if number == 1 else f"{name} {number}.json")
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            return path
        except FileExistsError:
            if path.is_file() and path.read_text("utf-8") == text:
                return path
            number += 1


def load(name):
    """Raises ValueError that names the file and what is wrong with it."""
    path = find(name)
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{name} is larger than any text layers file: {path.stat().st_size} bytes.")
    try:
        return TextLayers.from_json(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
