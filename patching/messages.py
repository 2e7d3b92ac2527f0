"""Messages: what a user has written in them, and what a model cannot do.

shortened    so that it can stand in one
is_broken    whether it has half a character, which no file and no log of ComfyUI can take
NoGradient   where autograd cannot go through a model
helped       around what a graph runs: errors of ours end with the page that explains them
plain        such an error's message without it
"""

import contextlib
import linecache
import traceback

_HELP = "\nHelp: https://github.com/text-layers/text-layers/blob/main/docs/errors/"
_PACK = __name__.removesuffix("patching.messages")


def shortened(text, length=100):
    """At most this many characters, and none that no file and no log can take (half characters)."""
    short = text if len(text) <= length else f"{text[:length]}..."
    return short.encode("utf-8", "backslashreplace").decode("utf-8")


def is_broken(text):
    return any("\ud800" <= c <= "\udfff" for c in text)


class NoGradient(Exception):
    """A model's prediction has no gradient by the weights of its text layers; says why."""


@contextlib.contextmanager
def helped():
    """docs/errors has a page for each folder of the pack. What others raise, or Python itself, stays as it is."""
    try:
        yield
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        *_, (frame, line) = traceback.walk_tb(error.__traceback__)
        name = frame.f_globals.get("__name__", "")
        is_said = linecache.getline(frame.f_code.co_filename, line).lstrip().startswith("raise ")
        if name.startswith(_PACK) and is_said and _HELP not in str(error):
            told = f"{error}{_HELP}{name.removeprefix(_PACK).partition('.')[0]}.md"
            error.args = (told,)
            if isinstance(error, ImportError):
                error.msg = told
        raise


def plain(error):
    return str(error).partition(_HELP)[0]
