"""Models that no text tells what to draw, or that draw nothing."""

SOUND = "it makes sound: the words of its text are sung, or say how it should sound, and none are drawn"
PICTURE = "a picture tells it what to make, and no text"
ENLARGES = "it makes a video sharper, with an embedding of its own in the place of a text"

NO_WORDS = "it says how far things in a picture are; its text is always empty"
STANDS_IN = "it enlarges a picture, and its text stands in the place of self-attention as well"

# Classes of comfy.supported_models whose diffusion models are those of a family that is served.
KINDS = {
    "SVD_img2vid": PICTURE,
    "SV3D_u": PICTURE,
    "SV3D_p": PICTURE,
    "Stable_Zero123": PICTURE,
    "LotusD": NO_WORDS,
    "SD_X4Upscaler": STANDS_IN,
}
UNSERVABLE = {
    "comfy.ldm.audio.dit:AudioDiffusionTransformer": SOUND,
    "comfy.ldm.ace.model:ACEStepTransformer2DModel": SOUND,
    "comfy.ldm.ace.ace_step15:AceStepConditionGenerationModel": SOUND,
    "comfy.ldm.hunyuan3d.model:Hunyuan3Dv2": PICTURE,
    "comfy.ldm.hunyuan3dv2_1.hunyuandit:HunYuanDiTPlain": PICTURE,
    "comfy.ldm.triposplat.model:LatentSeqMMFlowModel": PICTURE,
    "comfy.ldm.seedvr.model:NaDiT": ENLARGES,
}
# Of ComfyUIs that came after 0.30.
NEWER = {
    "comfy.ldm.trellis2.model:Trellis2": PICTURE,
    "comfy.ldm.minimax_music.dit:MiniMaxMusic3DiT": SOUND,
    "comfy.ldm.yue2.model:YuE2": SOUND,
}
