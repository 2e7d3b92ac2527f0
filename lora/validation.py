"""What a model in training can draw: words that are in none of its pictures, drawn as people will and read by OCR.

Validation   draws and reads them; notes the readings
of_words     one from words and a prompt for all of them
encoded      a prompt
Reading      one of them
"""

from dataclasses import astuple, dataclass

import comfy.model_management
import numpy as np
import torch

from ..scoring.compare import USUAL
from ..scoring.ocr import check, engine, enlargement
from ..scoring.text import similarity
from . import preview


@dataclass(frozen=True)
class Reading:
    """score: mean similarity of what was read to the words, 0 to 1; exact: how many of the words were read."""

    step: int
    score: float
    exact: int


def of_words(words, template, clip, vae, ocr, every, cfg, patience, seed):
    """template: a prompt in which WORD stands for each of the words. Raises ValueError where something is missing."""
    if clip is None or vae is None:
        raise ValueError("Validation draws pictures of prompts: connect the model's CLIP and VAE.")
    if "WORD" not in template:
        raise ValueError("The validation's prompt lacks WORD, which stands for the words: write it where they belong.")
    prompts = [encoded(clip, template.replace("WORD", word)) for word in words]
    return Validation(words, prompts, encoded(clip, ""), vae, ocr, every, cfg, patience, seed)


def encoded(clip, prompt):
    with torch.no_grad():
        return clip.encode_from_tokens_scheduled(clip.tokenize(prompt))


class Validation:
    """words: what the pictures of `prompts`, CONDITIONING of each, should say; negative: CONDITIONING; vae: of the model; ocr: an engine's
    name; every: steps between two readings; cfg: of the sampling; patience: readings without a better one after which the training ends,
    0 for never; seed: of the noise, which is the same in all readings.

    readings: all so far; picture: the last that was drawn, [H, W, 3] uint8. Raises ValueError for words without a letter that can be read.
    """

    def __init__(self, words, prompts, negative, vae, ocr, every=100, cfg=5.0, patience=0, seed=0):
        self._wanted = [USUAL.folded(word) for word in words]
        if not all(self._wanted) or not words:
            raise ValueError("Validation words need letters or digits, which are what is read: take others.")
        self._prompts, self._negative, self._vae, self._ocr = prompts, negative, vae, engine(ocr)
        for word in words:
            check(self._ocr, "the validation word", word)
        self._every, self._cfg, self._patience, self._seed = every, cfg, patience, seed
        self.readings, self.picture = [], None

    def is_due(self, step, last):
        """last: of the training."""
        return step > 0 and (step % self._every == 0 or step == last) and step not in [reading.step for reading in self.readings]

    def read(self, model, latent, step):
        """latent: one as large as the pictures should be, as VAE Encode gives it. Whether the reading is better than all before."""
        scores, exact = [], 0
        for number, (word, prompt) in enumerate(zip(self._wanted, self._prompts, strict=True)):
            drawn = preview.draw(model, prompt, latent, self._seed + number, self._negative, self._cfg)
            picture = self._vae.decode(drawn).cpu()
            self.picture = (picture.reshape(-1, *picture.shape[-3:])[0, ..., :3] * 255).round().clamp(0, 255).numpy().astype(np.uint8)
            said = USUAL.folded(self._ocr.read(self.picture, enlargement(self.picture.shape[0])))
            scores.append(similarity(said, word))
            exact += said == word
            comfy.model_management.throw_exception_if_processing_interrupted()
        better = not self.readings or np.mean(scores) > max(reading.score for reading in self.readings)
        self.readings.append(Reading(step, float(np.mean(scores)), exact))
        return better

    def best(self):
        return max(self.readings, key=lambda reading: reading.score)  # the first of equals

    def is_over(self):
        return bool(self._patience and self.readings) and len(self.readings) - 1 - self.readings.index(self.best()) >= self._patience

    def says(self):
        """Of the best reading, for people."""
        best = self.best()
        return f"Read best at step {best.step}: {best.exact} of {len(self._wanted)} words as they are. The LoRA is of that step."

    def marks(self):
        """For charts.loss_chart."""
        return [(r.step, r.score, f"{r.exact} of {len(self._wanted)} words read, step {r.step}") for r in self.readings]

    def go_on(self, readings):
        """readings: as `plain` gives them."""
        self.readings = [Reading(*reading) for reading in readings]

    def plain(self):
        """For JSON."""
        return [list(astuple(reading)) for reading in self.readings]
