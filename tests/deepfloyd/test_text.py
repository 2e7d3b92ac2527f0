"""The CLIP against what IF's own pipeline feeds its U-Net: transformers' T5 on 77 tokens, whose padding is masked."""

from pathlib import Path

import comfy.sd
import comfy.text_encoders.sd3_clip
import pytest
import torch
from comfy_extras.nodes_cond import T5TokenizerOptions
from safetensors.torch import save_file
from text_layers.deepfloyd.text import load_clip

# As deep, and in its inner layers as wide, as T5-XXL, by which ComfyUI knows it; the rest is small.
SIZES = {"d_model": 16, "d_kv": 8, "num_heads": 2, "d_ff": 10240, "num_layers": 24}
# ComfyUI 0.3 knows it by its outer width, at which it is 20 GB.
known_by_depth = pytest.mark.needs_comfyui("0.30")
LONG = "a red sign that says " + "very " * 100 + "long"


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    """(transformers' encoder, the file of its weights)."""
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    encoder = T5EncoderModel(T5Config(vocab_size=32128, feed_forward_proj="gated-gelu", **SIZES)).eval().requires_grad_(False)
    path = tmp_path_factory.mktemp("t5") / "t5xxl.safetensors"
    save_file({k: v.contiguous() for k, v in encoder.state_dict().items() if k != "encoder.embed_tokens.weight"}, path)
    return encoder, path


@pytest.fixture(scope="module")
def clip(t5):
    return load_clip([t5[1]], {"t5xxl_model_config": SIZES, "dtype": torch.float32})


def wanted(encoder, text):
    from transformers import T5TokenizerFast

    tokenizer = T5TokenizerFast.from_pretrained(Path(comfy.text_encoders.sd3_clip.__file__).parent / "t5_tokenizer")
    tokens = tokenizer(text.lower().strip(), max_length=77, padding="max_length", truncation=True, return_tensors="pt")
    return encoder(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state


@known_by_depth
@pytest.mark.parametrize("text", ["a sign that says CAFE", "", " Two words ", LONG])
def test_embeddings_are_those_of_ifs_pipeline(t5, clip, text):
    ((found, extra),) = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    assert found.shape == (1, 77, SIZES["d_model"])
    assert (found - wanted(t5[0], text)).abs().max() < 1e-3
    assert extra["pooled_output"] is None


@known_by_depth
def test_capital_letters_make_no_difference(clip):
    assert clip.tokenize("a sign that says CAFE") == clip.tokenize("a sign that says cafe")


@known_by_depth
def test_comfyuis_own_nodes_give_the_same(t5, clip):
    """What the help page says of CLIPLoader: the kind mochi, and T5 Tokenizer Options with 0 and 77."""
    options = {"t5xxl_model_config": SIZES, "dtype": torch.float32}
    stock = comfy.sd.load_clip([str(t5[1])], clip_type=comfy.sd.CLIPType.MOCHI, model_options=options)
    (stock,) = T5TokenizerOptions.execute(stock, 0, 77).args
    text = "a sign that says cafe"
    ((found, _),), ((own, _),) = (c.encode_from_tokens_scheduled(c.tokenize(text)) for c in (stock, clip))
    assert torch.equal(found, own)


def test_another_encoder_is_refused(tmp_path):
    path = tmp_path / "clip_l.safetensors"
    save_file({"text_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"clip_l.safetensors is no T5-XXL"):
        load_clip([path])
