"""What a user has written, in messages.

shortened    so that it can stand in one
is_broken    whether it has half a character, which no file and no log of ComfyUI can take
"""


def shortened(text, length=100):
    """At most this many characters, and none that no file and no log can take (half characters)."""
    short = text if len(text) <= length else f"{text[:length]}..."
    return short.encode("utf-8", "backslashreplace").decode("utf-8")


def is_broken(text):
    return any("\ud800" <= c <= "\udfff" for c in text)
