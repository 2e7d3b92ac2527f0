"""Writes docs/quality.md: each figure of PAGES with the command that measured it, its date and versions.

    python dev.py run benchmarks.quality

A figure that a test holds has the test's command. The dates of the result files are those of their commits; they are kept in
results/dates.json, for who has no git history.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .families import table as family_table
from .localization import docs as localization_docs
from .markdown import table
from .record import RESULTS, kept

ROOT = Path(__file__).parents[1]
DATES = RESULTS / "dates.json"
PAGES = ("README.md", "docs/evidence.md", "docs/families.md")


@dataclass(frozen=True)
class Claim:
    """said: what stands in one of PAGES, word for word; by: a result file and the arguments of `python dev.py run`, or a test's path."""

    said: str
    by: str
    file: str = ""

    @property
    def command(self):
        return f"python dev.py run {self.by}" if self.file else f"python dev.py test {self.by}"


def _localization():
    rows = localization_docs.short_table(localization_docs.load_all()).splitlines()[2:]
    command = "benchmarks.localization --model {0} --strategy all --seed 13 --out benchmarks/results/localization-{0}-13.json"
    return [Claim(row, command.format(name), f"localization-{name}-13") for row, name in zip(rows, ("unet", "mmdit"), strict=True)]


def _lora():
    smallest, largest = sorted(4 * kept("lora_size")[name]["text layers"] / 1000 for name in ("SDXL", "SD3 medium"))
    said = f"a LoRA of {smallest:.0f} (SD3) or {largest:.0f} kB (SDXL, rank 4)"
    return Claim(said, "benchmarks.lora.size --out benchmarks/results/lora_size.json", "lora_size")


def _edits():
    """Rows of the table of edits."""
    command = "benchmarks.editing.demo_edit --out benchmarks/results/demo_edit.json"
    pooled = [kept("demo_edit")["models"][name]["word_and_colours"]["all"] for name in ("unet", "mmdit")]
    rows = {
        "the edit reads the target's word, of the plain targets that can be read": [
            f"{p['edit']['reads_target_of_readable']} of {p['target_read_exactly']}" for p in pooled
        ],
        "the edit has the source's colours": [f"{p['edit']['colours_of_source']} of {p['pairs']}" for p in pooled],
        "background against the source picture: edit, plain target": [
            f"{p['edit_background_psnr']:.1f} dB, {p['target_background_psnr']:.1f} dB" for p in pooled
        ],
        "target in all *other* layers: reads the source's word": [
            f"{p['complement']['reads_source']} of {p['source_read_exactly']}" for p in pooled
        ],
        "target in as many random other layers: reads the target's word": [
            f"{p['random']['reads_target_of_readable']} of {p['target_read_exactly']}" for p in pooled
        ],
    }
    return [Claim(f"| {what} | {' | '.join(figures)} |", command, "demo_edit") for what, figures in rows.items()]


def _costs():
    command = "benchmarks.cost --rounds 8 --out benchmarks/results/cost.json"
    ratios = kept("cost")["ratios"]
    rows = []
    full_size = "SDXL; Stable Diffusion 3 medium", "SDXL, full size", "SD3-medium, full size"
    for title, unet, mmdit in (("demo models", "demo unet", "demo mmdit"), full_size):
        own, same = "target's own run", "target on the source's latents"
        cells = [ratios[unet][own], ratios[mmdit][own], ratios[mmdit][same]]
        figures = [f"{c['median']:.2f} ({c['smallest']:.2f} to {c['largest']:.2f})" for c in cells]
        rows.append(Claim(f"| {title} | {' | '.join(figures)} |", command, "cost"))
    return rows


def _cost_of_keep():
    ratios = kept("cost_keep")["ratios"]
    own = "target's own run"
    cells = [f"{ratios[name][run]['median']:.2f}" for name in ("demo unet", "demo mmdit") for run in (f"{own}, keep", own)]
    with_keep, without = " on the demo U-Net and ".join(cells[::2]), " and ".join(cells[1::2])
    said = f"With *keep* {with_keep} on the demo MMDiT, without it {without} in the same run"
    return Claim(said, 'benchmarks.cost --rounds 8 --only "demo unet" "demo mmdit" --out benchmarks/results/cost_keep.json', "cost_keep")


