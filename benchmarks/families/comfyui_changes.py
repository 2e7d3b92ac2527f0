"""What has changed in a ComfyUI for this pack, on one page:

`python dev.py --comfyui PATH run benchmarks.families.comfyui_changes --out FILE.md`

Classes of models that the pack does not know yet, those that are gone, and adapters that no longer fit: their class is not there, no tiny
model of theirs can be built, or a pattern, an argument or a projection that they name is not found in any.
"""

import argparse
import importlib
from pathlib import Path

import comfy.supported_models
import comfyui_version

from ...patching import hook
from ...patching.adapters import FAMILIES, UNSERVABLE
from ...testing.tiny_models import MODELS, NEWER, NEWER_WITHOUT, WITHOUT
from ..markdown import table


def page(families=FAMILIES, unservable=tuple(UNSERVABLE), tiny_models=MODELS, newer=NEWER, without=tuple(WITHOUT)):
    """The page's text. The arguments are what the pack says of ComfyUI."""
    known = [*dict.fromkeys(tiny.kind for tiny in tiny_models), *without]
    there = [kind.__name__ for kind in comfy.supported_models.models]
    new = [[f"`{name}`", _described(name)] for name in there if name not in {*known, *(tiny.kind for tiny in newer), *NEWER_WITHOUT}]
    gone = [[f"`{name}`"] for name in known if not hasattr(comfy.supported_models, name)]
    faults = [[f"`{kind}`", "", "its class is not there"] for kind in unservable if not _class(kind)]
    for family in families:
        own = [tiny for tiny in (*tiny_models, *newer) if tiny.family == family.name]
        faults += [[family.name, kind, fault] for kind, fault in _faults(family, own)]
    return "\n\n".join((
        f"# ComfyUI {comfyui_version.__version__} and this pack",
        f"{len(there)} classes of models: {len(new)} new, {len(gone)} of those that the pack knows gone; {len(faults)} faults of adapters.",
        *_section("New classes", ["class", "configuration"], new),
        *_section("Classes that are gone", ["class"], gone),
        *_section("Adapters that do not fit", ["adapter", "class", "fault"], faults),
    ))  # fmt: skip


def _section(title, head, rows):
    return (f"## {title}", table(head, rows)) if rows else ()


def _described(name):
    config = getattr(comfy.supported_models, name).unet_config
    return ", ".join(f"{key}: {value}" for key, value in config.items()) or "the same as that of the class it is made of"


def _class(kind):
    module, name = kind.split(":")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def _faults(family, tiny_models):
    """[(class of ComfyUI, what is wrong)]; an adapter without tiny models is the pack's own model's."""
    if any(tiny.exists for tiny in tiny_models):
        yield from (("", f"there is no {kind}") for kind in family.classes if not _class(kind))
    seen = set()
    for tiny in (tiny for tiny in tiny_models if tiny.exists):
        try:
            model = tiny.small_on_meta()
        except Exception as error:
            yield tiny.kind, f"a tiny model cannot be built: {error}"
            continue
        if not family.owns(model):
            yield tiny.kind, f"its model ({type(model).__name__}) is not this adapter's"
        layers = family.modules(model, family.layers)
        seen.update(pattern for pattern in family.layers if family.modules(model, (pattern,)))
        if len(layers) != tiny.layers:
            yield tiny.kind, f"{len(layers)} text layers, {tiny.layers} were expected"
        for counted in [family.counted] if isinstance(family.counted, str) else family.counted:
            pattern, argument = counted.split(":")
            modules = family.modules(model, (pattern,)).values()
            if not modules:
                yield tiny.kind, f"no module is called {pattern}"
            elif not argument.isdigit() and any(argument not in hook.signature(type(module)) for module in modules):
                yield tiny.kind, f"{pattern} has no argument {argument}"
        for name, module in layers.items():
            if not family.projections(module):
                yield tiny.kind, f"{name} has none of the projections that a LoRA trains"
    if tiny_models and any(tiny.exists for tiny in tiny_models):
        yield from (("", f"no text layer is called {pattern}") for pattern in family.layers if pattern not in seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.write_text(page() + "\n", "utf-8")


if __name__ == "__main__":
    main()
