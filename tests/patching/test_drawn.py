"""Which tokens of a prompt are its drawn text, by ComfyUI's own tokenizers."""

import pytest
import torch
from text_layers.patching import drawn


def tokenizers():
    import comfy.sd1_clip
    import comfy.sdxl_clip
    import comfy.text_encoders.flux
    import comfy.text_encoders.qwen_image
    import comfy.text_encoders.sd3_clip

    return {
        "SD 1": comfy.sd1_clip.SD1Tokenizer,
        "SDXL": comfy.sdxl_clip.SDXLTokenizer,
        "SD3": comfy.text_encoders.sd3_clip.SD3Tokenizer,
        "Flux": comfy.text_encoders.flux.FluxTokenizer,
        "Qwen-Image": comfy.text_encoders.qwen_image.QwenImageTokenizer,
    }


class Clip:
    """A tokenizer with embeddings that say which tokens they are of: for each place its token's number in one channel."""

    def __init__(self, name):
        self.name, self.tokenizer = name, tokenizers()[name]()

    def tokenize(self, text):
        return self.tokenizer.tokenize_with_weights(text)

    def embedding(self, text):
        ids = {name: [token for row in rows for token, _ in row] for name, rows in self.tokenize(text).items()}
        if self.name in ("SD 1", "SDXL"):
            return ids["l"]
        if self.name == "SD3":
            return ids["l"] + ids["t5xxl"]
        if self.name == "Flux":
            return ids["t5xxl"]
        return ids["qwen25_7b"][34:]  # the encoder leaves out the template's beginning

    def encode_from_tokens_scheduled(self, tokens):
        raise NotImplementedError

    def words(self, text, numbers):
        """What these tokens of the embedding are, as the tokenizer writes them."""
        name = {"SD 1": "clip_l", "SDXL": "clip_l", "SD3": "t5xxl", "Flux": "t5xxl", "Qwen-Image": "qwen25_7b"}[self.name]
        tokenizer = getattr(self.tokenizer, name, None) or self.tokenizer.clip_l
        ids = self.embedding(text)
        return tokenizer.tokenizer.decode([ids[n] for n in numbers])


@pytest.fixture(scope="module", params=["SD 1", "SDXL", "SD3", "Flux", "Qwen-Image"])
def clip(request):
    return Clip(request.param)


@pytest.mark.parametrize("text", ["OPEN", "Café Müller 24", "x", "7", "Q"])
def test_the_tokens_of_a_drawn_text_are_its_own(clip, text):
    prompt = f'a quiet street, a sign that says "{text}" on a brick wall, and “EXIT”'
    known = dict(drawn._known(clip, prompt, len(clip.embedding(prompt))))
    assert list(known) == [text, "EXIT"]
    numbers = known[text]
    if clip.name == "SD3":  # CLIP's come first
        half = len(clip.tokenize(prompt)["l"][0])
        first = [n for n in numbers if n < half]
        assert first and len(first) < len(numbers)
        numbers = [n for n in numbers if n >= half]
    decoded = clip.words(prompt, numbers).lower().replace(" ", "").replace("\u2581", "")
    wanted = text.lower().replace(" ", "")
    assert wanted in decoded
    assert len(decoded) <= len(wanted) + 2  # a tokenizer may make one token of a quote and a letter


def test_an_embedding_of_another_length_is_not_guessed_at():
    clip = Clip("SDXL")
    prompt = 'a sign that says "OPEN"'
    assert drawn._known(clip, prompt, 154) == [("OPEN", None)]


def test_no_words_have_no_tokens():
    clip = Clip("SDXL")
    assert drawn._known(clip, 'a sign that says ""', 77) == [("", ())]


@pytest.mark.parametrize(
    ("source", "target", "tokens"),
    [
        ([("A", (1,)), ("B", (3, 4))], [("A", (1,)), ("C", (3,))], ([3, 4], [3])),
        ([("A", (1,)), ("B", (3,))], [("C", (2,)), ("D", (5,))], ([1, 3], [2, 5])),
        ([("A", (1,)), ("B", (3,))], [("B", (2,))], ([1], [])),  # taken away
        ([], [("B", (2,))], ([], [2])),
        ([("A", (1,))], [("A", (1,))], None),
        ([("A", None)], [("B", (1,))], None),
        ([("A", None), ("B", (3,))], [("A", None), ("C", (3,))], ([3], [3])),  # what stays need not be known
        ([], [], None),
    ],
)
def test_changed_tokens(source, target, tokens):
    assert drawn.changed(source, target) == tokens


def test_rows_keep_what_is_known_of_them():
    from text_layers.patching.comfy import batched

    rows = [(torch.zeros(1, 3, 2), {drawn.DRAWN: [[(word, (1,))]], "reference_latents": ["one"]}) for word in "AB"]
    _, extra = batched(rows)[0]
    assert extra[drawn.DRAWN] == [[("A", (1,))], [("B", (1,))]]
    assert extra["reference_latents"] == ["one"]  # the first one's, as ever


@pytest.mark.parametrize(
    ("lengths", "length", "offsets"),
    [
        ({"l": 77, "g": 77}, 77, {"l": 0, "g": 0}),
        ({"l": 77, "g": 77}, 154, {}),
        ({"l": 77, "g": 77, "t5xxl": 77}, 154, {"l": 0, "g": 0, "t5xxl": 77}),  # SD3: CLIP's tokens, then T5's
        ({"l": 77, "t5xxl": 256}, 256, {"t5xxl": 0}),  # Flux: CLIP's only pooled
        ({"qwen25_7b": 60}, 26, {"qwen25_7b": -34}),  # without the template's beginning
        ({"qwen25_7b": 60}, 61, {}),
        ({"l": 77, "g": 77, "t5xxl": 128, "llama": 128}, 128, {}),  # HiDream: which of the two is where is not known
    ],
)
def test_where_each_tokenizer_s_tokens_stand(lengths, length, offsets):
    assert drawn._offsets(lengths, length) == offsets
