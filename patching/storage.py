"""TEXT_LAYERS files in ComfyUI's models/text_layers.

names   the files that are there
save    writes one, never over another
load    reads one
version changes when a file does
"""

import re
from pathlib import Path

import folder_paths

from .messages import shortened
from .text_layers import TextLayers

FOLDER = "text_layers"
_LARGEST = 2**20  # bytes; a real file has a few hundred
_LONGEST_NAME = 200  # bytes; file systems take 255, and a number and .json come behind
# Windows takes these for devices, whatever stands behind a point, and what is written there is lost.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\s*(\..*)?", re.I)

if FOLDER not in folder_paths.folder_names_and_paths:
    folder_paths.folder_names_and_paths[FOLDER] = ([str(Path(folder_paths.models_dir) / FOLDER)], {".json"})


def names():
    return folder_paths.get_filename_list(FOLDER)


def find(name):
    """The path of a file; raises FileNotFoundError for one that is not among names()."""
    if name not in names():
        known = ", ".join(names()) or "none"
        raise FileNotFoundError(f"There is no text layers file {shortened(name)} in models/{FOLDER}. There are: {known}.")
    return Path(folder_paths.get_full_path_or_raise(FOLDER, name))


def save(text_layers, name):
    """Writes NAME.json, or NAME 2.json and so on where that is taken by other layers; returns its path."""
    name = name.removesuffix(".json").strip()
    if not re.fullmatch(r"[^\W_][\w .,()+-]{0,99}", name) or len(name.encode()) > _LONGEST_NAME or _DEVICES.fullmatch(name):
        raise ValueError(
            f'"{shortened(name)}" is no good file name: use letters, digits, spaces and . , ( ) + - _, beginning with a letter or digit, '
            "100 characters at most (fewer where they are not Latin), and no name that Windows keeps for itself, such as NUL or COM1."
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
    except UnicodeDecodeError:
        problem = "This is not a text layers file: it holds no UTF-8 text. Save it as UTF-8, or choose another file."
        raise ValueError(f"{name}: {problem}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def version(name):
    """Of a file, whose size does not matter: it is not read. None for one that is not there."""
    if name not in names():
        return None
    status = find(name).stat()
    return f"{name} {status.st_size} {status.st_mtime_ns}"
