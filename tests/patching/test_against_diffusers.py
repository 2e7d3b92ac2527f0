"""Patching against each family's implementation in diffusers: another model, with other module names and another attention.

One call of the model at a middle noise level, ours through ComfyUI's sampler and patch_prompt, theirs with PyTorch hooks on the
text's projections that note what they give for the target and put it into the source's call.
"""

import re
from contextlib import contextmanager

import comfy.sample
import pytest
import torch
from text_layers.patching import models
from text_layers.patching.patch import METHODS, patch_prompt

from .diffusers_models import PAIRS


class Parity:
    def __init__(self, pair):
        self.pair = pair
        self.model, self.theirs = pair.build()
        self.names = models.layer_names(self.model)
        self.source, self.target = (self.draw(self.model, seed) for seed in (0, 1))
        self.layers = self.text_projections()
        self.noted = {}
        with hooks([projection for layer in self.layers for projection in layer], self.noted.__setitem__):
            self.predict(self.target)
        self.each = [self.by_hooks([n]) for n in range(len(self.layers))]

    def draw(self, model, seed):
        """(arguments of the diffusion model, its prediction) in one step of ComfyUI's sampler from a middle noise level."""
        calls = []

        def note(module, args, kwargs, out):
            given = dict(zip(("x", "t"), args, strict=False)) | kwargs
            calls.append(({name: value.cpu() if torch.is_tensor(value) else value for name, value in given.items()}, out.cpu()))

        noise, sampling = self.pair.ours.noise(), self.model.model.model_sampling
        sigmas = torch.stack([sampling.sigmas[len(sampling.sigmas) // 2].cpu(), torch.zeros(())])
        prompt = self.pair.ours.conditioning(seed)
        handle = self.model.model.diffusion_model.register_forward_hook(note, with_kwargs=True)
        try:
            comfy.sample.sample(model, noise, 1, 1.0, "euler", "simple", prompt, prompt, torch.zeros_like(noise), sigmas=sigmas,
                                disable_pbar=True, seed=1)  # fmt: skip
        finally:
            handle.remove()
        return calls[-1]

    def ours(self, layers, method):
        chosen = models.written(self.model, ", ".join(self.names[n] for n in layers))
        return self.draw(patch_prompt(self.model, chosen, self.pair.ours.conditioning(1), method=method), 0)[1]

    def predict(self, run):
        c = run[0]
        with torch.no_grad():
            return self.pair.call(self.theirs, c["x"], c["t"], c)

    def text_projections(self):
        """[{projection of a text layer's keys or values: which part of what it gives is the text's}] as a call reaches the layers."""
        tokens = self.pair.ours.text(self.pair.ours.tokens)
        end = -self.pair.ours.behind or None
        places = {"all": slice(None), "first": slice(0, tokens), "last": slice(-tokens - self.pair.ours.behind, end)}
        found = {}
        for pattern, text in self.pair.layers.items():
            path = re.compile(re.escape(pattern).replace(r"\*", r"\d+"))
            for module in (module for name, module in self.theirs.named_modules() if path.fullmatch(name)):
                layer = {getattr(module, name): (slice(None), places[text.place], text.columns) for name in text.projections}
                found[next(iter(layer))] = layer
        order = []
        with hooks(found, lambda projection, out: order.append(found[projection])):
            self.predict(self.source)
        return order

    def by_hooks(self, layers):
        """diffusers' prediction with what the target's call gave to some layers."""
        parts = {projection: part for n in layers for projection, part in self.layers[n].items()}

        def put(projection, out):
            out = out.clone()
            out[parts[projection]] = self.noted[projection][parts[projection]]
            return out

        with hooks(parts, put):
            return self.predict(self.source)


@contextmanager
def hooks(modules, act):
    handles = [module.register_forward_hook(lambda module, _, out: act(module, out)) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@pytest.fixture(scope="module", params=[pair for pair in PAIRS if pair.ours.exists], ids=lambda pair: pair.name)
def parity(request):
    return Parity(request.param)


def distance(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def test_both_models_are_the_same(parity):
    for run in (parity.source, parity.target):
        assert distance(parity.predict(run), run[1]) <= parity.pair.tolerance
    assert len(parity.layers) == len(parity.names)


@pytest.mark.any_comfyui  # with the oldest all layers together: test_every_family.py puts each family's there, one by one
@pytest.mark.parametrize("method", METHODS)
def test_each_layer(parity, method):
    """A neighbour's patch is told from it, so that layers have the numbers of diffusers' modules."""
    if method != METHODS[0] and not models.family_of(parity.model).evolves:
        pytest.skip("the method is for text that evolves with the picture")
    for n, (name, theirs) in enumerate(zip(parity.names, parity.each, strict=True)):
        ours = parity.ours([n], method)
        assert distance(ours, theirs) <= parity.pair.tolerance, name
        assert distance(theirs, parity.source[1]) > 100 * parity.pair.tolerance, name
        for other in {n - 1, n + 1} & set(range(len(parity.names))):
            assert distance(ours, parity.each[other]) > 100 * parity.pair.tolerance, name


def test_all_layers(parity):
    layers = range(len(parity.names))
    assert distance(parity.ours(layers, METHODS[0]), parity.by_hooks(layers)) <= parity.pair.tolerance
