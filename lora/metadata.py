"""What a LoRA file says of itself, in the words of the usual trainers where they have one (modelspec, kohya's ss_).

LoraTensors     a LoRA as it goes from node to node, with its metadata
of_training     metadata of a trained LoRA
peft_scale      by which peft and diffusers multiply a LoRA, where its metadata say it
steps           that a LoRA was trained, as far as its metadata say it
"""

import json
from dataclasses import asdict

# Their names in modelspec.
_ARCHITECTURES = {
    "unet-16x768": "stable-diffusion-v1",
    "unet-70x2048": "stable-diffusion-xl-v1-base",
    "mmdit-24x1536": "stable-diffusion-v3-medium",
}


class LoraTensors(dict):
    """{name: tensor}, which is what ComfyUI's LORA_MODEL is, with `metadata`: {name: text} for the file."""

    def __init__(self, tensors, metadata):
        super().__init__(tensors)
        self.metadata = dict(metadata)

    def __repr__(self):
        """ComfyUI writes it into the history of a node that fails."""
        return f"<a LoRA of {len(self)} tensors>"


def of_training(text_layers, settings, steps):
    """settings: train.Settings; steps: of all trainings of this LoRA. The alpha is the rank: the scale is in the tensors."""
    base = _ARCHITECTURES.get(text_layers.architecture)
    return ({"modelspec.architecture": f"{base}/lora"} if base else {}) | {
        "modelspec.sai_model_spec": "1.0.0",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(settings.rank),
        "ss_network_alpha": str(settings.rank),
        "ss_steps": str(steps),
        "text_layers": text_layers.to_json(),
        "text_layers.architecture": text_layers.architecture,
        "text_layers.training": json.dumps(asdict(settings)),
    }


def peft_scale(metadata):
    """diffusers writes peft's settings as JSON, once for the whole file; None where there are none."""
    try:
        said = json.loads(metadata.get("lora_adapter_metadata", ""))
        part = next(key.removesuffix("lora_alpha") for key in said if key in ("transformer.lora_alpha", "unet.lora_alpha", "lora_alpha"))
        rank = float(said[f"{part}r"])
        return float(said[f"{part}lora_alpha"]) / (rank**0.5 if said.get(f"{part}use_rslora") else rank)
    except (ValueError, TypeError, AttributeError, KeyError, StopIteration, ZeroDivisionError, RecursionError):
        return None


def steps(metadata):
    """Trainers write "300", and also "300.0" and "None"."""
    try:
        return max(0, int(float(metadata.get("ss_steps", 0))))
    except (ValueError, TypeError, OverflowError):
        return 0
