"""Parity with the paper's code: `python dev.py run benchmarks.families.oracle FOLDER --out FILE.json`.

Runs every scenario of FOLDER/{sdxl,sd3,if}/scenarios.json on tiny models through ComfyUI's KSampler and our nodes, and compares the
final latents with those of the reference implementation. Exit status 1 when one is outside its tolerance.
"""

import argparse
import json
from pathlib import Path

import torch

from ...testing import oracle_fixture

FAMILIES = ("sdxl", "sd3", "if")


def load(family, place, rows):
    """oracle_fixture's fixture, with a ComfyUI model and ComfyUI conditionings for "if" as well."""
    fixture = oracle_fixture.load(family, place, rows)
    if family != "if":
        return fixture
    from ...deepfloyd.model import from_weights

    model = from_weights(oracle_fixture.config(place)["unet_config"], fixture.model.state_dict(), torch.float32)
    prompts = {name: [[getattr(fixture, name), {}]] for name in ("positive_A", "positive_B", "negative")}
    return with_steps(fixture._replace(model=model, sampling=fixture.sampling._replace(sampler_name="euler", scheduler=None), **prompts))


def with_steps(fixture, steps=None):
    """With another number of steps. The noise levels of "if" are none of ComfyUI's schedulers': diffusers' DPM-Solver with leading
    timesteps, 166 to 830 for five steps. Its first order is ComfyUI's euler."""
    steps = steps or fixture.sampling.steps
    sampling = fixture.sampling._replace(steps=steps)
    if sampling.scheduler is None:
        sigmas = fixture.model.model.model_sampling.sigmas.cpu()
        timesteps = torch.arange(steps, 0, -1) * (len(sigmas) // (steps + 1))
        sampling = sampling._replace(timesteps=timesteps, sigmas=torch.cat([sigmas[timesteps], torch.zeros(1)]))
    return fixture._replace(sampling=sampling)


def run_scenario(folder, scenario, fixture, patch_node, choose_node):
    """The latents [batch, C, H, W] of one scenario."""
    from ...patching.patch import patch_prompt

    tensors = oracle_fixture.inputs(folder)
    batch = scenario["batch"]
    noise = oracle_fixture.start_noise(tensors[scenario["noise"]][:batch], folder)
    steps = scenario["steps"]
    fixture = with_steps(fixture, steps)
    conditioning = {"A": fixture.positive_A, "B": fixture.positive_B}
    model = fixture.model
    if scenario["mode"] != "plain":
        heads = scenario["heads"] or {}
        written = [f"{n}:{'+'.join(map(str, heads[str(n)]))}" if str(n) in heads else str(n) for n in scenario["layers"]]
        if written and scenario["start"] <= steps:
            text_layers = choose_node.execute(model, "written below", ", ".join(written)).args[0]
            target = fixture.positive_B
            if scenario["target_noise"] == scenario["noise"]:
                model = patch_node.execute(model, target, text_layers, scenario["start"], "target's own run").args[0]
            else:  # the node has no socket for the noise of the target's run
                other = oracle_fixture.start_noise(tensors[scenario["target_noise"]][:batch], folder)
                model = patch_prompt(model, text_layers, target, start=scenario["start"], target_noise=other)
    return oracle_fixture.ksample(fixture, model, conditioning[scenario["prompt"]], noise, scenario["cfg"])


def run_folder(folder):
    """A list of {"family", "scenario", "error", "tolerance", "ok"}, one for each scenario."""
    from ...nodes.patch import PatchPromptIntoLayers
    from ...nodes.text_layers import ChooseTextLayers

    results = []
    for family in FAMILIES:
        place = Path(folder) / family
        if not place.is_dir():
            continue
        tolerance = oracle_fixture.config(place)["atol"]
        fixtures = {}
        for name, scenario in oracle_fixture.scenarios(place).items():
            rows = scenario["batch"]
            if rows not in fixtures:
                fixtures[rows] = load(family, place, rows)
            found = run_scenario(place, scenario, fixtures[rows], PatchPromptIntoLayers, ChooseTextLayers)
            error = (found - fixtures[rows].expected[name]).abs().max().item()
            results.append({"family": family, "scenario": name, "error": error, "tolerance": tolerance, "ok": error <= tolerance})
            print(
                f"{family:5} {name:24} error {error:.2e}  tolerance {tolerance:.0e}  {'ok' if error <= tolerance else 'FAILED'}", flush=True
            )
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    results = run_folder(arguments.folder)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    if not results or not all(r["ok"] for r in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
