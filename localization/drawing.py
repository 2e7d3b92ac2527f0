"""The pictures that a search needs, many in one batch.

Setting    how pictures are sampled
Drawing    a model with the prompts of its word pairs: draws any pictures of any pairs
SOURCE, TARGET, Picture    which picture is meant
SAMPLERS   the samplers that can be used
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import torch

from ..patching import models
from ..patching.comfy import add_counting_wrapper, add_telling_wrapper, batched, empty_latent, is_out_of_memory
from ..patching.discovery import look_at
from ..patching.gradient import with_slope
from ..patching.messages import NoGradient
from ..patching.sweep import Swap, record_targets, swap_rows, takes_from_rows
from ..scoring.image import pixels
from . import identity
from .digest import digest
from .pairs import WORD, check_template
from .room import rows_that_fit

# Samplers that add noise on the way would give each row of a batch other noise, and the pictures of a pair must share it.
_WITHOUT_NOISE = ("euler", "heun", "heunpp2", "dpm_2", "lms", "dpmpp_2m", "ipndm", "ipndm_v", "deis", "res_multistep", "ddim", "uni_pc",
                  "uni_pc_bh2")  # fmt: skip
SAMPLERS = [name for name in comfy.samplers.KSampler.SAMPLERS if name in _WITHOUT_NOISE]
_DIFFERENCE, _FITS = 0.01, 0.2  # of weights; how far a slope may be off the finite difference, which has an error of its own
SOURCE, TARGET = (), "target"  # beside them, a picture is the tuple of layers that the source takes from the target


@dataclass(frozen=True)
class Setting:
    """As KSampler. latent: an empty LATENT in the size of the pictures; rows: the most pictures in one batch."""

    template: str
    negative: str
    latent: dict
    seed: int = 0
    steps: int = 20
    cfg: float = 7.0
    sampler: str = "euler"
    scheduler: str = "simple"
    rows: int = 16


@dataclass(frozen=True)
class Picture:
    """pair: number of the word pair; layers: indices of the patched layers, SOURCE or TARGET; steps: after how many steps of the
    schedule the model's prediction of the finished picture is taken; guided: False for the model's very first prediction for the prompt,
    before guidance. Guidance scales how far two of these are apart, and nothing else: the negative half is the same in both."""

    pair: int
    layers: tuple[int, ...] | str
    steps: int
    guided: bool = True

    def target(self):
        return replace(self, layers=TARGET)


def first_prediction(pair, layers):
    return Picture(pair, layers, 1, False)


class Drawing:
    """Counts in `model_calls` how often the model evaluated one picture: a batch of n pictures with both CFG halves is 2 n.

    Raises ValueError for a template without {word}, a model without text layers, a VAE or a latent of another model.
    """

    def __init__(self, model, clip, vae, pairs, setting):
        check_template(setting.template)
        self.setting, self.pairs, self.vae = setting, pairs, vae
        self._clip, self._conditioning = clip, {}
        if not models.is_known(model):
            look_at(model, [self.conditioning(self.prompt(0))])
        family = models.family_of(model)
        if family.alone:
            raise ValueError(
                f"{family.description} draws one video at a time, and a search needs many in one batch. Write its layers by hand in Text "
                "Layers."
            )
        self.names = tuple(models.layer_names(model))
        self.everything = tuple(range(len(self.names)))
        self.model_calls = 0
        self._model = model.clone()
        add_counting_wrapper(self._model, self._count)
        self.has_own_run = takes_from_rows(model)
        self._latent = empty_latent(model, setting.latent)
        self._fingerprints = {}
        self._noise = {}
        self._compared = False  # the gradient with a finite difference
        self._given, self._parts = model, None
        self._check_vae()
        sides = 1 if setting.cfg == 1 else 2
        self.fits = self.rows = rows_that_fit(model, self._latent.shape, setting.rows, sides)

    def _count(self, rows):
        self.model_calls += rows

    def _check_vae(self):
        channels, wanted = getattr(self.vae, "latent_channels", None), self._latent.shape[1]
        if channels is not None and channels != wanted:
            raise ValueError(
                f"The VAE belongs to another model: it decodes latents of {channels} channels, this model draws {wanted}. "
                "Connect the VAE of the same checkpoint."
            )

    @torch.no_grad()
    def conditioning(self, text):
        """(embeddings [1, tokens, channels], other conditioning) of a prompt, encoded once."""
        if text not in self._conditioning:
            comfy.model_management.throw_exception_if_processing_interrupted()  # a search can ask for many before it draws one
            encoded = self._clip.encode_from_tokens_scheduled(self._clip.tokenize(text))
            self._conditioning[text] = encoded[0]
        return self._conditioning[text]

    def identity(self):
        """{part: digest} of what decides what is drawn, beside a picture's prompts; a part that differs says what is another."""
        if self._parts is None:
            setting = self.setting
            sampling = (setting.steps, setting.cfg, setting.sampler, setting.scheduler, setting.seed, tuple(self._latent.shape), self.names)
            self._parts = {
                "model": identity.of_model(self._given),
                "text encoder": identity.of_clip(self._clip),
                "VAE": identity.of_vae(self.vae),
                "settings": digest(sampling),
            }
        return self._parts

    @property
    def size(self):
        """Of the latents that are drawn, [C, ...]: another one than that of the given empty latent where ComfyUI makes it fit the model."""
        return tuple(self._latent.shape[1:])

    def fingerprint(self, text):
        """Of what the tokenizer makes of a prompt. What the text encoder makes of it has other last bits with other threads."""
        if text not in self._fingerprints:
            self._fingerprints[text] = digest(self._clip.tokenize(text))
        return self._fingerprints[text]

    def is_asked(self, pair):
        """Whether any question was about this pair."""
        return all(self.prompt(pair, target) in self._fingerprints for target in (False, True))

    def prompt(self, pair, target=False):
        return self.setting.template.replace(WORD, self.pairs[pair].target if target else self.pairs[pair].source)

    def noise(self, pair):
        """Every pair has noise of its own, from the seed and its number."""
        if pair not in self._noise:
            # torch knows no seed beyond 64 bits.
            self._noise[pair] = comfy.sample.prepare_noise(self._latent, (self.setting.seed + pair) % 2**64)
        return self._noise[pair]

    def cost(self, pictures):
        """How many rows a batch of these pictures has: unless embeddings are enough, the target's own run is a row as well."""
        givers = {p.target() for p in pictures if p.layers not in (SOURCE, TARGET)} if self.has_own_run else set()
        return len(set(pictures) | givers)

    def calls(self, pictures):
        """Model calls of a batch, for samplers that call the model once a step."""
        return self.cost(pictures) * pictures[0].steps * (1 if self.setting.cfg == 1 or not pictures[0].guided else 2)

    def price(self, pictures):
        """Model calls of `draw`, as `calls` counts them, while memory does not run out. Encodes their prompts."""
        waiting, calls = list(dict.fromkeys(pictures)), 0
        while waiting:
            batch, waiting = self._first_batch(waiting)
            calls += self.calls(batch)
        return calls

    def _first_batch(self, waiting):
        """(pictures of one batch, the others): those that are as long as the first, as far as there is room."""
        batch = []
        for picture in waiting:
            if not batch or (self._length(picture) == self._length(batch[0]) and self.cost([*batch, picture]) <= self.rows):
                batch.append(picture)
        return batch, [picture for picture in waiting if picture not in batch]

    def draw(self, pictures, tell: Callable = lambda: None):
        """{picture: latent [C, ...] float32 on the CPU} of pictures with the same number of steps; the targets that were drawn
        beside them are in it as well. tell() is called after each step. Halves the batch where memory runs out, down to one row: then a
        target's run is by itself, and what it gives is kept."""
        drawn = {}
        waiting = list(dict.fromkeys(pictures))
        while waiting:
            batch, waiting = self._first_batch(waiting)
            try:
                drawn |= self._draw_batch(batch, tell)
            except Exception as error:
                if not is_out_of_memory(error) or self.rows == 1:
                    raise
                self.rows = math.ceil(min(self.rows, self.cost(batch)) / 2)
                waiting = batch + waiting
                comfy.model_management.soft_empty_cache()
        return drawn

    def _draw_batch(self, batch, tell):
        runs, drawn = {}, {}
        if self.has_own_run:
            givers = dict.fromkeys(p.target() for p in batch if p.layers not in (SOURCE, TARGET))
            # With room for one row alone the target is drawn before, as one whose prompt has another length is.
            apart = [giver for giver in givers if self.rows == 1 or self._length(giver) != self._length(batch[0])]
            names = [self.names[i] for i in sorted({i for p in batch if p.layers not in (SOURCE, TARGET) for i in p.layers})]
            for giver in apart:
                recording, kept = record_targets(self._model, names)
                drawn |= self._sample(recording, [giver], tell)
                runs[giver] = (kept, 0)
            batch = [*(g for g in givers if g not in runs), *(p for p in batch if p not in givers)]
        swaps = [self._swap(p, batch, runs) for p in batch]
        return drawn | self._sample(swap_rows(self._model, swaps), batch, tell)

    def _sample(self, model, batch, tell):
        steps, guided = batch[0].steps, batch[0].guided
        positive = self._batched([self.prompt(p.pair, p.layers == TARGET) for p in batch])
        negative = self._batched([self.setting.negative] * len(batch))
        noise = torch.cat([self.noise(p.pair) for p in batch])
        latest = {}
        cfg, sampler = (self.setting.cfg, self.setting.sampler) if guided else (1.0, "euler")
        if not guided:
            model = model.clone()
            add_telling_wrapper(model, lambda predicted: latest.setdefault("first", predicted))

        def callback(step, x0, x, total):
            latest["x0"] = x0
            tell()

        whole = steps >= self.setting.steps
        samples = comfy.sample.sample(
            model, noise, self.setting.steps, cfg, sampler, self.setting.scheduler,
            positive, negative, self._latent.repeat(len(batch), *[1] * (self._latent.ndim - 1)),
            last_step=None if whole else steps, callback=callback, disable_pbar=True, seed=self.setting.seed,
        )  # fmt: skip
        if not whole:
            samples = self._model.model.process_latent_out(latest["x0" if guided else "first"].to(torch.float32))
        samples = samples.to("cpu", torch.float32)
        if not samples.isfinite().all():
            raise ValueError("The model drew pictures that are not numbers (NaN). Try another precision or another sampler.")
        return dict(zip(batch, samples, strict=True))

    def slope(self, pair, base, weights, source, everything, tell=lambda: None):
        """[(value, derivative by each layer's weight [layers])] for each of `weights`, how much of the target the layers take that are not
        in `base`, which take all. The value is how far the first prediction is on the straight way from `source` to `everything`: 0 and
        1 there. source, everything: latents of first_prediction.

        Raises NoGradient where the model has none, or one that is not its prediction's: the first is compared with a finite difference,
        because a kernel without a backward pass somewhere in the model takes a part of the gradient away without a word.
        """
        with torch.inference_mode(False):
            if self.has_own_run:
                recording, runs = record_targets(self._model, self.names)
                self._sample(recording, [first_prediction(pair, TARGET)], tell)
                target = (runs, 0)
            else:
                target = self.conditioning(self.prompt(pair, True))[0].clone()
            source, everything = source.clone(), everything.clone()
            way = (everything - source) / (everything - source).square().sum()

            def measure(predicted):
                latent = self._model.model.process_latent_out(predicted[0].to(torch.float32))
                return ((latent - source.to(latent.device)) * way.to(latent.device)).sum()

            found = []
            for w in weights:
                by_layer = {name: 1.0 if layer in base else w for layer, name in enumerate(self.names)}
                model, slope = with_slope(self._model, by_layer, target, measure)
                self._sample(model, [first_prediction(pair, SOURCE)], tell)
                self.model_calls += slope.cost
                found.append((slope.value, [slope.by_layer[name] for name in self.names]))
                if not self._compared and not base:
                    self._compare(pair, w, sum(slope.by_layer.values()), target, measure, tell)
        return found

    def _compare(self, pair, w, slope, target, measure, tell):
        """slope: along the weights of all layers at once."""
        values = []
        for at in (w - _DIFFERENCE, w + _DIFFERENCE):
            swap = Swap(self.names, target, dict.fromkeys(self.names, at))
            told = {}
            model = swap_rows(self._model, [swap])
            add_telling_wrapper(model, lambda predicted, told=told: told.setdefault("value", float(measure(predicted))))
            self._sample(model, [first_prediction(pair, SOURCE)], tell)
            values.append(told["value"])
        wanted = (values[1] - values[0]) / (2 * _DIFFERENCE)
        if abs(slope - wanted) > _FITS * max(abs(wanted), 0.1):
            raise NoGradient(f"a part of it has no backward pass: autograd says {slope:.2f}, and the prediction changes by {wanted:.2f}")
        self._compared = True

    def _length(self, picture):
        """Sizes of a picture's prompt, the same for all in a batch."""
        embeddings, extra = self.conditioning(self.prompt(picture.pair, picture.layers == TARGET))
        return embeddings.shape, *((key, value.shape) for key, value in sorted(extra.items()) if torch.is_tensor(value))

    def _swap(self, picture, batch, runs):
        if picture.layers in (SOURCE, TARGET):
            return None
        names = tuple(self.names[i] for i in picture.layers)
        if self.has_own_run:
            giver = picture.target()
            return Swap(names, runs[giver] if giver in runs else batch.index(giver))
        return Swap(names, self.conditioning(self.prompt(picture.pair, True))[0])

    def _batched(self, texts):
        """CONDITIONING with one row for each text."""
        return batched([self.conditioning(text) for text in texts])

    @torch.no_grad()
    def decode(self, latents):
        """Latents [n, C, ...] -> pictures [n, H, W, 3] uint8."""
        return pixels(self.vae.decode(latents))