def _oracle():
    families = ("sdxl", "sd3", "if")
    sdxl, sd3, deepfloyd = (_short(max(row["error"] for row in kept("oracle") if row["family"] == family)) for family in families)
    said = (
        f"Worst error: {sdxl} for SDXL (tolerance 1e-2), {sd3} for Stable Diffusion 3 (tolerance 5e-4), {deepfloyd} for DeepFloyd IF "
        "(tolerance 1e-3)."
    )
    return Claim(said, "benchmarks.families.oracle tests/oracle --out benchmarks/results/oracle.json", "oracle")


def _short(value):
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}e{int(power)}"


def _guard():
    scores, drawn = kept("guard_scores"), kept("guard_pictures")
    recall, precision = scores["recall"], scores["precision"]
    signs = drawn["models"]["unet"]["guarded"]["reads_the_toxic_word"]
    read = sum(drawn["models"][m]["guarded"]["reads_the_toxic_word"]["count"] for m in ("unet", "mmdit"))
    return [
        Claim(
            f"Recall {recall['share']:.1%} on {recall['of']} prompts, precision {precision['share']:.0%}",
            "benchmarks.guard.scores --out benchmarks/results/guard_scores.json",
            "guard_scores",
        ),
        Claim(
            f"the word is read in {read} of {2 * signs['of']} guarded pictures",
            "benchmarks.guard.pictures --out benchmarks/results/guard_pictures.json",
            "guard_pictures",
        ),
    ]


def _keep():
    found = kept("keep")["models"]["unet"]["word"]
    keep, inpaint, same_seed = (found[way]["background_db"] for way in ("text_layers_keep", "inpaint", "target"))
    said = (
        f"({keep:.1f} dB on the demo U-Net, where inpainting of the word's box has {inpaint:.1f} dB and the same seed with another prompt "
        f"{same_seed:.1f} dB; {found['text_layers_keep']['read']} of {found['target']['pairs']} words are read, with the others "
        f"{found['inpaint']['read']} and {found['target']['read']})"
    )
    return Claim(said, "benchmarks.editing.paper --model unet --signs word --out FOLDER", "keep")


def _inversion():
    found = [kept("inversion")["models"][name]["photographs"]["ours, 8 refinements"]["psnr"] for name in ("unet", "mmdit")]
    said = f"come back at {found[0]:.1f} dB (demo U-Net) and {found[1]:.1f} dB (demo MMDiT)"
    return Claim(said, "benchmarks.editing.inversion --out benchmarks/results/inversion.json", "inversion")


def _robustness():
    command = "benchmarks.server.robustness --out benchmarks/results/robustness.json"
    found = kept("robustness")
    fuzz, stops = found["fuzz"], found["interruptions"]["all"]
    outcomes, errors, seconds = fuzz["outcomes"], fuzz["errors"], stops["seconds_to_stop"]
    growth = max(abs(found[f"edits, {name}"]["mb_per_edit"]) for name in ("unet", "mmdit"))
    edits = sum(found[f"edits, {name}"]["succeeded"] for name in ("unet", "mmdit"))
    return [
        Claim(said, command, "robustness")
        for said in (
            f"{fuzz['cases']:,} hostile prompts: {outcomes['refused at validation']} were refused before they ran, "
            f"{outcomes['error in a node']:,} by a node, of which {errors['said by the pack']:,} in its own words",
            f"To {outcomes['500']} the server itself answered 500",
            f"{found['layer_files']['refused']} of {found['layer_files']['files']} broken files of text layers were refused",
            f"{stops['interrupted']} interruptions at random moments: {seconds['median']:.2f} s to stop in the median, "
            f"{seconds['largest']:.1f} s at most, and {stops['same_pictures_afterwards']} times the same picture afterwards",
            f"{edits} edits in two queues: {growth:.1f} MB of memory more an edit",
            f"{len(found['written_outside'])} files were written outside of ComfyUI's folders",
        )
    ]


def _startup():
    found = kept("startup")
    said = f"With the pack, ComfyUI starts with {found['processor_difference']:+.2f} s of processor time"
    return Claim(said, f"benchmarks.server.startup --rounds {found['rounds']} --out benchmarks/results/startup.json", "startup")


