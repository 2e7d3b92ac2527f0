"""Results kept on disk while a search runs, so that it goes on where it stopped.

Memory      small results by key, pictures' latents by key, for a sweep that nobody goes on with
CellStore   the same in one folder for one sweep
tidy        keeps the folders of all sweeps together below a bound

Any number of processes may write into one folder, be killed at any moment or find the disk full. Each process appends to a file
of its own, one result a line with its checksum; a line that was not finished is not read and its cell is computed again.
"""

import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..patching.paths import shown, why

_MOST = 4 * 2**30  # bytes of all sweeps together; one of 100 pairs and 70 layers writes about 2
_IN_USE = 24 * 3600  # seconds; another process may be at work on what was touched since
_LARGEST = 2**28  # bytes of one file of results; a search writes some hundred kilobytes


class Memory:
    problem: str | None = None

    def __init__(self):
        self._results, self._arrays = {}, {}

    def __len__(self):
        return len(self._results)

    def get(self, key):
        """The result of a cell, or None."""
        return self._results.get(key)

    def put(self, key, result):
        """result: JSON values."""
        self._results[key] = result

    def get_array(self, key):
        """float32 [...] or None."""
        return self._arrays.get(key)

    def put_array(self, key, array):
        self._arrays[key] = np.ascontiguousarray(array, np.float32)

    def refresh(self):
        """Nobody else puts anything in."""

    def close(self):
        """Nothing is open."""


class CellStore(Memory):
    """folder: made when it is missing. When the disk refuses, results stay in memory and `problem` says why they are not kept."""

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)
        self._file, self._sizes = None, {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._refused(error)
        self.refresh()

    def refresh(self):
        """Reads what other processes have put into the folder since."""
        for path in sorted(self.folder.glob("*.cells")):
            self._read(path)

    def _read(self, path):
        try:
            if path.stat().st_size == self._sizes.get(path):
                return
            self._sizes[path] = path.stat().st_size
            if self._sizes[path] > _LARGEST:
                raise OSError(f"it is larger than {_LARGEST} bytes")
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            logging.warning("Text layers: %s is not read (%s); its cells are computed again.", path, error)
            return
        for line in lines:
            checksum, _, text = line.partition(b" ")
            if text and checksum == _checksum(text):
                key, result = json.loads(text)
                self._results[key] = result

    def put(self, key, result):
        super().put(key, result)
        text = json.dumps([key, result]).encode()
        try:
            if self._file is None:
                self._file = open(self.folder / f"{uuid.uuid4().hex}.cells", "ab", buffering=0)  # noqa: SIM115 kept open
            self._file.write(b"\n" + _checksum(text) + b" " + text + b"\n")  # a line begun by a failed write ends here
        except OSError as error:
            self._refused(error)

    def get_array(self, key):
        if key not in self._arrays:
            try:
                with (self.folder / f"{key}.latent").open("rb") as file:
                    checksum, data = file.read(64), file.read()
                if checksum != _checksum(data):
                    return None
                shape, numbers = data.split(b"\n", 1)
                return np.frombuffer(numbers, np.float32).reshape(json.loads(shape)).copy()
            except (OSError, ValueError):
                return None
        return self._arrays[key]

    def put_array(self, key, array):
        array = np.ascontiguousarray(array, np.float32)
        data = json.dumps(array.shape).encode() + b"\n" + array.tobytes()
        part = self.folder / f"{key}.{uuid.uuid4().hex}.part"
        try:
            part.write_bytes(_checksum(data) + data)
            os.replace(part, self.folder / f"{key}.latent")
        except OSError as error:
            self._arrays[key] = array
            self._refused(error)
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _refused(self, error):
        if self.problem is None:
            self.problem = f"Results could not be kept in {shown(self.folder)}: {why(error)}. A search that is stopped will begin anew."
            logging.warning("Text layers: %s", self.problem)

    def close(self):
        if self._file is not None:
            self._file.close()
            self._file = None


def tidy(folder, most=_MOST):
    """Removes the sweeps that were left alone for longest, until the others have at most so many bytes. Those of the last day stay."""
    sweeps = []
    for sweep in Path(folder).glob("*/"):
        states = [path.stat() for path in (sweep, *sweep.iterdir()) if path.exists()]
        sweeps.append((max(state.st_mtime for state in states), sum(state.st_size for state in states), sweep))
    total = sum(size for _, size, _ in sweeps)
    for touched, size, sweep in sorted(sweeps):
        if total <= most or touched > time.time() - _IN_USE:
            return
        shutil.rmtree(sweep, ignore_errors=True)
        total -= size


def _checksum(data):
    return hashlib.sha256(data).hexdigest().encode()
