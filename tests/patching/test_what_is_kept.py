"""How much of the target is kept while the source is drawn, and that it is said before the memory is filled."""

import gc
from dataclasses import replace
from types import SimpleNamespace

import comfy.sample
import psutil
import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.patching.patch import OWN_RUN, SAME_LATENTS
from text_layers.testing.tiny_models import MODELS

pytestmark = pytest.mark.any_comfyui

STEPS = 3
SIDES = 2  # of CFG


@pytest.fixture(scope="module", params=["Flux", "QwenImage"])
def bench(request):
    """With a picture of 576 tokens beside the text's 10, so that a view of both together is seen."""
    tiny = next(tiny for tiny in MODELS if tiny.kind == request.param)
    large = replace(tiny, latent=(*tiny.latent[:-2], 48, 48), picture=576)
    return benchmark.bench_of(large)


def bytes_alive():
    """Of the storages of all tensors that were made since gc.freeze, each counted once."""
    storages = {}
    for thing in gc.get_objects():
        if type(thing) is torch.Tensor:
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def bytes_of_text(bench):
    """Of keys and values: of one call's text in all layers, and of all tokens in one layer."""
    with benchmark.recorded(bench.diffusion_model) as calls:
        bench.draw(bench.prompt(0), steps=1)
    calls = benchmark.text_calls(bench, calls)
    text = sum(part[:, :, bench.text(call)].numel() * part.element_size() for call in calls for part in (call.k, call.v))
    return text, max(2 * call.k.numel() * call.k.element_size() for call in calls)


def drawn(bench, model, steps=STEPS, callback=None):
    noise = bench.tiny.noise()
    return comfy.sample.sample(
        model, noise, steps, 4.0, "euler", "simple", bench.prompt(0), bench.prompt(2), torch.zeros_like(noise), disable_pbar=True, seed=1,
        callback=callback,
    )  # fmt: skip


def most_alive(bench, model):
    """The most that is alive between two calls of the model, and where the attention of a layer is reached in one."""
    between, inside = [], []

    def watch(func, q, k, v, heads, *args, **kwargs):
        inside.append(bytes_alive())
        return func(q, k, v, heads, *args, **kwargs)

    watched = model.clone()
    watched.model_options["transformer_options"]["optimized_attention_override"] = watch
    gc.collect()
    gc.freeze()
    try:
        drawn(bench, watched, callback=lambda *_: between.append(bytes_alive()))
    finally:
        gc.unfreeze()
    return max(between), max(inside)


@pytest.mark.parametrize("method", [OWN_RUN, SAME_LATENTS])
def test_no_more_is_kept_than_keys_and_values_of_the_text(bench, method):
    one_call, joint = bytes_of_text(bench)
    before = most_alive(bench, bench.model)
    kept = most_alive(bench, bench.edit(bench.names, method=method))
    # Own run: every call's, and noise of its own; on the same latents those of the call that goes on. Half as much again for what else a
    # run needs, and the picture's tokens are 58 times the text's.
    calls, noise = (STEPS, bench.tiny.noise().nbytes) if method == OWN_RUN else (1, 0)
    assert kept[0] - before[0] <= 1.5 * calls * one_call + noise + 20_000
    # Inside a call a layer's own keys and values are copied to put the text's there.
    assert kept[1] - before[1] <= 1.5 * calls * one_call + 2 * joint


def test_what_does_not_fit_is_refused_before_it_is_taken(bench, monkeypatch):
    needed = STEPS * bytes_of_text(bench)[0]
    edit = bench.edit(bench.names)
    calls = []

    def count(apply, args):
        calls.append(1)
        return apply(args["input"], args["timestep"], **args["c"])

    edit.set_model_unet_function_wrapper(count)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=2**34, available=needed // 2, percent=99.0))
    with pytest.raises((RuntimeError, MemoryError, ValueError), match=r"(?i)fewer.*latents|latents.*fewer"):
        drawn(bench, edit)
    assert len(calls) <= SIDES, "before the target's run, or once the first call has told the size"


def test_fewer_layers_or_the_same_latents_fit(bench, monkeypatch):
    """The two ways out that the message names."""
    needed = STEPS * bytes_of_text(bench)[0]
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=2**34, available=needed - 1, percent=99.0))
    plain = drawn(bench, bench.model)
    for edit in (bench.edit(bench.names[:1]), bench.edit(bench.names, method=SAME_LATENTS)):
        assert not torch.equal(drawn(bench, edit), plain)
