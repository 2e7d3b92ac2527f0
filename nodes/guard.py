"""The nodes that keep toxic words out of pictures."""

import numpy as np
import torch
from comfy_api.latest import io

from ..guard.guard import guard_model
from ..guard.picture import check
from ..patching.patch import METHODS, OWN_RUN
from ..scoring.charts import word_boxes
from ..scoring.languages import BUILT_IN
from ..scoring.lexicon import OBSCENE, STRENGTHS
from ..scoring.ocr import engine
from .checked import checked
from .comfy_compat import ADVANCED, SAYS, SAYS_AGAIN, aliases
from .inputs import entries, language_input, ocr_input, read_images
from .live import each
from .text_layers import CATEGORY, TextLayersSocket, show


def _lists():
    return (
        io.String.Input("allow", multiline=True, default="", dynamic_prompts=False, **ADVANCED,
                        tooltip="Words that may be drawn though the lists hold them, with commas or lines between: dick for Moby Dick."),
        io.String.Input("block", multiline=True, default="", dynamic_prompts=False, **ADVANCED,
                        tooltip="More words or phrases that may not be drawn. A * at the end of one stands for any ending."),
    )  # fmt: skip


def _strength():
    return io.Combo.Input("strength", options=list(STRENGTHS), default=OBSCENE, optional=True,
                          tooltip="Which words: slurs and obscene ones alone; insults like idiot and loser too; or everything, milder "
                          "words like useless and rubbish included.")  # fmt: skip


class GuardDrawnText(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersGuard",
            display_name="Guard Drawn Text",
            category=f"{CATEGORY}/guard",
            description="When a prompt asks for a toxic word to be drawn, the text layers get it without that word: the picture stays, the "
            "word goes. Any other prompt leaves the model untouched.",
            **aliases("toxic text", "remove toxic words", "profanity filter", "safety", "NSFW text", "censor words", "moderation"),
            inputs=[
                io.Model.Input("model", tooltip="The model to guard. It stays as it is; the output is a patched copy where needed."),
                io.Clip.Input("clip", tooltip="Encodes the cleaned prompt; the same as for KSampler's positive."),
                io.String.Input("prompt", multiline=True, default="", dynamic_prompts=False,
                                tooltip="The prompt as it was written, the same that KSampler's positive encodes."),
                TextLayersSocket.Input("text_layers", tooltip="The layers that decide the drawn word."),
                io.String.Input("replacement", default="",
                                tooltip="Drawn instead of each toxic word. Empty: stars, as many as it had letters. The demo models draw "
                                "letters only and need a word here."),
                *_lists(),
                io.Int.Input("start_step", default=0, min=0, max=10000, **ADVANCED,
                             tooltip="The first guarded step. Later keeps more of the picture, and more of the word."),
                io.Combo.Input("method", options=list(METHODS), default=OWN_RUN, **ADVANCED,
                               tooltip="As in Patch Prompt Into Layers: for models whose text changes with the picture."),
                _strength(),
            ],
            outputs=[
                io.Model.Output(tooltip="For KSampler, with the prompt as it was written."),
                io.String.Output(display_name="cleaned_prompt", tooltip="The prompt without toxic drawn words."),
                io.String.Output(display_name="found", tooltip="The toxic words, with commas between; empty for a clean prompt."),
                io.Boolean.Output(display_name="toxic", tooltip="Whether any was found."),
            ],
            **SAYS_AGAIN,
        )  # fmt: skip

    @classmethod
    @checked
    def execute(cls, model, clip, prompt, text_layers, replacement, allow, block, start_step, method, strength=OBSCENE):
        guarded, cleaned = guard_model(
            model, clip, prompt, text_layers, replacement.strip(), entries(allow), entries(block), start_step, method, strength or OBSCENE
        )
        found = ", ".join(cleaned.words)
        said = f"Kept out of the text layers: {found}\nThey see: {cleaned.prompt}" if found else "No toxic word is asked to be drawn."
        return io.NodeOutput(guarded, cleaned.prompt, found, bool(found), ui=show(said))


class CheckDrawnText(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersCheck",
            display_name="Check Drawn Text",
            category=f"{CATEGORY}/guard",
            description="Reads the words of a picture with OCR and says whether one of them is toxic: the second line of defence, behind "
            "Guard Drawn Text.",
            **aliases("OCR", "toxic text", "profanity filter", "safety checker", "moderation", "read text"),
            inputs=[
                io.Image.Input("image", tooltip="The pictures to check."),
                ocr_input("What reads them"),
                *_lists(),
                _strength(),
                language_input(),
            ],
            outputs=[
                io.Boolean.Output(display_name="toxic", tooltip="Whether any picture shows a toxic word."),
                io.String.Output(display_name="words", tooltip="All words that were read, one line a picture."),
                io.String.Output(display_name="found", tooltip="The toxic ones, with commas between."),
                io.Image.Output(display_name="boxes", tooltip="The pictures with a box around each word, red for toxic ones."),
            ],
            **SAYS,
            hidden=[io.Hidden.unique_id],
        )  # fmt: skip

    @classmethod
    @checked
    def execute(cls, image, ocr, allow, block, strength=OBSCENE, language=BUILT_IN):
        reader, checked, drawn = engine(ocr, language or BUILT_IN), [], []
        for picture in each(read_images("image", image), cls):
            checked.append(check(picture, reader, entries(allow), entries(block), strength or OBSCENE))
            drawn.append(word_boxes(picture[checked[-1].ground], checked[-1].boxes, checked[-1].toxic_boxes))
        found = [word for one in checked for word in one.toxic]
        words = "\n".join(" ".join(one.words) for one in checked)
        boxes = torch.from_numpy(np.stack(drawn)).float() / 255
        said = f"Toxic: {', '.join(found)}" if found else "No toxic word was read."
        return io.NodeOutput(bool(found), words, ", ".join(found), boxes, ui=show(said))
