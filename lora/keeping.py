"""Where a training is kept while it runs, so that nothing that it has learned is lost.

Keeper       saves it every so many steps and when it is cut short; where one place does not take it, in another, which it names
of_graph     that of a training in ComfyUI's graph
unfinished   the trainings that such ones have left
"""

import os
import tempfile
from pathlib import Path

import folder_paths

from ..patching.paths import shown, why, write_whole
from .state import ENDING
from .storage import packed


def of_graph(every, say):
    """Beside the LoRAs in ComfyUI's output folder, under the first free number."""
    first, *elsewhere = _of_graph()
    names = (f"training_{number:05}" for number in range(1, 10**6))
    name = next(name for name in names if not any(os.path.lexists(first / f"{name}{ending}") for ending in (ENDING, ".safetensors")))
    return Keeper(first / f"{name}{ENDING}", (first, name), elsewhere, every, say, _named)


def _named(path):
    """In ComfyUI's folders not where these lie; elsewhere it must be found."""
    short = shown(path)
    return short if "/" in short else str(path)


def unfinished():
    """{name: path}"""
    return {path.name: path for folder in reversed(_of_graph()) for path in sorted(folder.glob(f"*{ENDING}"))}


def _of_graph():
    output = Path(folder_paths.get_output_directory())
    return [output / "loras", output, Path(folder_paths.get_user_directory())]


def _first_free(folder, stem, ending):
    numbers = (folder / f"{stem}{f'-{number}' if number else ''}{ending}" for number in range(10**6))
    return next(path for path in numbers if not path.exists())


class Keeper:
    """path: of the training, NAME.training, which is replaced from step to step; lora: (folder, name) for a LoRA when it is cut short,
    under the first free name; elsewhere: folders to try where these do not take a file, before the system's folder for temporary files;
    every: steps between two saves, 0 for none; say: called with what people should know; named(path): for them.

    state: where the training was saved last, None where it was not; step: which step that was.
    """

    def __init__(self, path, lora, elsewhere=(), every=50, say=print, named=str):
        self.path, self._lora, self.every, self._say, self._named = Path(path), lora, every, say, named
        self._elsewhere = [Path(folder) for folder in (*elsewhere, tempfile.gettempdir())]
        self.state, self.step = None, 0
        self._problem = ""  # of the last attempt

    def where(self):
        """`state`, for people."""
        return self.state and self._named(self.state)

    def begin(self, state):
        """Before the first step. Raises ValueError when no place takes the training."""
        if not self._save(state):
            raise ValueError(
                f"What is learned could not be saved, so the training does not begin: {self._problem}. Make room, or choose another place."
            )

    def save(self, state):
        """Goes on where it fails: what was saved before is still there."""
        if not self._save(state):
            kept = f"Step {self.step} is still in {self.where()}" if self.state else "Nothing is saved"
            self._say(f"Step {state.step} could not be saved: {self._problem}. {kept}.")

    def cut_short(self, state, lora):
        """lora: metadata.LoraTensors. Says where everything is."""
        saved = self._save(state)
        path = self._written(lambda path: packed(lora, path.stem), *self._lora, ".safetensors")
        if saved:
            where = f"The training is in {self.where()}: go on with it under resume."
        elif self.state:
            where = f"The training could not be saved ({self._problem}); step {self.step} of it is in {self.where()}: go on with that."
        else:
            where = f"The training could not be saved: {self._problem}."
        learned = f" The LoRA so far is in {self._named(path)}." if path else f" The LoRA so far could not be saved: {self._problem}."
        self._say(f"Cut short after {state.step} steps. {where}{learned}")

    def finish(self, lora, path):
        """Writes the LoRA, never over another file; where that fails, in another place, which is said. Returns its path. Raises ValueError
        when no place takes it."""
        path = Path(path)
        written = self._written(lambda path: packed(lora, path.stem), path.parent, path.stem, path.suffix)
        if written is None:
            kept = f" Step {self.step} of the training is in {self.where()}: go on with it under resume." if self.state else ""
            raise ValueError(f"The LoRA could not be saved: {self._problem}.{kept}")
        if written != path:
            self._say(f"The LoRA could not be saved as {self._named(path)}, so it is in {self._named(written)}. ({self._problem})")
        return written

    def stay(self):
        """Cut short, and what was saved last is better than what there is now."""
        self._say(
            f"It had diverged. Step {self.step}, before that, is in {self.where()}: go on with it under resume, with a lower learning rate."
        )

    def forget(self):
        """Nothing was learned: the file that showed that there is room goes."""
        if self.state:
            self.state.unlink(missing_ok=True)
            self.state = None

    def _save(self, state):
        data, before = state.to_bytes(), self.state
        try:
            write_whole(data, self.path)
            path = self.path
        except OSError as error:
            self._problem = self._reason(self.path, error)
            if before not in (None, self.path) and _tried(data, before):
                path = before
            else:
                path = self._written(lambda path: data, None, self.path.stem, ENDING)
                if path is None:
                    return False
                where = f"as {self._named(self.path)}, so it is in {self._named(path)}"
                self._say(f"The training could not be saved {where}. ({self._problem})")
        if before not in (None, self.path, path):
            before.unlink(missing_ok=True)
        self.state, self.step = path, state.step
        return True

    def _reason(self, path, error):
        return f"{self._named(path)}: {why(error)}"

    def _written(self, pack, folder, stem, ending):
        """Its path, in the first place that takes it; None where none does. folder: the first to try, if any."""
        first = self._problem if folder is None else ""
        problems = [first] if first else []
        for place in ([] if folder is None else [Path(folder)]) + self._elsewhere:
            try:
                path = _first_free(place, stem, ending)
                write_whole(pack(path), path)
            except OSError as error:
                problems.append(self._reason(place, error))
            else:
                self._problem = problems[0] if problems else ""
                return path
        self._problem = "; ".join(problems)
        return None


def _tried(data, path):
    try:
        write_whole(data, path)
    except OSError:
        return False
    return True
