"""The models of the workflows, without weights where these are large: what the adapters need to name layers."""

import comfy.ops
import torch
from text_layers.deepfloyd.files import IF_I_XL
from text_layers.deepfloyd.unet import DeepFloydUNet
from text_layers.demo import comfy_model
from text_layers.testing import full_size


def model_of(workflow):
    """workflow: a file's name, which ends with the model's."""
    match workflow.split(" - ")[1]:
        case "demo U-Net":
            return comfy_model.load("unet")[0]
        case "demo MMDiT":
            return comfy_model.load("mmdit")[0]
        case "SDXL":
            return full_size.Looked(full_size.on_meta(full_size.SDXL))
        case "SD3":
            return full_size.Looked(full_size.on_meta(full_size.SD3_MEDIUM))
        case "DeepFloyd IF":
            return full_size.Looked(DeepFloydUNet(torch.float16, "meta", comfy.ops.disable_weight_init, **IF_I_XL))
