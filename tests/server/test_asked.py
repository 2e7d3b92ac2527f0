"""Output nodes run when they are asked for: not on the side of a lazy switch that was not chosen."""

import asyncio
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError

import aiohttp
import comfyui_version
import pytest

SIGN = "a red round sign on a blue wall that says "
# ComfyUI 0.3 divides by eight whatever the model, and the demo models' latents are two pixels.
SIDES = {"width": 256, "height": 128} if comfyui_version.__version__.startswith("0.3.") else {"width": 64, "height": 32}
LOCALIZE = {
    "model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2], "latent_image": ["latent", 0], "template": f'{SIGN}"{{word}}"',
    "word_pairs": "CAFE, HOTEL", "strategy": "gradients", "ocr": "RapidOCR", "seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "euler",
    "scheduler": "simple", "negative": "", "batch": 4,
}  # fmt: skip


def prompt(chosen_from_file, last=True, **more):
    """Text layers from a search or from a choice, by core's lazy switch, into a saved file."""
    found = {
        "model": {"class_type": "TextLayersLoadDemoModel", "inputs": {"demo_model": "unet"}},
        "latent": {"class_type": "EmptyLatentImage", "inputs": {**SIDES, "batch_size": 1}},
        "search": {"class_type": "TextLayersLocalize", "inputs": dict(LOCALIZE)},
        "choice": {"class_type": "TextLayersChoose", "inputs": {"model": ["model", 0], "choice": "written below", "layers": "3"}},
        "switch": {"class_type": "ComfySwitchNode",
                   "inputs": {"switch": chosen_from_file, "on_false": ["search", 0], "on_true": ["choice", 0]}},
        "save": {"class_type": "TextLayersSave", "inputs": {"text_layers": ["switch", 0], "filename": "switched"}},
    }  # fmt: skip
    return found | more if last else {id: found[id] for id in ("model", "latent", "search")}


@pytest.fixture
def nothing_is_kept(server):
    """What a test before has had computed is shown again, and looks as if it had run."""
    server.forget()


def ran(entry):
    """The nodes that said something."""
    assert entry["status"]["status_str"] == "success", entry["status"]
    return {id for id, output in entry["outputs"].items() if output.get("text")}


@pytest.mark.needs_comfyui("0.30")  # which has the switch
def test_the_side_that_is_not_chosen_does_not_run(server, nothing_is_kept):
    assert ran(server.run(prompt(True))) == {"choice", "save"}
    saved = json.loads((server.base / "models" / "text_layers" / "switched.json").read_text())["names"]
    assert saved == ["middle_block.1.transformer_blocks.0.attn2"]  # the choice's, not the search's


@pytest.mark.needs_comfyui("0.30")
def test_what_is_chosen_or_looked_at_runs(server, nothing_is_kept):
    """A search of one pair cannot be sure and gives no layers, so that what is behind it stops; that it ran is all that counts here."""
    searched = server.run(prompt(False))
    assert "search" in searched["outputs"] and "choice" not in searched["outputs"]
    look = {"look": {"class_type": "PreviewImage", "inputs": {"images": ["search", 1]}}}
    assert ran(server.run(prompt(True, **look))) == {"search", "choice", "save"}


def test_it_runs_by_itself(server, nothing_is_kept):
    assert ran(server.run(prompt(True, last=False))) == {"search"}


@pytest.mark.needs_comfyui("0.30")
def test_what_a_hand_has_chosen_runs(server, nothing_is_kept):
    """As the page asks for selected output nodes alone."""
    number = server.post("/prompt", {"prompt": prompt(True), "partial_execution_targets": ["choice"]})["prompt_id"]
    assert ran(server.wait(number)) == {"choice"}


BROKEN = ({"inputs": {}}, {"class_type": "TextLayersSave"}, {"class_type": "Nothing", "inputs": {}}, 5, None)


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_broken_prompt_is_comfyuis_to_refuse(server, broken):
    save = {"class_type": "TextLayersSave", "inputs": {"text_layers": ["1", 0], "filename": "broken"}}
    with pytest.raises(HTTPError):
        server.post("/prompt", {"prompt": {"1": broken, "2": save}})
    for body in (b"null", b"[]", b"5"):
        with pytest.raises(HTTPError):
            server.send("/prompt", body)
    assert "on_prompt_handler" not in server.log.read_text("utf-8")  # as ComfyUI says where a handler fails


async def errors(server, prompt):
    """What the page is told went wrong; what stops behind a node that blocks it does not stand in the history."""
    number, found = uuid.uuid4().hex, []
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{server.url}/ws?clientId={number}", max_msg_size=0) as socket:
            await session.post(f"{server.url}/prompt", json={"prompt": prompt, "client_id": number})
            async for message in socket:
                said = message.json() if message.type == aiohttp.WSMsgType.TEXT else {}
                if said.get("type") == "execution_error":
                    found.append(said["data"]["exception_message"])
                if said.get("type") in ("execution_success", "execution_interrupted"):
                    return found


def in_a_thread(coroutine):
    """The browser of other tests has this one's loop."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()


@pytest.mark.needs_comfyui("0.30")
def test_without_a_clip_the_reason_is_said(server):
    import torch
    from safetensors.torch import save_file

    folder = server.base / "models" / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    key = "diffusion_model.output_blocks.1.1.transformer_blocks.0.attn2.to_q"
    save_file({f"{key}.lora_up.weight": torch.ones(128, 2), f"{key}.lora_down.weight": torch.ones(2, 128)}, folder / "for clip.safetensors")
    made = {id: node for id, node in prompt(True).items() if id in ("model", "choice")}
    made["choice"]["inputs"]["layers"] = "0-8"
    made |= {
        "lora": {"class_type": "TextLayersLoadLora",
                 "inputs": {"model": ["model", 0], "text_layers": ["choice", 0], "lora_name": "for clip.safetensors",
                            "strength_text_layers": 1.0, "strength_elsewhere": 0.0, "strength_clip": 0.0}},
        "text": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["lora", 1], "text": f'{SIGN}"CAFE"'}},
        "look": {"class_type": "PreviewAny", "inputs": {"source": ["text", 0]}},
    }  # fmt: skip
    (said,) = in_a_thread(errors(server, made))
    assert "Connect a CLIP to Load Localized LoRA" in said
    made["lora"]["inputs"]["clip"] = ["model", 1]
    assert in_a_thread(errors(server, made)) == []
