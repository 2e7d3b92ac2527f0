"""Messages: what a user has written in them, and what a model cannot do.

shortened    so that it can stand in one
is_broken    whether it has half a character, which no file and no log of ComfyUI can take
NoGradient   where autograd cannot go through a model
"""


def shortened(text, length=100):
    """At most this many characters, and none that no file and no log can take (half characters)."""
    short = text if len(text) <= length else f"{text[:length]}..."
    return short.encode("utf-8", "backslashreplace").decode("utf-8")


def is_broken(text):
    return any("\ud800" <= c <= "\udfff" for c in text)


class NoGradient(Exception):
    """A model's prediction has no gradient by the weights of its text layers; says why."""
