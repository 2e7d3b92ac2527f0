"""Files and folders, as people keep them.

within   the folders in a folder, links followed
stamp    changes when one of some files does
why      what keeps a file from being written, for people
write_whole  any file, whole or not at all
shown    a path in ComfyUI's folders, for people who need not know where these lie
"""

import hashlib
import os
from pathlib import Path


def within(root, above=frozenset()):
    """(folder, names of its files) of root and all folders in it. Links are followed, except to a folder in which they lie: for ever."""
    real = os.path.realpath(root)
    if real in above:
        return
    try:
        names = sorted(os.listdir(root))
    except OSError:  # none, or one that may not be read
        return
    yield Path(root), [name for name in names if os.path.isfile(os.path.join(root, name))]
    for path in (os.path.join(root, name) for name in names):
        if os.path.isdir(path):
            yield from within(path, above | {real})


def stamp(*paths):
    """None for no path."""
    states = []
    for path in map(Path, paths):
        try:
            status = path.stat()
        except OSError:  # gone since it was listed
            continue
        states.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(states).encode("utf-8", "replace")).hexdigest() if states else None


def why(error):
    """error: OSError, or safetensors' own."""
    advice = {
        "PermissionError": "ComfyUI may not write there; allow it, or choose another place",
        "NotADirectoryError": "there is a file where a folder should be",
    }
    kind = "PermissionError" if "permission denied" in str(error).lower() else type(error).__name__  # safetensors has one kind for all
    return advice.get(kind) or (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def shown(path):
    """From ComfyUI's folder on, "output/loras/a.safetensors"; the name alone where it lies outside."""
    import folder_paths

    path = Path(path)
    roots = {"output": folder_paths.get_output_directory(), "models": folder_paths.models_dir, "user": folder_paths.get_user_directory()}
    for name, root in roots.items():
        if path.is_relative_to(root):
            return (Path(name) / path.relative_to(root)).as_posix()
    return path.name


def write_whole(data, path):
    """What stood there before is replaced when all is written, and stays otherwise; folders are made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
