"""Models that no text tells what to draw, or that draw nothing."""

SOUND = "it makes sound: the words of its text are sung, or say how it should sound, and none are drawn"
PICTURE = "a picture tells it what to make, and no text"
ENLARGES = "it makes a video sharper, with an embedding of its own in the place of a text"

UNSERVABLE = {
    "comfy.ldm.audio.dit:AudioDiffusionTransformer": SOUND,
    "comfy.ldm.ace.model:ACEStepTransformer2DModel": SOUND,
    "comfy.ldm.ace.ace_step15:AceStepConditionGenerationModel": SOUND,
    "comfy.ldm.hunyuan3d.model:Hunyuan3Dv2": PICTURE,
    "comfy.ldm.hunyuan3dv2_1.hunyuandit:HunYuanDiTPlain": PICTURE,
    "comfy.ldm.triposplat.model:LatentSeqMMFlowModel": PICTURE,
    "comfy.ldm.seedvr.model:NaDiT": ENLARGES,
}
