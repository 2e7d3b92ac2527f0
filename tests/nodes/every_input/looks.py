"""What is looked at of each node: its usual inputs, and what it gives, says, writes and has the model do."""

import re

import comfy.lora
import comfy.model_management
import pytest
import torch
from safetensors.torch import load_file
from text_layers.nodes import check_layers as check_layers_node
from text_layers.patching.patch import OWN_RUN
from text_layers.scoring.lexicon import OBSCENE

from .world import SIZE, SOURCE, TARGET, reading, watched

SIX = "CAFE, HOTEL\nOPEN, SHUT\nNORTH, SOUTH\nMOON, RIVER\nBIRD, ENTER\nWOOD, TOWN"
GUARDED = SOURCE.replace("CAFE", "CRAP")


def said(output):
    return "\n".join(output.ui["text"])


def read_by(world, seen):
    """Engines that have read, and what."""
    found, world.read = world.read, []
    return seen | {"engines": sorted({name for name, _ in found}), "read": [picture for _, picture in found]}


def localize(world):
    return {"model": world.mmdit, "clip": world.clip, "vae": world.vae, "latent_image": {"samples": torch.zeros(1, *SIZE)},
            "template": SOURCE.replace("CAFE", "{word}"), "word_pairs": "CAFE, HOTEL", "strategy": "first_step", "ocr": "RapidOCR",
            "seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "simple", "negative": "", "batch": 16}  # fmt: skip


def look_at_localize(world, node, inputs):
    """Up to the first picture that is read."""
    told = []
    with watched(inputs["model"]) as calls, world.fresh("user"), reading(world, stop=True), pytest.MonkeyPatch.context() as watch:
        # But for the time that it will take, which is another each time.
        watch.setattr("text_layers.nodes.localize.say", lambda node, text: told.append(re.sub(r", about \d+ \w+ at the pace.*", "", text)))
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            node.execute(**inputs)
    seen = {"noise": calls[0]["x"][:1], "end": calls[-1]["x"][:1], "levels": [float(call["level"][0]) for call in calls],
            "rows": max(len(call["x"]) for call in calls), "text": [call["text"][:2] for call in calls], "told": told}  # fmt: skip
    return read_by(world, seen)


def check_layers(world):
    return {"model": world.mmdit, "clip": world.clip, "vae": world.vae, "text_layers": world.layers("0"),
            "latent_image": {"samples": torch.zeros(1, *SIZE)}, "template": SOURCE.replace("CAFE", "{word}"), "word_pairs": SIX,
            "ocr": "RapidOCR", "seed": 1, "steps": 2, "cfg": 3.0, "scheduler": "simple", "calls": 60, "negative": ""}  # fmt: skip


def look_at_check_layers(world, node, inputs):
    """Up to the first picture that is read."""
    with watched(inputs["model"]) as calls, reading(world, stop=True), pytest.MonkeyPatch.context() as watch:
        asked = []
        inner = check_layers_node.check
        watch.setattr(check_layers_node, "check", lambda sweep, layers, calls: asked.append(layers) or inner(sweep, layers, calls))
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            node.execute(**inputs)
    seen = {"noise": calls[0]["x"][:1], "end": calls[-1]["x"][:1], "levels": [float(call["level"][0]) for call in calls], "layers": asked,
            "text": [call["text"] for call in calls]}  # fmt: skip
    return read_by(world, seen)


def choose(world):
    return {"model": world.mmdit, "choice": "written below", "layers": "0"}


def look_at_choose(world, node, inputs):
    output = node.execute(**inputs)
    (shown,) = output.ui["text_layers"]
    return {"layers": output.args[0].to_json(), "shown": shown, "said": said(output)}


def patch(world):
    return {"model": world.mmdit, "target": world.encoded(TARGET), "text_layers": world.layers("0-1"), "start_step": 0, "method": OWN_RUN,
            "target_negative": world.encoded("a sign")}  # fmt: skip


def look_at_patch(world, node, inputs):
    model = inputs["model"]
    with watched(model) as calls:
        drawn = world.draw(node.execute(**inputs).args[0])
    return {"drawn": drawn, "calls": len(calls)}


def replace_words(world):
    return {"prompt": SOURCE, "replacements": "CAFE -> HOTEL", "clip": world.clip}


def look_at_replace_words(world, node, inputs):
    output = node.execute(**inputs)
    source, target, source_prompt, target_prompt = output.args
    encoded = {name: value[0][0] if isinstance(value, list) else value.message for name, value in (("source", source), ("target", target))}
    return encoded | {"source_prompt": source_prompt, "target_prompt": target_prompt, "said": said(output)}


def replace_many(world):
    return {"prompt": SOURCE, "edits": "HOTEL\nSWIM", "clip": world.clip}


def look_at_replace_many(world, node, inputs):
    source, targets, source_prompt, target_prompts = (output := node.execute(**inputs)).args
    assert len(targets) == len(target_prompts) == 2
    encoded = {name: value[0][0] if isinstance(value, list) else value.message
               for name, value in (("source", source), ("target", targets[0]), ("last", targets[1]))}  # fmt: skip
    return encoded | {"source_prompt": source_prompt, "target_prompts": target_prompts, "said": said(output)}


def composite(world):
    before = world.latent("CAFE")["samples"]
    after = before.clone()
    after[..., 2:10, 4:20] += 1
    return {"source": world.sign("CAFE"), "edited": world.sign("HOTEL"), "source_latent": {"samples": before},
            "edited_latent": {"samples": after}, "edge": 1}  # fmt: skip


def look_at_composite(world, node, inputs):
    output = node.execute(**inputs)
    image, where = output.args
    return {"image": image, "mask": where, "said": said(output)}


def load_lora(world):
    return {"model": world.mmdit, "text_layers": world.layers("0"), "lora_name": world.lora("usual.safetensors"),
            "strength_text_layers": 1.0, "strength_elsewhere": 0.5, "strength_clip": 0.5, "clip": world.clip}  # fmt: skip


def weights(patcher, starts=""):
    """Those that patches change, as they are computed with."""
    return {key: comfy.lora.calculate_weight(patches, patcher.model.state_dict()[key].clone(), key)
            for key, patches in patcher.patches.items() if key.startswith(starts)}  # fmt: skip


def look_at_load_lora(world, node, inputs):
    output = node.execute(**inputs)
    model, clip, report = output.args
    changed = weights(model)
    inside = {key: w for key, w in changed.items() if ".joint_blocks.0." in key}
    assert said(output) == report
    return {"text-layers": inside, "elsewhere": {key: w for key, w in changed.items() if key not in inside}, "report": report,
            "clip": clip and weights(clip.patcher)}  # fmt: skip


def cut_lora(world):
    return {"model": world.mmdit, "text_layers": world.layers("0"), "lora_name": world.lora("usual.safetensors")}


def look_at_cut_lora(world, node, inputs):
    output = node.execute(**inputs)
    return {"lora": dict(output.args[0]), "said": said(output)}


def train(world):
    usual = {"model": world.mmdit, "text_layers": world.layers("0"), "rank": 2, "alpha": 0.0, "learning_rate": 1e-2, "steps": 2,
             "batch_size": 1, "seed": 1, "training_dtype": "fp32", "resume": "none: begin anew", "gradient_checkpointing": False,
             "preview_every": 2, "vae": None, "save_every": 50, "accumulation": 1, "schedule": "constant", "warmup": 0,
             "max_gradient": 0.0, "optimizer": "AdamW", "caption_dropout": 0.0, "clip": world.clip, "validation_words": "",
             "validation_prompt": SOURCE.replace("CAFE", "WORD"), "validate_every": 1, "validation_cfg": 3.0, "patience": 0,
             "ocr": "RapidOCR"}  # fmt: skip
    pictures = {"latents": [world.latent("CAFE"), world.latent("HOTEL")], "positive": [world.encoded(SOURCE), world.encoded(TARGET)]}
    return {name: [value] for name, value in usual.items()} | pictures


def look_at_train(world, node, inputs):
    """kept: how often it was saved before each of the model's calls; computed, dtype: how often a projection behind the trained layer is,
    and in what."""
    inputs = {name: value if isinstance(value, list) else [value] for name, value in inputs.items()}
    inputs = {name: value for name, value in inputs.items() if value != [None]}
    computed, model = [], inputs["model"][0]
    projection = model.model.diffusion_model.joint_blocks[1].x_block.attn.qkv
    handle = projection.register_forward_hook(lambda module, args, out: computed.append(str(out.dtype)))
    with watched(model, world.saves) as calls, world.fresh("output"), reading(world):
        output = node.execute(**inputs)
    handle.remove()
    lora, losses, steps, previews = output.args
    seen = {"lora": dict(lora), "losses": losses["loss"], "steps": steps, "previews": previews if torch.is_tensor(previews) else None,
            "calls": len(calls), "rows": [len(call["x"]) for call in calls], "noised": [call["x"] for call in calls],
            "computed": len(computed), "dtype": computed[-1], "text": [call["text"] for call in calls],
            "kept": [call["look"] for call in calls], "metadata": lora.metadata}  # fmt: skip
    return read_by(world, seen)


def save_lora(world):
    from text_layers.lora.metadata import LoraTensors

    return {"lora": LoraTensors({"joint_blocks.0.lora_A.weight": torch.ones(2, 3)}, {"rank": "2"}), "filename_prefix": "loras/mine"}


def look_at_save_lora(world, node, inputs):
    with world.fresh("output") as folder:
        output = node.execute(**inputs)
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    return {"name": file.relative_to(folder).as_posix(), "tensors": load_file(file), "said": said(output)}


def draw_set(world):
    return {"words": "CAFE HOTEL", "count": 4, "sign": "any", "wall": "any", "shape": "any", "face": "regular", "ink": "dark",
            "describe": True, "seed": 1}  # fmt: skip


def look_at_draw_set(world, node, inputs):
    images, texts = node.execute(**inputs).args
    return {"images": images, "texts": texts}


def measure(world):
    return {"source": world.sign("CAFE"), "edited": world.sign("HOTEL"), "wanted": "HOTEL", "ocr": "RapidOCR",
            "target": world.sign("HOTEL"), "ignore_case": True, "ignore_accents": False, "ignore_punctuation": True,
            "ignore_spaces": True}  # fmt: skip


def look_at_measure(world, node, inputs):
    with reading(world):
        output = node.execute(**inputs)
    report, chart, f1, psnr = output.args
    assert said(output) == report
    return read_by(world, {"report": report, "chart": chart, "f1": f1, "psnr": psnr})


def guarded(world):
    return {"model": world.mmdit, "clip": world.clip, "prompt": GUARDED, "text_layers": world.layers("0-1"), "replacement": "LOVE",
            "allow": "", "block": "", "start_step": 0, "method": OWN_RUN, "strength": OBSCENE}  # fmt: skip


def look_at_guard(world, node, inputs):
    with watched(inputs["model"]) as calls:
        output = node.execute(**inputs)
        model, cleaned, found, toxic = output.args
        drawn = world.draw(model, GUARDED)
    return {"drawn": drawn, "calls": len(calls), "cleaned": cleaned, "found": found, "toxic": toxic, "said": said(output)}


def checked(world):
    return {"image": world.sign("CRAP"), "ocr": "RapidOCR", "allow": "", "block": "", "strength": OBSCENE}


def look_at_check(world, node, inputs):
    with reading(world):
        output = node.execute(**inputs)
    toxic, words, found, boxes = output.args
    return read_by(world, {"toxic": toxic, "words": words, "found": found, "boxes": boxes, "said": said(output)})


def invert(world):
    return {"guider": world.guider(), "sigmas": torch.tensor([1.0, 0.6, 0.3, 0.0]), "vae": world.vae, "image": world.sign("CAFE"),
            "refinements": 1}  # fmt: skip


def look_at_invert(world, node, inputs):
    with watched(world.mmdit) as calls:
        output = node.execute(**inputs)
    noise, latent, reconstruction, psnr, report = output.args
    assert said(output) == report
    return {"noise": noise.generate_noise(latent), "latent": latent["samples"], "reconstruction": reconstruction, "psnr": psnr,
            "report": report, "calls": len(calls)}  # fmt: skip


def mask(world):
    return {"image": world.sign("CAFE"), "ocr": "RapidOCR", "grow": 2, "also": world.sign("CAFE")}


def look_at_mask(world, node, inputs):
    with reading(world):
        found = node.execute(**inputs).args[0]
    return read_by(world, {"mask": found})


def save_layers(world):
    return {"text_layers": world.layers("0-1"), "filename": "mine"}


def look_at_save_layers(world, node, inputs):
    with world.fresh("text_layers") as folder:
        output = node.execute(**inputs)
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    return {"name": file.name, "written": file.read_text(), "said": said(output)}


def load_layers(world):
    return {"model": world.mmdit, "file": world.layers_file("usual.json", "0-1")}


def demo(world):
    return {"demo_model": "mmdit"}


def look_at_demo(world, node, inputs):
    model, clip, vae = node.execute(**inputs).args
    ((text, _),) = clip.encode_from_tokens_scheduled(clip.tokenize(SOURCE))
    return {"layers": [name for name, _ in model.model.diffusion_model.named_modules()], "text": text, "channels": vae.latent_channels}


def deepfloyd(world):
    return {"unet": world.deepfloyd(0), "text_encoder": "none", "dynamic_thresholding": True}


def look_at_deepfloyd(world, node, inputs):
    model, clip, _ = node.execute(**inputs).args
    functions = model.model_options.get("sampler_post_cfg_function", [])
    far = 3 * torch.ones(1, 3, 4, 4)
    after = [function({"denoised": far, "sigma": torch.ones(1)}) for function in functions] or [far]
    return {"weights": dict(model.model.diffusion_model.state_dict()), "clip": clip is not None, "guided": after[-1]}


LOOKS = {
    "TextLayersLocalize": (localize, look_at_localize),
    "TextLayersCheckLayers": (check_layers, look_at_check_layers),
    "TextLayersChoose": (choose, look_at_choose),
    "TextLayersPatchPrompt": (patch, look_at_patch),
    "TextLayersReplaceWords": (replace_words, look_at_replace_words),
    "TextLayersReplaceMany": (replace_many, look_at_replace_many),
    "TextLayersComposite": (composite, look_at_composite),
    "TextLayersLoadLora": (load_lora, look_at_load_lora),
    "TextLayersCutLora": (cut_lora, look_at_cut_lora),
    "TextLayersTrainLora": (train, look_at_train),
    "TextLayersSaveLora": (save_lora, look_at_save_lora),
    "TextLayersDrawTrainingSet": (draw_set, look_at_draw_set),
    "TextLayersMeasureEdit": (measure, look_at_measure),
    "TextLayersGuard": (guarded, look_at_guard),
    "TextLayersCheck": (checked, look_at_check),
    "TextLayersInvert": (invert, look_at_invert),
    "TextLayersMask": (mask, look_at_mask),
    "TextLayersSave": (save_layers, look_at_save_layers),
    "TextLayersLoad": (load_layers, look_at_choose),
    "TextLayersLoadDemoModel": (demo, look_at_demo),
    "TextLayersLoadDeepFloydIF": (deepfloyd, look_at_deepfloyd),
}
