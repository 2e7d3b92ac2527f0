"""Small prompts that run, one for each node of the pack: the demo workflows with few steps, and what these lack.

write_files    the files that some of them read, into a server's models folder
of_nodes       {node's class: (prompt, id of the node in it)}
edit           the edit of a word by a demo model
words          to draw
"""

import json
from pathlib import Path

WORKFLOWS = Path(__file__).parents[3] / "workflows"
LORA, LAYERS, UNET_IF = "robustness.safetensors", "robustness.json", "tiny-IF"
PAIRS = "BIRD, ENTER\nWOOD, TOWN"
SIX = f"{PAIRS}\nMOON, RIVER\nCAFE, HOTEL\nOPEN, SHUT\nNORTH, SOUTH"
CHOICE = "published for this model"
_READER = "RapidOCR"  # the faster one


def write_files(base):
    """A random LoRA for the demo U-Net, its text layers, and a tiny random DeepFloyd IF. base: a server's base folder."""
    import torch
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file

    from ....demo import comfy_model
    from ....patching import models
    from ....testing.tiny_if import CONFIG

    place = base / "models"
    for folder in ("loras", "text_layers", "diffusers", "text_encoders"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    model = comfy_model.load("unet")[0]
    layers = models.preset(model)
    (place / "text_layers" / LAYERS).write_text(layers.to_json(), "utf-8")
    random, tensors = torch.Generator().manual_seed(0), {}
    for name, weight in model.model.diffusion_model.state_dict().items():
        if name.endswith("attn2.to_k.weight"):
            key = f"diffusion_model.{name.removesuffix('.weight')}"
            tensors[f"{key}.lora_up.weight"] = torch.randn(weight.shape[0], 4, generator=random)
            tensors[f"{key}.lora_down.weight"] = 0.1 * torch.randn(4, weight.shape[1], generator=random)
    save_file(tensors, place / "loras" / LORA)
    torch.manual_seed(0)
    UNet2DConditionModel(**CONFIG).save_pretrained(place / "diffusers" / UNET_IF)


def edit(server, model="mmdit", steps=12, seed=1, source="CAFE", target="HOTEL"):
    """The demo workflow of a model, with other words. Returns (prompt, ids of the nodes that save source and edit)."""
    prompt = _workflow(server, f"Edit text, change a word - demo {'U-Net' if model == 'unet' else 'MMDiT'}")
    _change(prompt, "KSampler", steps=steps, seed=seed)
    for node in prompt.values():
        if "text" in node["inputs"]:
            node["inputs"]["text"] = node["inputs"]["text"].replace('"CAFE"', f'"{source}"').replace('"HOTEL"', f'"{target}"')
    return prompt, _ids(prompt, "SaveImage")


def words(count):
    """Words of 3 to 6 letters that the demo models were not trained on, over and over where there are fewer."""
    text = (WORKFLOWS.parent / "demo" / "words" / "held_out.txt").read_text("utf-8")
    known = [word for word in text.split() if 3 <= len(word) <= 6 and word.isascii() and word.isalpha()]
    return [known[n % len(known)] for n in range(count)]


def of_nodes(server):
    """Needs what write_files writes."""
    drawn, (_, edited) = edit(server, "unet", 2)
    guarded = _workflow(server, "Remove toxic words, guard drawn text - demo U-Net")
    photo = _workflow(server, "Change text in a photo, invert it - demo U-Net")
    trained = _workflow(server, "Train a LoRA to fix spelling - demo U-Net")
    found = _workflow(server, "Localize text layers - demo U-Net")
    kept = _workflow(server, "Change text in a picture - demo U-Net")
    _change(kept, "KSampler", steps=2)
    many = _in_many(kept)
    _change(guarded, "KSampler", steps=2)
    _change(photo, "BasicScheduler", steps=3)
    _change(photo, "TextLayersInvert", refinements=1)
    _change(trained, "TextLayersDrawTrainingSet", words="AM AN", count=2)
    _change(trained, "TextLayersTrainLora", steps=2, batch_size=2, rank=2, preview_every=1)
    _change(found, "TextLayersLocalize", word_pairs=PAIRS, steps=8)
    for prompt in (guarded, photo, found):
        for kind in ("TextLayersCheck", "TextLayersMask", "TextLayersLocalize"):
            _change(prompt, kind, ocr=_READER)
    (loader,), (layers,), (train,) = (
        _ids(prompt, kind)
        for prompt, kind in ((drawn, "TextLayersLoadDemoModel"), (drawn, "TextLayersChoose"), (trained, "TextLayersTrainLora"))
    )
    (localized,), (guard,), (cleaned,) = _ids(found, "TextLayersLocalize"), _ids(guarded, "TextLayersGuard"), _ids(guarded, "PreviewAny")
    checked = _ids(guarded, "TextLayersCheck")[-1]
    decoded = _ids(drawn, "VAEDecode")
    pair = {node: drawn[node] for node in (loader, layers)}
    lora = _with_lora(drawn, loader, layers)
    loaded = json.loads(json.dumps(drawn))
    loaded[layers] = {"class_type": "TextLayersLoad", "inputs": {"model": [loader, 0], "file": LAYERS}}
    checking = _only(found, *_ids(found, "TextLayersLocalize"))
    asked = checking[localized]["inputs"]
    checking["layers"] = {"class_type": "TextLayersChoose", "inputs": {"model": asked["model"], "choice": CHOICE, "layers": ""}}
    shared = ("model", "clip", "vae", "latent_image", "template", "ocr", "seed", "steps", "cfg", "scheduler", "negative", "language")
    checking[localized] = {
        "class_type": "TextLayersCheckLayers",
        "inputs": {key: asked[key] for key in shared if key in asked} | {"text_layers": ["layers", 0], "word_pairs": SIX, "calls": 60},
    }
    return {
        "TextLayersCheckLayers": (checking, localized),
        "TextLayersLoadDemoModel": (_only(drawn, edited), loader),
        "TextLayersChoose": (_only(drawn, edited), layers),
        "TextLayersPatchPrompt": (_only(drawn, edited), _ids(drawn, "TextLayersPatchPrompt")[0]),
        "TextLayersReplaceWords": (_only(kept, _ids(kept, "SaveImage")[1]), _ids(kept, "TextLayersReplaceWords")[0]),
        "TextLayersReplaceMany": (_only(many, _ids(many, "SaveImage")[1]), _ids(many, "TextLayersReplaceMany")[0]),
        "TextLayersComposite": (_only(kept, _ids(kept, "SaveImage")[1]), _ids(kept, "TextLayersComposite")[0]),
        "TextLayersGuard": (_only(guarded, cleaned, _ids(guarded, "SaveImage")[-1]), guard),
        "TextLayersCheck": (_only(guarded, checked), checked),
        "TextLayersLocalize": (_only(found, *_ids(found, "TextLayersSave"), *_ids(found, "PreviewImage")), localized),
        "TextLayersInvert": (_only(photo, _ids(photo, "SaveImage")[1]), _ids(photo, "TextLayersInvert")[0]),
        "TextLayersMask": (_only(photo, _ids(photo, "SaveImage")[2]), _ids(photo, "TextLayersMask")[0]),
        "TextLayersDrawTrainingSet": (_only(photo, _ids(photo, "SaveImage")[0]), _ids(photo, "TextLayersDrawTrainingSet")[0]),
        "TextLayersTrainLora": (_only(trained, *_ids(trained, "TextLayersSaveLora"), *_ids(trained, "PreviewImage")), train),
        "TextLayersSaveLora": (_only(lora, "save"), "save"),
        "TextLayersCutLora": (_only(lora, "save"), "cut"),
        "TextLayersLoadLora": (_only(lora, edited), "lora"),
        "TextLayersSave": (
            pair | {"save": {"class_type": "TextLayersSave", "inputs": {"text_layers": [layers, 0], "filename": "robustness saved"}}},
            "save",
        ),
        "TextLayersLoad": (_only(loaded, edited), layers),
        "TextLayersMeasureEdit": (
            _only(drawn, *decoded)
            | {
                "measure": {
                    "class_type": "TextLayersMeasureEdit",
                    "inputs": {"source": [decoded[0], 0], "edited": [decoded[1], 0], "wanted": "HOTEL", "ocr": _READER},
                }
            },
            "measure",
        ),
        "TextLayersLoadDeepFloydIF": (
            {
                "if": {
                    "class_type": "TextLayersLoadDeepFloydIF",
                    "inputs": {"unet": UNET_IF, "text_encoder": "none", "dynamic_thresholding": True},
                },
                "choose": {"class_type": "TextLayersChoose", "inputs": {"model": ["if", 0], "choice": "written below", "layers": "0"}},
            },
            "if",
        ),
    }


def _in_many(prompt):
    """The same with a list of edits in place of one."""
    many = json.loads(json.dumps(prompt))
    (words,) = _ids(many, "TextLayersReplaceWords")
    given = many[words]["inputs"]
    many[words] = {
        "class_type": "TextLayersReplaceMany",
        "inputs": {"prompt": given["prompt"], "edits": f"{given['replacements']}\n{given['replacements']}", "clip": given["clip"]},
    }
    return many


def _workflow(server, name):
    return server.api_prompt(json.loads((WORKFLOWS / f"{name}.json").read_text("utf-8")))


def _ids(prompt, kind):
    """As they stand in the workflow: source before edit."""
    return [node for node, value in prompt.items() if value["class_type"] == kind]


def _change(prompt, kind, **inputs):
    for node in _ids(prompt, kind):
        prompt[node]["inputs"] |= inputs


def _only(prompt, *wanted):
    """What these nodes need, and nothing else."""
    kept, waiting = {}, list(wanted)
    while waiting:
        node = waiting.pop()
        if node not in kept:
            kept[node] = prompt[node]
            waiting += [value[0] for value in prompt[node]["inputs"].values() if isinstance(value, list)]
    return json.loads(json.dumps({node: value for node, value in prompt.items() if node in kept}))


def _with_lora(drawn, loader, layers):
    """The edit with a LoRA on its model, and the LoRA cut down and saved."""
    prompt = json.loads(json.dumps(drawn))
    strengths = {"strength_text_layers": 1.0, "strength_elsewhere": 0.0, "strength_clip": 0.0}
    common = {"model": [loader, 0], "text_layers": [layers, 0], "lora_name": LORA}
    prompt[_ids(prompt, "TextLayersPatchPrompt")[0]]["inputs"]["model"] = ["lora", 0]
    return prompt | {
        "lora": {"class_type": "TextLayersLoadLora", "inputs": common | strengths},
        "cut": {"class_type": "TextLayersCutLora", "inputs": dict(common)},
        "save": {"class_type": "TextLayersSaveLora", "inputs": {"lora": ["cut", 0], "filename_prefix": "loras/robustness"}},
    }
