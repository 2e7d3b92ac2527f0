"""The models of the workflows, without weights where these are large: what the adapters need to name layers."""

import comfy.ops
import torch
from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

from ..benchmarks import full_size
from ..deepfloyd.files import IF_I_XL
from ..deepfloyd.unet import DeepFloydUNet
from ..demo import comfy_model


def model_of(workflow):
    """workflow: a file's name, which ends with the model's."""
    operations = comfy.ops.disable_weight_init
    match workflow.split(" - ")[1]:
        case "demo U-Net":
            return comfy_model.load("unet")[0]
        case "demo MMDiT":
            return comfy_model.load("mmdit")[0]
        case "SDXL":
            return full_size.Looked(UNetModel(**full_size.SDXL, device="meta", operations=operations))
        case "SD3":
            return full_size.Looked(OpenAISignatureMMDITWrapper(**full_size.SD3_MEDIUM, device="meta", operations=operations))
        case "DeepFloyd IF":
            return full_size.Looked(DeepFloydUNet(torch.float16, "meta", operations, **IF_I_XL))
