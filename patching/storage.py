"""TEXT_LAYERS files in ComfyUI's models/text_layers, and in what extra_model_paths.yaml adds to it.

names   the files that are there
save    writes one, never over another; where ComfyUI runs with --disable-metadata without where the layers came from and what they were
        found with
load    reads one
version changes when a file does
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import folder_paths
from comfy.cli_args import args

from .messages import shortened
from .paths import stamp, why, within
from .text_layers import TextLayers

FOLDER = "text_layers"
_LARGEST = 2**20  # bytes; a real file has a few hundred, and some thousand with the word pairs of a search
_LONGEST_NAME = 200  # bytes; file systems take 255, and a number and .json come behind
# Windows takes these for devices, whatever stands behind a point, and what is written there is lost.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\s*(\..*)?", re.I)


def _register():
    """ComfyUI reads extra_model_paths.yaml before any pack is loaded, and takes a name that it does not know for folders of any files."""
    own = str(Path(folder_paths.models_dir) / FOLDER)
    others, _ = folder_paths.folder_names_and_paths.get(FOLDER, ([], set()))
    folder_paths.folder_names_and_paths[FOLDER] = ([own, *(other for other in others if other != own)], {".json"})


_register()


def _found():
    """{name: path}; of two files of one name that in the first folder."""
    found = {}
    for root in map(Path, folder_paths.get_folder_paths(FOLDER)):
        for place, files in within(root):
            for file in files:
                if file.lower().endswith(".json") and not file.startswith("."):  # macOS puts ._x.json beside x.json
                    found.setdefault(os.path.relpath(place / file, root), place / file)
    return found


def names():
    return sorted(_found())


def find(name):
    """The path of a file; raises FileNotFoundError for one that is not among names()."""
    found = _found()
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise FileNotFoundError(f"There is no text layers file {shortened(name)} in models/{FOLDER}. There are: {shortened(known, 1000)}.")
    return found[name]


def save(text_layers, name):
    """Writes NAME.json, or NAME 2.json and so on where that is taken by other layers; returns its path."""
    name = name.removesuffix(".json").strip()
    if not re.fullmatch(r"[^\W_][\w .,()+-]{0,99}", name) or len(name.encode()) > _LONGEST_NAME or _DEVICES.fullmatch(name):
        raise ValueError(
            f'"{shortened(name)}" is no good file name: use letters, digits, spaces and . , ( ) + - _, beginning with a letter or digit, '
            "100 characters at most (fewer where they are not Latin), and no name that Windows keeps for itself, such as NUL or COM1."
        )
    folder = Path(folder_paths.get_folder_paths(FOLDER)[0])
    kept = replace(text_layers, source="", record={}) if args.disable_metadata else text_layers
    text = (kept.to_json() + "\n").encode()
    if len(text) > _LARGEST:
        raise ValueError(
            f"These text layers would be a file of {len(text):,} bytes, which could not be loaded again: {_LARGEST:,} are the most. Search "
            "with fewer word pairs, or a shorter prompt; what was found is kept, and is found again at once."
        )
    number = 1
    while True:
        path = folder / (f"{name}.json" if number == 1 else f"{name} {number}.json")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(text)
            return path
        except FileExistsError:
            if not folder.is_dir():
                raise ValueError(f"{path.name} cannot be written: models/{FOLDER} is a file and should be a folder.") from None
            if path.is_file() and path.stat().st_size == len(text) and path.read_bytes() == text:
                return path
            number += 1
        except OSError as error:
            raise ValueError(f"{path.name} cannot be written into models/{FOLDER}: {why(error)}.") from None


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
    """Of a file, whose size does not matter: it is not read. None for one that is not there. name: None where ComfyUI does not tell it,
    because it comes over a link: of all files."""
    found = _found()
    if name is None:
        return stamp(*found.values())
    return stamp(found[name]) if isinstance(name, str) and name in found else None
