"""Captions of a folder of pictures, in the forms of the usual trainers.

read_captions    what each picture shows
"""

import csv
import io
import json
import unicodedata
from pathlib import Path, PurePosixPath

from .encodings import read_texts

_TABLES = ("metadata.jsonl", "metadata.csv")  # diffusers'
_COLUMNS = ("text", "caption", "prompt")
_SIDECARS = (".txt", ".caption")  # kohya's and others'


def read_captions(folder, paths):
    """{path: caption} of the pictures that have one: from a metadata.jsonl or metadata.csv with the columns file_name and text, caption or
    prompt; otherwise from a file beside each, a.txt, a.caption or a.png.txt for a.png. Names may differ in case, slashes and the
    way accents are written, as between Windows, macOS and Linux. Raises ValueError for a table that is wrong."""
    for name in _TABLES:
        if (folder / name).is_file():
            captions = _from_table(folder / name, paths)
            if captions:
                return captions
    files = _Names(folder, [file for parent in {path.parent for path in paths} for file in parent.iterdir() if _is_sidecar(file)])
    beside = {}
    for path in paths:
        name = path.relative_to(folder)
        asked = [name.with_name(stem + suffix) for stem in (name.name, name.stem) for suffix in _SIDECARS]
        found = next(filter(None, map(files.find, asked)), None)
        if found:
            beside[path] = found
    texts = read_texts(dict.fromkeys(beside.values()))
    return {path: texts[file].strip() for path, file in beside.items()}


def _is_sidecar(file):
    return file.suffix.lower() in _SIDECARS and file.is_file()


class _Names:
    """Files by their names below a folder: first exactly, then as another system may have written them."""

    def __init__(self, folder, paths):
        self._exact = {path.relative_to(folder): path for path in paths}
        self._alike = {}
        for name, path in self._exact.items():
            self._alike.setdefault(_folded(name), []).append(path)

    def find(self, name):
        """None for a name that is of none, or might be of several."""
        alike = self._alike.get(_folded(name), [])
        return self._exact.get(Path(name)) or (alike[0] if len(alike) == 1 else None)


def _folded(name):
    return unicodedata.normalize("NFC", str(PurePosixPath(str(name).replace("\\", "/")))).casefold()


def _from_table(table, paths):
    pictures, captions = _Names(table.parent, paths), {}
    (text,) = read_texts([table]).values()
    for line, row in (_csv if table.suffix == ".csv" else _jsonl)(table, text):
        name, caption = row["file_name"], next((row[column] for column in _COLUMNS if column in row), None)
        if not isinstance(name, str) or not isinstance(caption, str):
            raise _wrong(table, line)
        path = pictures.find(name)
        if path is None:
            raise ValueError(f"{table}, line {line}, names {name}, which is not among the pictures of the folder.")
        if captions.setdefault(path, caption) != caption:
            raise ValueError(f"{table}, line {line}, gives {name} a second caption.")
    return captions


def _jsonl(table, text):
    for line, content in enumerate(text.split("\n"), 1):  # not splitlines(): JSON may hold other line ends, such as U+2028
        if content.strip():
            try:
                row = json.loads(content)
            except ValueError:
                raise _wrong(table, line) from None
            if not isinstance(row, dict) or "file_name" not in row:
                raise _wrong(table, line)
            yield line, row


def _csv(table, text):
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for row in rows:
            if "file_name" not in row:
                raise _wrong(table, rows.line_num)
            if None in row:
                raise ValueError(f'{table}, line {rows.line_num}, has more fields than columns: write "..." around a caption with commas.')
            yield rows.line_num, row
    except csv.Error as error:
        raise ValueError(f"{table}, line {rows.line_num}: {error}.") from None


def _wrong(table, line):
    return ValueError(f"{table}, line {line}: each should have file_name and {', '.join(_COLUMNS[:-1])} or {_COLUMNS[-1]}.")
