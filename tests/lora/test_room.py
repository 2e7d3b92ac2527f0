"""The count of a training step's memory against steps that take it, and what is decided by it."""

from dataclasses import replace

import pytest
import torch
from text_layers.lora.examples import Example, at_rest, encoded
from text_layers.lora.memory import Peak, counted, torch_attention
from text_layers.lora.room import Room, choose
from text_layers.lora.train import Settings, train
from text_layers.patching import models
from text_layers.testing.memory import peak_bytes
from text_layers.testing.tiny_models import MODELS

TINY = {tiny.kind: tiny for tiny in MODELS}
GIB = 2**30


def test_what_is_held_at_once_is_counted_and_nothing_else():
    before = torch.ones(100)
    with Peak() as peak:
        sum_ = before + 1
        turned = (sum_.view(10, 10) * 2).T
        sum_.add_(1)  # takes nothing, as views and what was there before
        before.mul_(2)
        del sum_, turned
        assert peak.now == 0
        double = before.double()
    assert peak.now == double.nbytes == 800 == peak.bytes


@pytest.mark.parametrize(("kind", "checkpointing"), [("SD3", False), ("SD3", True), ("KOALA_700M", True)])
def test_the_count_is_what_a_step_takes(kind, checkpointing):
    """torch's own account of a step on the processor: within 15 %, as its kernels hold other things for the moment than a card's."""
    tiny = replace(TINY[kind], latent=(*TINY[kind].latent[:-2], 32, 32))
    model, settings = tiny.build(), Settings(steps=1, checkpointing=checkpointing)
    model.model_options["transformer_options"]["optimized_attention_override"] = torch_attention
    latent = torch.randn(1, *tiny.latent)
    layers = models.written(model, models.layer_names(model)[0])
    measured = peak_bytes(lambda: train(model, [latent[0]], [tiny.conditioning(0)], layers, settings))[1]
    example = Example(latent, latent, torch.ones(1), at_rest(encoded(model, tiny.conditioning(0), latent)))
    assert counted(model, [example], layers, settings, checkpointing) == pytest.approx(measured, rel=0.15)


def test_counting_leaves_the_model_and_torch_as_they_were():
    tiny = TINY["SD3"]
    model = tiny.build()
    before = {name: w.clone() for name, w in model.model.state_dict().items()}
    modules = {name: (type(module), sorted(vars(module))) for name, module in model.model.named_modules()}
    functions = vars(torch.autograd.graph).copy()
    latent = torch.randn(2, *tiny.latent)
    state = torch.random.get_rng_state()
    cond = at_rest(encoded(model, tiny.conditioning(0), latent[:1]))
    counted(
        model, [Example(latent[:1], latent[:1], torch.ones(1), cond)] * 2, models.written(model, "1"), Settings(low_precision=True), True
    )
    assert {name: (type(module), sorted(vars(module))) for name, module in model.model.named_modules()} == modules
    assert all(w.equal(before[name]) for name, w in model.model.state_dict().items())
    assert vars(torch.autograd.graph) == functions and torch.random.get_rng_state().equal(state)


def test_blocks_are_computed_again_where_the_card_has_no_room_otherwise():
    taken = {False: 12 * GIB, True: 2 * GIB}
    assert not choose(None, 11 * GIB, taken.get, 80 * GIB)
    assert choose(None, 11 * GIB, taken.get, 24 * GIB)  # 11 + 1.1 * 12
    assert choose(None, 11 * GIB, {}.get, 80 * GIB)  # what cannot be counted
    assert choose(True, 11 * GIB, taken.get, 80 * GIB) and not choose(False, 11 * GIB, taken.get, 8 * GIB)


def test_people_are_told_what_it_takes_and_what_to_do():
    assert str(Room(True)) == ""
    room = Room(False, 11 * GIB, 13 * GIB, 20 * GIB)
    assert str(room) == (
        "Memory: 11.0 GiB of weights and about 13.0 GiB for a step, without gradient checkpointing. About 5.3 GiB of the weights stay "
        "outside of the card, which is slower."
    )
    with (
        pytest.raises(ValueError, match=r"not enough memory.* 11.0 GiB of weights .*Ways out: gradient checkpointing; batch_size 1"),
        room.told_when_full(),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(ValueError, match="something else"), room.told_when_full():
        raise ValueError("something else")
