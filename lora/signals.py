"""Being told to stop from outside: by Ctrl+C, a cluster or a container.

Told    a context in which a signal ends the training between two steps, and not the process
"""

import signal

import comfy.model_management

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Told:
    """signal: the one that came, 0 for none. alone: whether this is the only process; where there are more they stop together."""

    def __init__(self, alone):
        self.signal, self._alone, self._before = 0, alone, {}

    def __enter__(self):
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def _note(self, number, frame):
        self.signal = number
        if self._alone:
            comfy.model_management.interrupt_current_processing()

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)
