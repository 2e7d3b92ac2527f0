"""Which family a model belongs to, what its text layers are, and which are known.

is_known        whether a model has a Family
unservable      why a model has no text layers
family_of       the Family of a model; an error names what is supported
layer_names     all text layers of a model, in execution order
architecture    a fingerprint: two models with the same one have the same text layers
known           the text layers that are published for a model's architecture, if any are
preset          the same, or an error
check           that a TEXT_LAYERS value fits a model
FOUND           families of models without an adapter, which were found by looking (discovery)
"""

from pathlib import Path
from weakref import WeakKeyDictionary

from .adapters import FAMILIES, UNSERVABLE, UNSERVABLE_KINDS, UNSERVABLE_NEWER
from .messages import shortened
from .text_layers import TextLayers, parse_layers

# architecture -> (layers, where they are published)
PRESETS = {
    "unet-70x2048": ("55-57", "SDXL, Staniszewski et al., ICLR 2025"),
    "mmdit-24x1536": ("10", "Stable Diffusion 3 medium, Staniszewski et al., ICLR 2025"),
    "if-22x704": ("17", "DeepFloyd IF-I-XL, Staniszewski et al., ICLR 2025"),
}
FOUND = WeakKeyDictionary()  # diffusion model -> Family
# Text layers that Localize Text Layers found, as Save Text Layers wrote them.
_LOCALIZED = Path(__file__).parent / "localized"


def is_known(model):
    """Whether a MODEL's family is: by its adapter, or because it was looked at."""
    return unservable(model) is None and _family(model.get_model_object("diffusion_model")) is not None


def unservable(model):
    """Why a MODEL has no text layers, or None."""
    kind = type(model.get_model_object("diffusion_model"))
    settings = getattr(model.model, "model_config", None)
    known = UNSERVABLE | UNSERVABLE_NEWER
    return known.get(f"{kind.__module__}:{kind.__qualname__}") or UNSERVABLE_KINDS.get(type(settings).__name__)


def family_of(model):
    """model: ComfyUI's MODEL. Raises ValueError for an architecture that is not supported or cannot be."""
    diffusion_model = model.get_model_object("diffusion_model")
    if reason := unservable(model):
        raise ValueError(f"{type(model.model).__name__} models have no text layers: {reason}.")
    family = _family(diffusion_model)
    if family is not None:
        return family
    raise ValueError(
        f"Text layers of {type(model.model).__name__} models ({type(diffusion_model).__name__}) are not supported by name. "
        "Connect a prompt of the model to the input prompt of Text Layers, and it is looked at for them. "
        f"Supported by name are {'; '.join(f.description for f in FAMILIES)}."
    )


def _family(diffusion_model):
    return next((family for family in FAMILIES if family.owns(diffusion_model)), FOUND.get(diffusion_model))


def layer_names(model):
    return family_of(model).layer_names(model.get_model_object("diffusion_model"))


def architecture(model):
    return family_of(model).architecture(model.get_model_object("diffusion_model"))


def written(model, text):
    """TEXT_LAYERS of a hand-written list; errors as parse_layers."""
    names, heads = parse_layers(text, layer_names(model))
    return check(model, TextLayers(family_of(model).name, architecture(model), names, heads, source="written by hand"))


def known(model):
    """The known text layers of a model's architecture: published, or localized and shipped; None where there are none."""
    kind = architecture(model)
    if kind in PRESETS:
        text, source = PRESETS[kind]
        names, _ = parse_layers(text, layer_names(model))
        return TextLayers(family_of(model).name, kind, names, source=source)
    for path in sorted(_LOCALIZED.glob("*.json")):
        text_layers = TextLayers.from_json(path.read_text("utf-8"))
        if text_layers.architecture == kind:
            return check(model, text_layers)
    return None


def preset(model):
    """The known text layers of a model. Raises ValueError where there are none."""
    text_layers = known(model)
    if text_layers is None:
        raise ValueError(
            f"No text layers are published for this model ({architecture(model)}). Find them with Localize Text Layers, or write the "
            "layers by hand."
        )
    return text_layers


def check(model, text_layers):
    """Returns text_layers. Raises ValueError when they belong to another architecture or name what the model lacks."""
    found = architecture(model)
    if text_layers.architecture != found:
        raise ValueError(
            f"These text layers belong to another architecture: they are for {shortened(text_layers.architecture)}, "
            f"the connected model is {found}."
        )
    counts = family_of(model).head_counts(model.get_model_object("diffusion_model"))
    for name in text_layers.names:
        if name not in counts:
            raise ValueError(f"The connected model has no text layer {shortened(name)}; it has {', '.join(counts)}.")
        beyond = [h for h in text_layers.heads.get(name, ()) if h >= counts[name]]
        if beyond:
            raise ValueError(f"{name} has {counts[name]} heads, numbered from 0; there is no head {beyond[0]}.")
    return text_layers
