"""Texts as people's editors save them.

read_texts    files -> their texts
"""

import codecs
import logging

# The longer mark first: UTF-32's begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# The detector names them as the web does, which means Windows' larger sets by them.
_WINDOWS = {"Shift_JIS": "cp932", "EUC-KR": "cp949", "Big5": "cp950"}
_CONTROL = {chr(code) for code in range(32)} - set("\t\n\v\f\r")


def read_texts(paths):
    """{path: text}. What is neither UTF-8 nor marked is taken to be of one encoding in all of the files: a caption alone has too few
    letters to tell it by. Which one is logged. Raises ValueError that names a file that is no text, or of another encoding."""
    found, others = {}, {}
    for path in paths:
        data = path.read_bytes()
        encoding = _certain(data)
        try:
            found[path] = data.decode(encoding)
        except UnicodeDecodeError:
            if encoding != "utf-8":
                raise _no_text(path, encoding) from None
            others[path] = data
    if others:
        encoding = _guessed(b"\n".join(others.values()))
        for path, data in others.items():
            try:
                found[path] = data.decode(encoding)
            except UnicodeDecodeError:
                raise _no_text(path, encoding) from None
        first = next(iter(others))
        logging.warning("Text layers: %d files, %s for one, are not UTF-8; read as %s.", len(others), first.name, encoding)
    for path, text in found.items():
        if not _CONTROL.isdisjoint(text):
            raise _no_text(path, "text")
    return found


def _certain(data):
    """UTF-8 where nothing says otherwise. In UTF-16 without a mark every other byte of a space or a line end is zero."""
    marked = next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), None)
    if marked or b"\0" not in data:
        return marked or "utf-8"
    return "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"


def _guessed(data):
    from chardetng_py import EncodingDetector

    detector = EncodingDetector()
    detector.feed(data, last=True)
    name = detector.guess(tld=None, allow_utf8=False)
    return _WINDOWS.get(name, name)


def _no_text(path, encoding):
    return ValueError(f"{path} is neither UTF-8 nor {encoding}, or damaged: save it as UTF-8.")
