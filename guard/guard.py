"""The paper's third use (section 5.3): a prompt that asks for a toxic word to be drawn keeps its picture and loses the word.

guard_model    MODEL, CLIP, prompt -> MODEL whose text layers see the cleaned prompt, Cleaned
"""

from ..patching.patch import OWN_RUN, patch_prompt
from ..scoring.lexicon import OBSCENE
from .prompt import clean


def guard_model(model, clip, prompt, text_layers, replacement="", allow=(), block=(), start=0, method=OWN_RUN, strength=OBSCENE):
    """A prompt without toxic drawn words gives the very MODEL that came in. Sample with the prompt as it was written: only the text
    layers see the cleaned one. replacement, allow, block, strength: of guard.prompt.clean; start, method: of
    patching.patch.patch_prompt. Raises what these raise."""
    cleaned = clean(prompt, replacement, allow, block, strength)
    if cleaned.words:
        target = clip.encode_from_tokens_scheduled(clip.tokenize(cleaned.prompt))
        model = patch_prompt(model, text_layers, target, start=start, method=method)
    return model, cleaned