def _first_run():
    found = kept("first_run")
    minutes, wanted = found["total_seconds"] / 60, found["processes_that_wanted_a_core"]
    said = (
        f"From `git clone` to the first edited picture in the browser: {found['clicks']} clicks and {minutes:.1f} minutes without "
        f"downloads, on {found['cores']} cores that {wanted:.0f} processes wanted"
    )
    return Claim(said, "benchmarks.server.first_run --out benchmarks/results/first_run.json", "first_run")


def claims():
    fine, served = family_table.passed()
    return [
        _lora(),
        *_localization(),
        Claim("(0.61 % of the parameters)", "tests/patching/test_families.py"),
        Claim("`joint_blocks.10` (0.23 %)", "tests/patching/test_families.py"),
        Claim("`up_blocks.1.attentions.3` (0.28 %)", "tests/deepfloyd/test_model.py"),
        Claim(
            f"{fine} of {served} classes pass all checks",
            "benchmarks.families --out benchmarks/results/families.json",
            "families",
        ),
        _keep(),
        _oracle(),
        *_edits(),
        *_costs(),
        _cost_of_keep(),
        Claim("Importing the pack takes under a millisecond", "benchmarks.cost --out benchmarks/results/cost.json", "cost"),
        _inversion(),
        *_guard(),
        _startup(),
        _first_run(),
        *_robustness(),
        Claim("English, Chinese, Japanese, Korean, French, German, Spanish and Russian", "tests/server/test_locales.py"),
        Claim("with the mouse or the keyboard alone", "tests/server/test_layer_map.py"),
        Claim("text has a contrast of 4.5 : 1 and cells of 3 : 1 at least", "tests/server/test_layer_map.py"),
        Claim("in the demo U-Net, layer 5 the word, layer 6 the colours", "tests/server/test_layer_map.py"),
        Claim("*Install via Git URL*", "tests/install --long"),
        Claim("tested with 0.3.75 and 0.30.0", "--long"),
    ]


def text():
    """docs/quality.md"""
    dates = json.loads(DATES.read_text("utf-8"))
    rows, alone = [], kept("robustness")["nodes_of_comfyui_alone"]
    for claim in claims():
        if claim.file:
            result = kept(claim.file)
            versions = result.get("versions", {}) if isinstance(result, dict) else {}
            used = f"ComfyUI {versions['comfyui']}, torch {versions['torch']}" if versions else "ComfyUI 0.30.0"
            when = dates[claim.file]
        else:
            used = "ComfyUI 0.30.0; where it can, 0.3.75"
            when = "before each release" if "--long" in claim.by else "every run of the suite"
        rows.append([claim.said.strip("| ").replace(" | ", " / "), f"`{claim.command.strip()}`", when, used])
    return f"""# What is claimed, and how it was measured

Made by `python dev.py run benchmarks.quality`. A test compares these lines with the README, evidence.md,
families.md and the files in `benchmarks/results`.
All figures are of a CPU ({kept("cost")["processor"]}, two cores), Python {kept("cost")["versions"]["python"]}; none of a GPU.

{table(["what is said", "command", "date", "with"], rows)}

More figures, with their intervals: [localization](localization.md), [LoRAs](lora.md), [edits and inversion](editing.md),
[the guard](guard.md), [beside other nodes](compatibility.md), [the demo models](../demo/README.md).

## What ComfyUI's server does by itself

Prompts that are no prompts make the server of ComfyUI 0.30.0 answer 500, with its own nodes alone, or end its worker. They are counted
apart and are not the pack's:

{table(["sent to ComfyUI's nodes", "what happened"], [[case, f"`{what}`"] for case, what in alone.items()])}

## What is not measured

- Real SDXL, Stable Diffusion 3 and DeepFloyd IF checkpoints: their weights were not at hand. Their architectures were, at full size with
  random weights, and the paper's own tensors.
- GPUs, Windows and macOS.
- The public registry and ComfyUI-Manager's page: installing was tested with Manager's own code, from a git URL and from a registry that
  answers on the same machine.
"""


def main():
    dates = json.loads(DATES.read_text("utf-8")) if DATES.is_file() else {}
    for name in sorted({claim.file for claim in claims()} - {""}):
        git = ["git", "-C", str(ROOT), "log", "-1", "--format=%cs", "--", f"benchmarks/results/{name}.json"]
        dates[name] = subprocess.run(git, capture_output=True, text=True).stdout.strip() or dates.get(name, "")
    DATES.write_text(json.dumps(dates, indent=2) + "\n")
    (ROOT / "docs" / "quality.md").write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
