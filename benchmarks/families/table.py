"""Writes docs/families.md from the adapters: `python dev.py run benchmarks.families.table`

The checks are those of benchmarks/results/families.json; renew them with
`python dev.py run benchmarks.families --out benchmarks/results/families.json`.
"""

from pathlib import Path

from ...patching.adapters import FAMILIES
from ...patching.models import PRESETS
from ...testing.tiny_models import MODELS, NEWER, NEWER_WITHOUT, WITHOUT
from .. import markdown
from ..record import kept
from .checks import CHECKS

ROOT = Path(__file__).parents[2]
# Not a class of ComfyUI's: the pack brings it along.
DEEPFLOYD = ("DeepFloyd IF stage I (by Load DeepFloyd IF)", "DeepFloydIF", 22)


def mechanism(family):
    if family.injects:
        return "injection"
    return "target's own run" if family.evolves else "target's text, once"


def known(family):
    """Published text layers of a family's architectures, with the source."""
    found = [(layers, source) for key, (layers, source) in PRESETS.items() if key.startswith(f"{family.name}-")]
    return "; ".join(f"{layers}: {source}" for layers, source in found) or "not published"


def rows():
    """[[family, models, class, layers, mechanism, known layers, checks]] of all classes of ComfyUI, those that are not served last."""
    checks = {row["class"]: row for row in kept("families")}
    newer = {tiny.kind for tiny in NEWER}
    out = []
    for family in FAMILIES:
        entries = [(tiny.models, tiny.kind, tiny.full_layers) for tiny in MODELS if tiny.family == family.name]
        entries += [(tiny.models, tiny.kind, tiny.full_layers) for tiny in NEWER if tiny.family == family.name]
        for number, (models, kind, layers) in enumerate(entries or [DEEPFLOYD]):
            row = checks.get(kind)
            passed = "".join(name for name in CHECKS if row.get(name)) if row else "oracle, own tests"
            if kind in newer:
                passed = "[newer.md](newer.md)"
            first = number == 0
            name = family.description if first else ""
            out.append([name, models, f"`{kind}`", layers, mechanism(family) if first else "", known(family) if first else "", passed])
    for tiny in MODELS:
        if not tiny.family:
            out.append(["not supported", tiny.models, f"`{tiny.kind}`", 0, "", tiny.unservable, ""])
    for kind, (models, why) in (WITHOUT | NEWER_WITHOUT).items():
        tried = "[newer.md](newer.md)" if kind in NEWER_WITHOUT else ""
        out.append(["not supported", models, f"`{kind}`", 0, "", f"{why[0].upper()}{why[1:]}.", tried])
    return out


def table():
    head = ["family", "models", "ComfyUI class", "text layers", "keys and values from", "known to decide the word", "checks passed"]
    return markdown.table(head, rows())


def passed():
    """(classes that pass all checks, all that are served) of benchmarks/results/families.json."""
    checked = [row for row in kept("families") if row["family"]]
    return sum(all(row.get(check) for check in CHECKS) for row in checked), len(checked)


def text():
    """docs/families.md"""
    fine, served = passed()
    return f"""# Which models

Made by `python dev.py run benchmarks.families.table`.

{table()}

Every class of ComfyUI 0.30 stands in the table, picture and video, with the reason where its models draw no words of a text;
{fine} of {served} classes pass all checks. Without f are three, for which `keep` is refused: two draw sound beside the video, one gives
latents of another size than it draws. *Text layers* are those of the real model; where none are published, Localize Text Layers finds
them, but in MiniMax H3, which draws one video at a time.
Classes that came with a later ComfyUI lead to what was tried of them. Of a video all frames take the target; sound that is drawn
beside it reads the source's text (LTX-2, Kandinsky 6), or the target's in the same layers (MiniMax H3).

The checks (`python dev.py run benchmarks.families --out families.json`), on tiny random models of ComfyUI's own classes through its own
sampler, against a second implementation:

- **a** the text layers are the attention calls that see text, in order;
- **b** a patched layer has the target's text keys and values and nothing else has changed;
- **c** source = target, a start past the end and the model afterwards are bit-identical to unpatched;
- **d** far from wrong variants (queries too, the picture's tokens too, the next layer, one CFG half);
- **e** batches, no CFG, split calls, prompts of different length;
- **f** with `keep`, where the text is drawn is where a second reckoning of the attention says, and outside of it are the source's latents;
- **g** c and d for prompts of two masked entries, with what other nodes give (two guidance values, references, a hole to fill).

A model that is not in the table is looked at when a prompt of it is connected: its text layers are found by a few calls of it, checked on
the spot, and refused with the reason where they cannot be told. With the models of the table that was held against what they are known to
be: [discovery.md](discovery.md).
"""


def main():
    (ROOT / "docs" / "families.md").write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
