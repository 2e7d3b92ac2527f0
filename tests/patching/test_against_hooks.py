"""The swap against a second implementation that knows nothing of ours: PyTorch hooks on the projections themselves.

A hook notes what the text projections of some layers give in a run of the target, call by call, and puts their key and value
columns into the source's run. It is checked against the paper's tensors first, and then judges scenarios that those do not hold:
every layer, lists, start steps, heads, no guidance, batches and another noise for the target's run. For DeepFloyd IF it runs in
diffusers' own model and a plain sampling loop.
"""

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from text_layers.benchmarks.families import oracle as benchmark
from text_layers.nodes.patch import PatchPromptIntoLayers
from text_layers.nodes.text_layers import ChooseTextLayers
from text_layers.testing import oracle_fixture
from text_layers.testing.tiny_models.model import OLD

ORACLE = Path(__file__).parents[1] / "oracle"
BASE = {"layers": [], "start": 0, "heads": None, "steps": 5, "batch": 1, "noise": "noise", "target_noise": "noise", "prompt": "A"}


def projections(fixture, layer):
    """[(linear module of text tokens, its key and value columns by head [heads, ...])] of one layer."""
    model = fixture.model if hasattr(fixture.model, "config") else fixture.model.model.diffusion_model
    module = model.get_submodule(fixture.layer_names[layer])
    if hasattr(module, "add_k_proj"):
        columns = torch.arange(module.add_k_proj.out_features).reshape(module.heads, -1)
        return [(module.add_k_proj, columns), (module.add_v_proj, columns)]
    if hasattr(module, "to_k"):
        columns = torch.arange(module.to_k.out_features).reshape(module.heads, -1)
        return [(module.to_k, columns), (module.to_v, columns)]
    qkv, width = module.context_block.attn.qkv, module.context_block.attn.qkv.in_features
    by_head = torch.arange(width).reshape(module.context_block.attn.num_heads, -1)
    return [(qkv, torch.cat([width + by_head, 2 * width + by_head], 1))]


@contextmanager
def hooks(pairs, act):
    handles = [m.register_forward_hook(lambda m, _, out, columns=columns: act(m, columns, out)) for m, columns in pairs]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def target_run(sample, fixture, noise, cfg):
    """{projection: what it gives, call by call} of all layers in a run of the target."""
    pairs = [pair for layer in range(len(fixture.layer_names)) for pair in projections(fixture, layer)]
    seen = {module: [] for module, _ in pairs}
    with hooks(pairs, lambda module, columns, out: seen[module].append(out.clone())):
        sample(fixture, positive=fixture.positive_B, noise=noise, cfg=cfg)
    return seen


def reference(folder, scenario, fixture, runs):
    """Final latents of a scenario by hooks on the text projections. fixture: oracle_fixture's; runs: those of its target, which scenarios
    share."""
    sample = oracle_fixture.sample_if if hasattr(fixture.model, "config") else oracle_fixture.ksample
    tensors = oracle_fixture.inputs(folder)
    noise, target_noise = (oracle_fixture.start_noise(tensors[scenario[k]][: scenario["batch"]], folder) for k in ("noise", "target_noise"))
    heads = {int(layer): chosen for layer, chosen in (scenario["heads"] or {}).items()}
    pairs = [
        (module, columns[heads[layer]] if layer in heads else columns)
        for layer in scenario["layers"]
        for module, columns in projections(fixture, layer)
    ]
    run = scenario["batch"], scenario["target_noise"], scenario["cfg"]
    if run not in runs:
        runs[run] = target_run(sample, fixture, target_noise, scenario["cfg"])
    seen, calls = runs[run], {m: 0 for m, _ in pairs}

    def put(module, columns, out):
        call = calls[module]
        calls[module] += 1
        if call < scenario["start"]:
            return out
        out = out.clone()
        out[..., columns.flatten()] = seen[module][call][..., columns.flatten()]
        return out

    with hooks(pairs, put):
        return sample(fixture, noise=noise, cfg=scenario["cfg"])


@pytest.mark.parametrize("family", ["sdxl", "sd3", "if"])
def test_the_second_implementation_gives_the_papers_tensors(family):
    folder = ORACLE / family
    fixture, runs = oracle_fixture.load(family, folder), {}
    for name, scenario in oracle_fixture.scenarios(folder).items():
        if scenario["mode"] != "plain":
            error = (reference(folder, scenario, fixture, runs) - fixture.expected[name]).abs().max().item()
            assert error <= oracle_fixture.config(folder)["atol"], name


def every(count):
    """With the oldest ComfyUI the last layer alone: test_every_family sees all layers there."""
    return [{"layers": [n]} for n in range(count)[-1 if OLD else 0 :]]


SHARED = [
    {"layers": [1, 2, 4]},
    {"layers": [2, 4], "start": 1},
    {"layers": [2, 4], "start": 4},
    {"layers": [2, 4], "start": 5},
    {"layers": [2, 4], "cfg": 1.0},
    {"layers": [2, 4], "cfg": 1.0, "start": 2, "batch": 2},
    {"layers": [2, 4], "batch": 2},
]
SCENARIOS = [("sdxl", s) for s in (*every(10), *SHARED, {"layers": list(range(10))}, {"layers": [3, 4, 5], "heads": {"4": [1], "5": [0]}})]
SCENARIOS += [("sd3", s) for s in (*every(6), *SHARED, {"layers": list(range(6))}, {"layers": [2, 4], "target_noise": "other_noise"})]
SCENARIOS += [("sd3", {"layers": [2, 4], "heads": heads, **more}) for heads, more in (
    ({"2": [0]}, {}), ({"2": [1], "4": [0]}, {"batch": 2}), ({"2": [1], "4": [0]}, {"cfg": 1.0, "start": 1}))]  # fmt: skip
SCENARIOS += [("if", s) for s in (*every(7), *SHARED, {"layers": list(range(7))})]
SCENARIOS += [("if", {"layers": [2, 4], "heads": heads, **more}) for heads, more in (
    ({"2": [1]}, {}), ({"2": [1], "4": [0]}, {"batch": 2, "start": 1}))]  # fmt: skip


@pytest.fixture(scope="module")
def fixtures():
    """The model that is patched and the one that judges, the same but for DeepFloyd IF; and two dicts, for runs of the target by the judge
    and for pictures of the patched model without a patch."""
    every = {(f, rows): oracle_fixture.load(f, ORACLE / f, rows) for f in ("sdxl", "sd3", "if") for rows in (1, 2)}
    return {key: (benchmark.load("if", ORACLE / "if", key[1]) if key[0] == "if" else judge, judge, {}, {}) for key, judge in every.items()}


@pytest.mark.parametrize(("family", "changes"), SCENARIOS, ids=str)
def test_scenarios(fixtures, family, changes):
    """Within a hundredth of what the patch does: attention by head or by row is another order of the same float operations."""
    folder = ORACLE / family
    scenario = {**BASE, "mode": "promptB" if family == "sdxl" else "cache", "cfg": 5.0, **changes}
    fixture, judge, runs, plain = fixtures[family, scenario["batch"]]
    wanted = reference(folder, scenario, judge, runs)
    found = benchmark.run_scenario(folder, scenario, fixture, PatchPromptIntoLayers, ChooseTextLayers)
    cfg = scenario["cfg"]
    if cfg not in plain:
        plain[cfg] = oracle_fixture.ksample(fixture, cfg=cfg)
    if scenario["start"] == scenario["steps"]:
        assert torch.equal(found, plain[cfg])
    else:
        assert (found - wanted).abs().max() <= 0.01 * (wanted - plain[cfg]).abs().max()
