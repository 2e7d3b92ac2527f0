"""What was measured so far, on disk.

Rows     a folder with rows.jsonl; one picture a line
"""

import json

import numpy as np

from ....scoring.edit import measure
from .methods import METHODS


class Rows:
    def __init__(self, folder, told):
        """told: what the rows depend on. Raises SystemExit when the folder holds rows of something else."""
        folder.mkdir(parents=True, exist_ok=True)
        setting, self._path = folder / "setting.json", folder / "rows.jsonl"
        text = json.dumps(told, indent=1) + "\n"
        if setting.is_file() and setting.read_text("utf-8") != text:
            raise SystemExit(f"{folder} holds a benchmark of other prompts or settings; choose another folder.")
        setting.write_text(text, "utf-8")
        if self._path.is_file():
            whole, _, _ = self._path.read_text("utf-8").rpartition("\n")  # without a line that an interruption cut short
            self._path.write_text(whole and whole + "\n", "utf-8")
        self._done = {(row["pair"], row["method"]) for row in self.read()}

    def read(self):
        return [json.loads(line) for line in self._path.read_text("utf-8").splitlines()] if self._path.is_file() else []

    def has(self, number, method):
        return (number, method) in self._done

    def add(self, batch, method, source, edited, reader, seconds):
        """seconds: of processor time, for a picture."""
        for (number, case), before, after in zip(batch, source, edited, strict=True):
            if self.has(number, method):
                continue
            wanted = case.source_word if METHODS[method].erases else case.target_word
            edit = measure(before, after, wanted, reader)
            wrapped = float(np.square(before - after).mean())  # as the published script: in 8 bits, where 16 * 16 is 0
            row = {"pair": number, "method": method, "target": wanted, "read": edit.read, "seconds": seconds, "words": edit.words["edited"],
                   "whole": edit.whole["edited"], "background": edit.background["edited"], "mse_in_8_bits": wrapped}  # fmt: skip
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            self._done.add((number, method))
