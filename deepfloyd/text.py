"""The text encoder: T5-XXL as IF was trained with it, 77 tokens, small letters, padding that the words do not see.

load_clip   a CLIP from files of a T5-XXL encoder

The embeddings of all 77 tokens go into the U-Net, padding as well.
"""

import functools
import logging

import comfy.sd
import comfy.sd1_clip
import comfy.text_encoders.sd3_clip
import comfy.utils
import folder_paths

from . import files

TOKENS = 77


class Tokenizer(comfy.sd1_clip.SD1Tokenizer):
    def __init__(self, embedding_directory=None, tokenizer_data={}):
        t5 = functools.partial(comfy.text_encoders.sd3_clip.T5XXLTokenizer, min_length=TOKENS, max_length=TOKENS)
        super().__init__(embedding_directory, tokenizer_data, clip_name="t5xxl", tokenizer=t5)

    def tokenize_with_weights(self, text, return_word_ids=False, **kwargs):
        tokens = super().tokenize_with_weights(text.lower().strip(), return_word_ids, **kwargs)
        if len(tokens["t5xxl"]) > 1:
            logging.warning(f"DeepFloyd IF reads {TOKENS} tokens; the end of this prompt is left out: {text}")
        return {"t5xxl": tokens["t5xxl"][:1]}


def load_clip(paths, model_options={}, disable_dynamic=False):
    weights, metadata = files.read(paths)
    if hasattr(comfy.utils, "convert_old_quants"):  # ComfyUI 0.3 reads them itself, and knows no dynamic loading
        weights, _ = comfy.utils.convert_old_quants(weights, model_prefix="", metadata=metadata)
    if comfy.sd.detect_te_model(weights) != comfy.sd.TEModel.T5_XXL:
        raise ValueError(f"{paths[0].name} is no T5-XXL text encoder (t5-v1_1-xxl), which DeepFloyd IF needs.")
    embeddings = folder_paths.get_folder_paths("embeddings")
    # Of ComfyUI's kinds this is a T5 whose padding is masked; the tokenizer is IF's.
    kind = comfy.sd.CLIPType.MOCHI
    static = {"disable_dynamic": True} if disable_dynamic else {}
    clip = comfy.sd.load_text_encoder_state_dicts([weights], embeddings, kind, model_options, **static)
    clip.tokenizer = Tokenizer(embeddings)
    clip.patcher.cached_patcher_init = (_load_patcher, (paths, model_options))
    return clip


def _load_patcher(paths, model_options, disable_dynamic=False):
    return load_clip(paths, model_options, disable_dynamic).patcher
