"""What a LoRA file says of itself, in the words of the usual trainers where they have one (modelspec, kohya's ss_).

LoraTensors     a LoRA as it goes from node to node, with its metadata
of_training     metadata of a trained LoRA
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
