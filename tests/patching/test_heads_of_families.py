"""Single heads of a layer: patching them, against attention in which each head sees one of the two texts behind a mask."""

from dataclasses import replace

import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.patching import models
from text_layers.testing.attention_probe import recorded, replayed
from text_layers.testing.tiny_models import MODELS

KINDS = {
    "SD3": "q, k, v are [B, tokens, channels]",
    "PixelDiTT2I": "q, k, v and the output are [B, heads, tokens, d]",
    "Omnigen2": "three heads of queries share one of keys and values",
}
HIDDEN = -1e9


@pytest.fixture(scope="module", params=KINDS)
def bench(request):
    tiny = next(tiny for tiny in MODELS if tiny.kind == request.param)
    if not tiny.exists:
        pytest.skip("this ComfyUI does not have it")
    return replace(benchmark.bench_of(tiny), cfg=1.0)


def by_head(bench, layer, heads):
    """The picture by giving the layer both texts, of which the masks of the heads hide one."""
    with recorded(bench.diffusion_model) as target:
        bench.draw(bench.prompt(1))
    target = iter(target)

    def change(call):
        given, text = next(target), bench.text(call)
        if text is None or benchmark.layer_of(bench, call) != layer:
            return call
        theirs = bench.text(given)
        assert text.start == theirs.start == 0 and call.mask is None

        def both(own, new):
            own, new = (x.repeat_interleave(call.q.shape[1] // x.shape[1], 1) for x in (own, new))
            return torch.cat([own[:, :, text], new[:, :, theirs], own[:, :, text.stop :]], 2)

        call.k, call.v = both(call.k, given.k), both(call.v, given.v)
        chosen = torch.zeros(call.q.shape[1], dtype=torch.bool)
        chosen[list(heads)] = True
        call.mask = call.k.new_zeros(1, len(chosen), call.q.shape[2], call.k.shape[2])
        call.mask[:, chosen, :, : text.stop] = HIDDEN
        call.mask[:, ~chosen, :, text.stop : text.stop + theirs.stop] = HIDDEN
        return call

    with replayed(bench.diffusion_model, change):
        return bench.draw(bench.prompt(0))


@pytest.mark.parametrize("longer", [0, 3], ids=["same length", "longer target"])
@pytest.mark.parametrize("chosen", [(0,), (1, -1)], ids=str)
def test_only_the_chosen_heads_see_the_target(bench, chosen, longer):
    tokens = bench.tiny.tokens
    bench = replace(bench, lengths=(tokens, tokens + longer, tokens, tokens))
    layer = bench.names[1]
    count = models.family_of(bench.model).head_counts(bench.diffusion_model)[layer]
    heads = {head % count for head in chosen}
    ours = bench.draw(bench.prompt(0), bench.edit([f"{layer}:{'+'.join(map(str, heads))}"]))
    size = (ours - bench.draw(bench.prompt(0))).abs().max().item()
    assert size > 0
    assert (ours - by_head(bench, layer, heads)).abs().max().item() <= benchmark.TOLERANCE * size
    neighbours = {(head + 1) % count for head in heads}
    if neighbours != heads:
        assert (ours - by_head(bench, layer, neighbours)).abs().max().item() > 10 * benchmark.TOLERANCE * size
