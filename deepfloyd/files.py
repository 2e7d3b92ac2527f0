"""DeepFloyd IF in ComfyUI's models folder.

unets         names of what may be loaded: folders in models/diffusers that hold an IF, and files in models/diffusion_models
missing       what to say where there is none of a name
read_unet     configuration and weights of one of them
text_encoder  files of the T5 that lies beside a U-Net
weight_files  files of the one model in a folder
read          tensors and metadata of the files of one model
"""

import json
import os
import re
from pathlib import Path

import comfy.utils
import folder_paths

from ..patching.messages import shortened
from ..patching.paths import shown, within

# diffusers' configuration of IF-I-XL; what is not here has UNet2DConditionModel's default. [diffusers, scripts/convert_if.py]
IF_I_XL = {
    "sample_size": 64,
    "in_channels": 3,
    "out_channels": 6,
    "block_out_channels": [704, 1408, 2112, 2816],
    "layers_per_block": 3,
    "down_block_types": ["ResnetDownsampleBlock2D", *3 * ["SimpleCrossAttnDownBlock2D"]],
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": [*3 * ["SimpleCrossAttnUpBlock2D"], "ResnetUpsampleBlock2D"],
    "act_fn": "gelu",
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 64,
    "attention_head_dim": 64,
    "cross_attention_dim": 2816,
    "cross_attention_norm": "group_norm",
    "encoder_hid_dim": 4096,
    "resnet_time_scale_shift": "scale_shift",
}
_LARGEST = 2**20  # bytes of a config.json; a real one has a few thousand
_SHARD = re.compile(r"-\d{5}-of-(\d{5})")


def unets():
    return [*_folders(), *(n for n in folder_paths.get_filename_list("diffusion_models") if n.lower().endswith(".safetensors"))]


def read_unet(name):
    """(configuration, weights). Raises FileNotFoundError, and ValueError for what is no IF of stage I."""
    folder = _folders().get(name)
    if folder is not None:
        config = _config(folder)
        _check_stage_one(name, config)
        return config, read(weight_files(folder))[0]
    file = folder_paths.get_full_path("diffusion_models", name)
    if file is None:
        raise FileNotFoundError(missing(name))
    config = _config(Path(file).parent)
    if config is not None:
        _check_stage_one(name, config)
    weights, _ = read(_shards(Path(file)))
    return config or _config_of(name, weights), weights


def missing(name):
    return (
        f"There is no {shortened(str(name))} in models/diffusers or models/diffusion_models. Put a DeepFloyd IF there, as a folder that "
        "diffusers wrote (with model_index.json or config.json) or as its .safetensors file."
    )


def text_encoder(name):
    """Files of the T5 in a U-Net's pipeline folder. Raises FileNotFoundError where there is none."""
    folder = _folders().get(name)
    beside = folder.parent / "text_encoder" if folder is not None else None
    if beside is None or not beside.is_dir():
        raise FileNotFoundError(
            f"{name} has no text_encoder beside it. Choose a T5-XXL from models/text_encoders, for example t5xxl_fp16.safetensors."
        )
    return weight_files(beside)


def read(files):
    weights, metadata = {}, {}
    for file in files:
        part, about = comfy.utils.load_torch_file(str(file), safe_load=True, return_metadata=True)
        weights.update(part)
        metadata.update(about or {})
    return weights, metadata


def _folders():
    """Name -> folder of the U-Net. A pipeline, whose U-Net lies in a folder `unet`, has the name of the whole."""
    found = {}
    for root in folder_paths.get_folder_paths("diffusers"):
        for place, files in within(root):
            if "config.json" in files and _is_if(_config(place)):
                whole = place.parent if (place.parent / "model_index.json").is_file() else place
                found.setdefault(os.path.relpath(whole, root), place)
    return found


def _config(folder):
    path = folder / "config.json"
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _LARGEST:
            return None
        config = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError, OSError):
        return None
    return config if isinstance(config, dict) and "block_out_channels" in config else None


def _is_if(config):
    return config is not None and config.get("addition_embed_type") == "text" and "SimpleCrossAttn" in str(config.get("mid_block_type"))


def _check_stage_one(name, config):
    if not _is_if(config):
        raise ValueError(f"{name} is no U-Net of DeepFloyd IF: its config.json describes another model.")
    if config.get("in_channels") != 3:
        raise ValueError(_stage_two(name))


def _stage_two(name):
    return (
        f"{name} is a later stage of DeepFloyd IF, which makes a picture larger. This node loads stage I, which draws it: "
        "IF-I-M, IF-I-L or IF-I-XL."
    )


def _config_of(name, weights):
    """The configuration of weights that have no config.json beside them."""
    if not {"add_embedding.pool.positional_embedding", "encoder_hid_proj.weight", "conv_in.weight"} <= set(weights):
        raise ValueError(f"{name} is no U-Net of DeepFloyd IF in diffusers' format.")
    channels, inputs = weights["conv_in.weight"].shape[:2]
    if inputs != IF_I_XL["in_channels"]:
        raise ValueError(_stage_two(name))
    if channels != IF_I_XL["block_out_channels"][0]:
        # Their activation functions differ, and weights do not tell which one it is.
        raise ValueError(f"{name} is no IF-I-XL; other sizes need their config.json in the same folder.")
    return IF_I_XL


def weight_files(folder):
    """The files of one model: where there are several, the one in half precision, which is what most GPUs compute in."""
    files = sorted(folder.glob("*.safetensors"), key=lambda f: ("fp16" not in f.name, len(f.name), f.name))
    if not files:
        raise FileNotFoundError(f"{shown(folder)} holds no .safetensors file.")
    return _shards(files[0])


def _shards(file):
    """All files of the model that a file is a part of."""
    part = _SHARD.search(file.name)
    if part is None:
        return [file]
    found = sorted(f for f in file.parent.glob("*.safetensors") if _SHARD.sub("", f.name) == _SHARD.sub("", file.name))
    if len(found) != int(part[1]):
        raise FileNotFoundError(f"{shown(file.parent)} holds {len(found)} of the {int(part[1])} files of {_SHARD.sub('', file.name)}.")
    return found
