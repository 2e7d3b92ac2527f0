"""The slope of every family's prediction along the weights of its text layers, against finite differences; the model afterwards."""

import comfy.model_management
import comfy.sample
import pytest
import torch
from text_layers.patching import gradient, models
from text_layers.patching.gradient import with_slope
from text_layers.patching.messages import NoGradient
from text_layers.patching.sweep import Swap, record_targets, swap_rows, takes_from_rows
from text_layers.testing.tiny_models import MODELS
from text_layers.testing.tiny_models.model import OLD

SERVED = [tiny for tiny in MODELS if tiny.family and tiny.exists]
FIRST = [next(tiny for tiny in SERVED if tiny.family == family) for family in dict.fromkeys(tiny.family for tiny in SERVED)]
# ComfyUI 0.30 computes these with operations of comfy_kitchen that have no gradient.
WITHOUT = () if OLD else ("JoyImage", "ErnieImage", "CosmosT2IPredict2", "Anima", "MiniMaxH3")
# Where a model takes the noise as it is, the highest level (4519) leaves of what the text changes no more than float32 rounds away.
DENOISE = {"CogVideoX_T2V": 0.3}
STEP = 0.02
SMALLER = {"HiDream": STEP / 20, "SD15": STEP / 5}  # HiDream's experts are chosen anew where the prediction has moved far enough


class Bench:
    """One step without guidance of a tiny model, from the same noise."""

    def __init__(self, tiny, model=None):
        self.tiny, self.model = tiny, model or tiny.build()
        self.names = models.layer_names(self.model)
        self.prompts = [tiny.conditioning(seed) for seed in (0, 1)]
        numbers = tiny.together(tiny.noise())[0].numel()
        self.way = torch.randn(numbers, generator=torch.Generator().manual_seed(7))
        if takes_from_rows(self.model):
            recording, runs = record_targets(self.model, self.names)
            self.draw(recording, 1)
            self.target = (runs, 0)
        else:
            self.target = self.prompts[1][0][0]

    def draw(self, model, prompt=0):
        told = {}
        comfy.sample.sample(
            model, self.tiny.noise(), 2, 1.0, "euler", "simple", self.prompts[prompt], self.prompts[prompt],
            self.tiny.nothing(self.tiny.noise()), last_step=1, disable_pbar=True, seed=1,
            denoise=DENOISE.get(self.tiny.kind, 1.0),
            callback=lambda step, x0, x, total: told.update(x0=x0),
        )  # fmt: skip
        return self.tiny.together(told["x0"].cpu())

    def measure(self, predicted):
        return (predicted.float().flatten(1) * self.way.to(predicted.device, copy=True)).sum()

    def value(self, weights):
        """Of the prediction, without a gradient, by the way that draws a sweep's rows."""
        swap = Swap(tuple(self.names), self.target, {name: torch.tensor(float(w)) for name, w in weights.items()})
        return float(self.measure(self.draw(swap_rows(self.model, [swap]))))

    def slope(self, weights):
        differentiated, slope = with_slope(self.model, weights, self.target, self.measure)
        self.draw(differentiated)
        return slope


@pytest.fixture(scope="module", params=FIRST, ids=lambda tiny: tiny.kind)
def bench(request):
    return Bench(request.param)


def test_the_slope_is_a_finite_difference(bench):
    """Along a way on which every layer's weight moves by another share: five points of a function of one variable, whose error is of fourth
    order, and float32 leaves 1 % of the largest slope."""
    weights = {name: 0.3 + 0.4 * number / len(bench.names) for number, name in enumerate(bench.names)}
    if bench.tiny.kind in WITHOUT:
        with pytest.raises(NoGradient, match="autograd"):
            bench.slope(weights)
        return
    found = bench.slope(weights)
    assert found.value == pytest.approx(bench.value(weights), rel=1e-3, abs=1e-3)
    largest = max(map(abs, found.by_layer.values()))
    way = dict(zip(bench.names, (2 * torch.rand(len(bench.names), generator=torch.Generator().manual_seed(3)) - 1).tolist(), strict=True))
    step = SMALLER.get(bench.tiny.kind, STEP)
    at = [bench.value({name: w + n * step * way[name] for name, w in weights.items()}) for n in (-2, -1, 1, 2)]
    wanted = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
    along = sum(found.by_layer[name] * share for name, share in way.items())
    assert along == pytest.approx(wanted, abs=0.01 * largest)


