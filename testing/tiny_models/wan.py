"""Wan 2.1 and 2.2, and what was made of them."""

from dataclasses import replace
from types import SimpleNamespace

from .model import TinyModel

WAN = {
    "image_model": "wan2.1", "model_type": "t2v", "dim": 24, "out_dim": 16, "num_heads": 2, "ffn_dim": 32, "num_layers": 3, "in_dim": 16,
    "patch_size": (1, 2, 2), "freq_dim": 16, "window_size": (-1, -1), "qk_norm": True, "cross_attn_norm": True, "eps": 1e-6, "text_dim": 24,
}  # fmt: skip
FULL_14B = WAN | {"dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40, "freq_dim": 256, "text_dim": 4096}
FULL_1B = FULL_14B | {"dim": 1536, "ffn_dim": 8960, "num_heads": 12, "num_layers": 30}
FULL_5B = FULL_14B | {"dim": 3072, "ffn_dim": 14336, "num_heads": 24, "num_layers": 30, "in_dim": 48, "out_dim": 48}

VIDEO = (16, 2, 6, 8)  # 24 tokens in two frames


def clip_vision(random):
    """The first frame as CLIP vision sees it, which models with weights for it cannot do without."""
    return {"clip_vision_output": SimpleNamespace(penultimate_hidden_states=random(1, 5, 1280))}


def first_frame(random, number):
    return {"concat_latent_image": random(1, 16, 2, 6, 8), "concat_mask": (random(1, 1, 2, 6, 8) > 0).float()}


def control(random, number):
    return {"concat_latent_image": random(1, 32, 2, 6, 8)}


def moving_camera(random, number):
    return {"concat_latent_image": random(1, 16, 2, 6, 8), "camera_conditions": random(1, 24, 2, 48, 64)}


def to_fill(random, number):
    return {"vace_frames": [random(1, 32, 2, 6, 8)], "vace_mask": [(random(1, 64, 2, 6, 8) > 0).float()], "vace_strength": [0.5 + number]}


def speech_and_person(random, number):
    return {"audio_embed": random(1, 3, 8, 5, 1280), "reference_latents": [random(1, 16, 1, 6, 8)]}


def speech(random, number):
    return {"audio_embed": random(1, 25, 1024, 8), "reference_latents": [random(1, 16, 1, 6, 8)], "control_video": random(1, 16, 2, 6, 8)}


def pose(random, number):
    return {"pose_video_latent": random(1, 16, 2, 6, 8), "reference_latents": [random(1, 16, 1, 6, 8)]}


def two_poses(random, number):
    return {"driving_mask_28ch": random(1, 2, 28, 6, 8), "ref_mask_28ch": random(1, 3, 28, 6, 8)} | pose(random, number)


def pose_beside(random, number):
    return {"pose_video_latent": random(1, 16, 1, 6, 8)} | first_frame(random, number)


def music(random, number):
    return {
        "concat_latent_image": random(1, 16, 2, 8, 8), "concat_mask": (random(1, 1, 2, 8, 8) > 0).float(), "audio_embed": random(1, 6, 35),
        "audio_inject_scale": 1.0 + number,
    }  # fmt: skip


def _wan(kind, models, changes, full_layers=40, full=FULL_14B, **more):
    more = {"latent": VIDEO, "picture": 24, "layers": 3} | more
    return TinyModel(kind, "wan", WAN | changes, channels=24, place="all", models=models, full=full | changes, full_layers=full_layers,
                     **more)  # fmt: skip


IMAGE = {"model_type": "i2v", "in_dim": 36}
VACE = {"model_type": "vace", "vace_in_dim": 96}

MODELS = [
    _wan("WAN21_T2V", "Wan 2.1 1.3B and 14B, Wan 2.2 14B text to video", {}),
    _wan("WAN21_T2V", "Wan 2.2 14B image to video", {"in_dim": 36}, beside=first_frame),
    _wan("WAN21_CausalAR_T2V", "Causal Forcing, Self Forcing", {}, 30, FULL_1B),
    _wan("WAN21_I2V", "Wan 2.1 image to video, first and last frame", IMAGE, always=clip_vision, beside=first_frame),
    _wan("WAN21_FunControl2V", "Wan 2.1 Fun Control", IMAGE | {"in_dim": 48}, always=clip_vision, beside=control),
    _wan("WAN21_Camera", "Wan 2.1 Fun Camera", {"model_type": "camera", "in_dim": 32}, always=clip_vision, beside=moving_camera),
    _wan("WAN22_Camera", "Wan 2.2 Fun Camera", {"model_type": "camera_2.2", "in_dim": 36}, beside=moving_camera),
    replace(_wan("WAN21_Vace", "Wan 2.1 VACE, Wan 2.2 Fun VACE", VACE | {"num_layers": 4, "vace_layers": 2}, layers=6, beside=to_fill),
            full=FULL_14B | VACE | {"vace_layers": 8}, full_layers=48),
    _wan("WAN21_HuMo", "HuMo", {"model_type": "humo", "in_dim": 36}, beside=speech_and_person, reference=12),
    _wan("WAN22_S2V", "Wan 2.2 S2V", {"model_type": "s2v"}, beside=speech, reference=12),
    _wan("WAN22_Animate", "Wan 2.2 Animate", {"model_type": "animate", "in_dim": 36}, always=clip_vision, beside=pose_beside),
    _wan("WAN22_T2V", "Wan 2.2 5B", {"in_dim": 48, "out_dim": 48}, 30, FULL_5B, latent=(48, 2, 6, 8)),
    _wan("WAN21_FlowRVS", "FlowRVS", {"model_type": "flow_rvs"}),
    _wan("WAN21_SCAIL", "SCAIL", {"model_type": "scail", "in_dim": 20}, always=clip_vision, beside=pose, reference=36),
    _wan("WAN21_SCAIL2", "SCAIL-2", {"model_type": "scail2", "in_dim": 20}, always=clip_vision, beside=two_poses, reference=36),
    _wan("WAN22_WanDancer", "WanDancer", {"model_type": "wandancer", "in_dim": 36}, always=clip_vision, beside=music, latent=(16, 2, 8, 8),
         picture=32),
]  # fmt: skip
