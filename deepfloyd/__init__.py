"""DeepFloyd IF, stage I, as ComfyUI's MODEL, CLIP and VAE; ComfyUI itself does not have it.

files   what lies in the models folder: folders as diffusers writes them, and single files
model   the U-Net as a MODEL, and a VAE without weights: IF draws pixels
unet    the U-Net itself; the only module that imports diffusers
text    T5-XXL as a CLIP that gives what IF was trained on
"""