def test_blocks_that_are_computed_again_give_the_same_slope(bench, monkeypatch):
    if bench.tiny.kind in WITHOUT:
        pytest.skip("has none")
    if OLD and bench.tiny.kind == "Chroma":
        pytest.skip("its blocks keep what the first pass has made: NoGradient, and the search goes on by bisection")
    weights = dict.fromkeys(bench.names, 0.5)
    plain = bench.slope(weights)
    monkeypatch.setattr(gradient, "_LARGE", 0)
    again = bench.slope(weights)
    assert again.cost == 3 and plain.cost == 2
    largest = max(map(abs, plain.by_layer.values()))
    assert again.by_layer == pytest.approx(plain.by_layer, abs=1e-5 * largest)


def state(bench):
    return {name: w.clone() for name, w in bench.model.model.state_dict().items()}


def leftovers(bench):
    """Forwards of ours, and weights that ask for a gradient."""
    modules = list(bench.model.model.diffusion_model.modules())
    return [m for m in modules if "forward" in vars(m)] + [
        p for m in modules for p in m.parameters() if p.requires_grad or p.grad is not None
    ]


@pytest.mark.any_comfyui
def test_the_model_is_bit_identical_afterwards(bench):
    if bench.tiny.kind in WITHOUT:
        pytest.skip("has none")
    before, weights = bench.draw(bench.model), state(bench)
    asked = leftovers(bench)
    bench.slope(dict.fromkeys(bench.names, 0.5))
    assert torch.equal(bench.draw(bench.model), before) and len(leftovers(bench)) == len(asked)
    assert all(torch.equal(w, weights[name]) for name, w in bench.model.model.state_dict().items())


@pytest.mark.any_comfyui
@pytest.mark.parametrize("kind", ["SD3", "SDXL", "Flux"])
@pytest.mark.parametrize("large", [False, True])
def test_an_interruption_in_the_backward_pass_leaves_nothing_behind(kind, large, monkeypatch):
    bench = Bench(next(tiny for tiny in MODELS if tiny.kind == kind))
    monkeypatch.setattr(gradient, "_LARGE", 0 if large else 2**30)
    before, asked = bench.draw(bench.model), len(leftovers(bench))

    def measure(predicted):
        predicted.register_hook(lambda gradient: comfy.model_management.interrupt_current_processing())
        return bench.measure(predicted)

    differentiated, slope = with_slope(bench.model, dict.fromkeys(bench.names, 0.5), bench.target, measure)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        bench.draw(differentiated)
    assert not slope.by_layer and not comfy.model_management.processing_interrupted()
    assert not getattr(comfy.model_management, "in_training", False)
    assert len(leftovers(bench)) == asked
    assert torch.equal(bench.draw(bench.model), before)


@torch.inference_mode()
def test_inside_inference_mode_as_nodes_run():
    bench = Bench(next(tiny for tiny in MODELS if tiny.kind == "SD3"))
    found = bench.slope(dict.fromkeys(bench.names, 0.5))
    outside = Bench(next(tiny for tiny in MODELS if tiny.kind == "SD3"))
    with torch.inference_mode(False):
        assert outside.slope(dict.fromkeys(bench.names, 0.5)).by_layer == pytest.approx(found.by_layer, rel=1e-4)


def test_a_kernel_without_a_backward_pass_is_said():
    bench = Bench(next(tiny for tiny in MODELS if tiny.kind == "SD3"))
    own = bench.model.model.diffusion_model.final_layer.forward
    bench.model.model.diffusion_model.final_layer.forward = lambda *args: own(*args).detach()
    with pytest.raises(NoGradient, match="autograd"):
        bench.slope(dict.fromkeys(bench.names, 0.5))
