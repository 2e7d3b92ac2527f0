"""Classes of ComfyUI whose models draw no words of a text.

WITHOUT         name of the class in comfy.supported_models -> (models, why)
NEWER_WITHOUT   the same of classes that came after 0.30
"""

from ...patching.adapters.without_text import ENLARGES, NO_WORDS, PICTURE, SOUND, STANDS_IN

_SUNG = f"{SOUND} (published layers for sung words and instruments: ACE-Step 6, 7; Stable Audio Open 4, 11, 12, 13, 18; arXiv 2602.11910)"
_NOTHING = "it finds things in a picture, and draws nothing"

WITHOUT = {
    "ACEStep": ("ACE-Step 1", _SUNG),
    "ACEStep15": ("ACE-Step 1.5", SOUND),
    "StableAudio": ("Stable Audio Open", _SUNG),
    "StableAudio3": ("Stable Audio 3", SOUND),
    "SVD_img2vid": ("Stable Video Diffusion", PICTURE),
    "SV3D_u": ("SV3D (u)", PICTURE),
    "SV3D_p": ("SV3D (p)", PICTURE),
    "Stable_Zero123": ("Stable Zero123", PICTURE),
    "Hunyuan3Dv2": ("Hunyuan3D 2", PICTURE),
    "Hunyuan3Dv2mini": ("Hunyuan3D 2 mini", PICTURE),
    "Hunyuan3Dv2_1": ("Hunyuan3D 2.1", PICTURE),
    "TripoSplat": ("TripoSplat", PICTURE),
    "SeedVR2": ("SeedVR2", ENLARGES),
    "LotusD": ("Lotus D", NO_WORDS),
    "SD_X4Upscaler": ("Stable Diffusion x4 upscaler", STANDS_IN),
    "RT_DETR_v4": ("RT-DETR 4", _NOTHING),
    "SAM3": ("SAM 3", _NOTHING),
    "SAM31": ("SAM 3.1", _NOTHING),
    "DepthAnything3": ("Depth Anything 3", _NOTHING),
}
NEWER_WITHOUT = {
    "MiniMaxMusic3": ("MiniMax Music 3", SOUND),
    "YuE2": ("YuE 2", SOUND),
    "Trellis2": ("Trellis 2", PICTURE),
}
