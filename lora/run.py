"""The steps of one training.

Run        computes and updates, and can always tell a state to go on from
Diverged   the loss is no number
"""

import math

import comfy.model_management
import torch

from .examples import alike, drawn, mean_loss
from .optimizer import optimizer, rate
from .precision import computing
from .state import State

_PROBED = 8  # pictures of the first steps
_MUCH = 1.5


class Diverged(ValueError):
    pass


class Run:
    """model: loaded, with the adapters `added` in it; latents, conds: of all pictures; without: the cond of no caption, or None; about:
    what this training's states say of it, with `before`, the steps of earlier trainings of the same LoRA; forget: called after each call
    of the model; stop: says whether to stop, where there are several processes.

    Weights are known to be good only once a loss was computed with them: `compute` notes them, `update` makes the next ones.
    """

    def __init__(self, model, latents, conds, without, added, settings, about, accelerator=None, forget=lambda: None, stop=lambda: False):
        self._model, self._latents, self._conds, self._without = model, latents, conds, without
        self._added, self._settings, self._accelerator, self._forget, self._stop = added, settings, accelerator, forget, stop
        self._process, self._processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
        self._optimizer = optimizer(added.parameters(), settings)
        self._about, self._sound, self.losses = dict(about), True, []
        self._good, self._value = self._copy(), None
        self._best = {}  # weights that drew best

    def begin(self):
        """Notes what `divergence` compares with. Raises ValueError where the model computes no number before anything is trained."""
        self._about["probe"] = self._probe()
        if not math.isfinite(self._about["probe"]):
            raise ValueError(
                "The model's own loss is no number (NaN or infinite) before anything is trained. Weights in fp16 can do that: set "
                "training_dtype to fp32, or load the model in another type."
            )

    def go_on(self, state):
        """Instead of `begin`. Raises ValueError for a state of other adapters."""
        if {n: p.shape for n, p in self._added.named().items()} != {n: w.shape for n, w in state.weights.items()}:
            raise ValueError("This training cannot go on here: it is of other layers, of another rank, or of another model.")
        self.losses, self._about["probe"] = list(state.losses), state.about["probe"]
        self._best, self._about["readings"] = state.best, state.about.get("readings", [])
        self._set((state.weights, state.optimizer, state.step))

    def compute(self):
        """The gradients and the loss of the next step. Raises Diverged when they are no numbers."""
        examples, value = self._examples(len(self.losses)), 0.0
        self._optimizer.zero_grad()
        for group in self._groups(examples[self._process :: self._processes]):
            with computing(self._model.load_device, self._settings.low_precision):
                part = mean_loss(self._model, group) * len(group) / len(examples)
            _backward(part, self._model)
            self._forget()
            value += float(part.detach())
            if self._processes == 1:
                comfy.model_management.throw_exception_if_processing_interrupted()
        if self._accelerator:
            value = self._of_all(value)
        norm = float(torch.nn.utils.clip_grad_norm_(self._added.parameters(), self._settings.clip or math.inf))
        if not (math.isfinite(value) and math.isfinite(norm)):
            self._sound = False
            raise Diverged(
                f"The loss is no number in step {len(self.losses) + 1}: lower the learning rate ({self._settings.learning_rate:g})."
                if self.losses
                else "The loss has no gradient that is a number in the first step, before anything is trained: set training_dtype to fp32."
            )
        self._good, self._value = self._copy(), value

    def update(self):
        for group in self._optimizer.param_groups:
            group["lr"] = rate(self._settings, len(self.losses))
        self._sound = False  # some weights are new, others are not
        self._optimizer.step()
        self.losses.append(self._value)
        self._sound = True

    def state(self):
        """Of now. Where weights are no numbers, or only some of them new, the last good ones are taken back."""
        if not self._sound:
            self._set(self._good)
        return self._as_state(self._copy())

    def good(self):
        """The last state that was found good."""
        return self._as_state(self._good)

    def note_reading(self, readings, better):
        """readings: validation.Validation.plain()"""
        self._about["readings"] = readings
        if better:
            self._best = self._copy()[0]

    def take_best(self):
        """The weights that drew best, for the file; there are no more steps."""
        with torch.no_grad():
            for name, p in self._added.named().items():
                p.copy_(self._best[name])

    def is_high(self):
        """Whether the loss of the last steps is a reason to ask for `divergence`, which takes some calls of the model."""
        last = self.losses[-20:]
        return sum(last) > 1.25 * len(last) * self._about["probe"]

    def divergence(self):
        """What to say of it, None where there is none: the loss of the first pictures, with the same noise, against that without the LoRA.
        Raises Diverged when it is no number."""
        before, now = self._about["probe"], self._probe()
        if not math.isfinite(now):
            self._sound = False
            raise Diverged(f"The loss is no number after step {len(self.losses)}: lower the learning rate.")
        if now <= _MUCH * before:
            return None
        return f"It diverged: on the first pictures the loss is {now:.4g}, and was {before:.4g} before it. Lower the learning rate."

    def _examples(self, step):
        return drawn(self._model, self._latents, self._conds, self._settings, self._about["before"] + step, self._without)

    def _groups(self, examples):
        """What the model takes in one call."""
        most = math.ceil(self._settings.batch / self._processes)
        return [group[n : n + most] for group in alike(examples) for n in range(0, len(group), most)]

    def _of_all(self, value):
        """Gradients and loss of all processes, each of which has its share of the mean; all stop when one of them is told to."""
        for p in self._added.parameters():
            p.grad = self._accelerator.reduce(p.grad, "sum")
        said = torch.tensor([value, float(self._stop())], device=self._accelerator.device)
        value, stop = self._accelerator.reduce(said, "sum").tolist()
        if stop:
            raise comfy.model_management.InterruptProcessingException
        return value

    def _probe(self):
        examples = []
        for step in range(self._settings.steps):
            if len(examples) < _PROBED:
                examples += self._examples(step)
        total = 0.0
        for group in self._groups(examples[:_PROBED]):
            with torch.no_grad(), computing(self._model.load_device, self._settings.low_precision):
                total += float(mean_loss(self._model, group)) * len(group)
            self._forget()
        return total / len(examples[:_PROBED])

    def _copy(self):
        def copied(value):
            return value.detach().to("cpu", copy=True) if torch.is_tensor(value) else value

        # Not its state_dict: bitsandbytes folds what belongs to a parameter into one more dictionary there.
        numbered = enumerate(self._optimizer.param_groups[0]["params"])
        optimizer = {n: {k: copied(v) for k, v in self._optimizer.state[p].items()} for n, p in numbered if p in self._optimizer.state}
        return {name: copied(p) for name, p in self._added.named().items()}, optimizer, len(self.losses)

    def _set(self, copy):
        weights, optimizer, step = copy
        with torch.no_grad():
            for name, p in self._added.named().items():
                p.copy_(weights[name])
        own = {n: {k: v.clone() if torch.is_tensor(v) else v for k, v in values.items()} for n, values in optimizer.items()}
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": own})
        self.losses, self._sound = self.losses[:step], True
        self._good = self._copy()

    def _as_state(self, copy):
        weights, optimizer, step = copy
        return State(weights, optimizer, self.losses[:step], dict(self._about), self._best)


def _backward(part, model):
    try:
        part.backward()
    except RuntimeError as error:
        if "no autograd formula" not in str(error):
            raise
        raise ValueError(
            f"{type(model.model).__name__} models cannot be trained here: this ComfyUI computes them with operations that have no gradient."
        ) from error
