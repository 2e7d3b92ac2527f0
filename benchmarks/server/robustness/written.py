"""What a server has written, and where it may.

snapshot    files around a server's base folder
outside     those that came, changed or went where it may not write
"""

import tempfile
from pathlib import Path

from ....testing.comfy_server import ROOT
from .hostile import STOLEN

# Below the base folder; the last ones are ComfyUI's own.
_ALLOWED = ("output", "temp", "user", "models/text_layers", "server.log", "comfyui.db", "comfyui.db.lock", "comfyui.db-journal")
_NOT_LOOKED_AT = {"__pycache__", ".git", ".dev", ".ruff_cache", "custom_nodes"}


def snapshot(base, comfyui, whole=()):
    """{path: (size, time of change)}: all of the folder around base and of the folders `whole`; in others what has a name from the
    hostile file names."""
    found = {}
    for folder in (base.parent, *whole):
        found |= _files(folder)
    for folder in {*base.parents, ROOT, comfyui, Path(tempfile.gettempdir()), Path("/tmp"), Path.home(), Path.cwd(), Path("/")}:
        found |= {path: _status(path) for path in _inside(folder) if STOLEN in path.name}
    return found


def outside(before, after, base):
    """Sorted paths, as text."""
    changed = [path for path in {*before, *after} if before.get(path) != after.get(path)]
    return sorted(str(path) for path in changed if not _may_write(path, base))


def _may_write(path, base):
    try:
        inside = path.relative_to(base).as_posix()
    except ValueError:
        return False
    return any(inside == allowed or inside.startswith(f"{allowed}/") for allowed in _ALLOWED)


def _files(folder):
    found, waiting = {}, [folder]
    while waiting:
        for path in _inside(waiting.pop()):
            if path.name in _NOT_LOOKED_AT or path.is_symlink():
                continue
            if path.is_dir():
                waiting.append(path)
            else:
                found[path] = _status(path)
    return found


def _inside(folder):
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _status(path):
    status = path.lstat()
    return status.st_size, status.st_mtime_ns
