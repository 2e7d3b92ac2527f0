"""Files of weights that are fetched when they are first needed.

fetched     the path of a file, downloaded where it is not there
"""

import hashlib
import logging
import os
import shutil
import urllib.request
import zipfile
from pathlib import Path

_CHUNK = 1 << 18
_PATIENCE = 30  # seconds without an answer


def fetched(path, address, digest, what, where):
    """path: of the file; address: what holds it, or a zip that does; digest: ("sha256" or "md5", the file's, as published); what: it is,
    where: its folder as people know it, both for messages. Shows progress and can be interrupted. Raises ConnectionError where it cannot be
    had, ValueError where something else came; nothing is left behind then."""
    path = Path(path)
    if path.is_file() and _digest(path, digest[0]) == digest[1]:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        try:
            _download(address, part, what)
        except OSError as error:  # urllib's errors are, and those of a full disk
            raise ConnectionError(
                f"{what} is not on this machine yet and could not be downloaded from {address} ({getattr(error, 'reason', error)}). "
                f"Connect the machine to the internet this one time, or put {path.name} into {where} by hand."
            ) from None
        if zipfile.is_zipfile(part) and address.endswith(".zip"):
            _unpack(part, path.name)
        if _digest(part, digest[0]) != digest[1]:
            raise ValueError(f"What came from {address} is not the published file {path.name}: it is not used. Try again later.")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _download(address, part, what):
    import comfy.model_management
    import comfy.utils

    with urllib.request.urlopen(address, timeout=_PATIENCE) as answer, part.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        logging.info(f"Downloading {what}, {size / 1e6:.0f} MB, from {address}")
        bar, done = comfy.utils.ProgressBar(max(size, 1)), 0
        while chunk := answer.read(_CHUNK):
            comfy.model_management.throw_exception_if_processing_interrupted()
            file.write(chunk)
            done += len(chunk)
            bar.update_absolute(done, max(size, done))
        if done < size:
            raise ConnectionError("the connection broke off")


def _unpack(part, name):
    """The zip becomes the file of that name in it."""
    inside = part.with_suffix(".inside")
    with zipfile.ZipFile(part) as archive:
        member = next((m for m in archive.namelist() if Path(m).name == name), None)
        if member is not None:
            with archive.open(member) as source, inside.open("wb") as file:
                shutil.copyfileobj(source, file)
            inside.replace(part)


def _digest(path, kind):
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, kind).hexdigest() if hasattr(hashlib, "file_digest") else hashlib.new(kind, file.read()).hexdigest()
        )
