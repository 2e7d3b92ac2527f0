"""Which part of a prompt is asked to be drawn as text, and which is only described.

drawn_text    prompt -> [(start, end)]

Drawn is: what stands in quotes; what a sign, a shirt or another thing that carries text says or reads; what follows the mention of
lettering (the word, text:, spelling, labelled); what is written somewhere; capitals in a clause that has such a thing. What a man
says without quotes is described.
"""

import re

from ..scoring.spans import merged

_CLOSING = {'"': '"', "“": "”", "”": "”", "„": "“”", "«": "»", "»": "«", "‹": "›", "「": "」", "『": "』", "‘": "’", "`": "`", "＂": "＂"}
_LAST_QUOTE = re.compile(r"'(?!\w)")
_CARRIER = re.compile(
    r"\b(?:neon|\w*(?:sign|board|shirt|card|paper|stone|front|tattoo|graffiti)\w*|(?:poster|banner|placard|label|logo|tee|hoodie|sweater|cap|"
    r"hat|jacket|jersey|mug|cup|bottle|box|bag|tote|sticker|decal|badge|button|patch|note|letter|envelope|page|book|cover|magazine|headline|"
    r"meme|screen|display|mural|wall|awning|marquee|window|door(?:mat)?|flag|cake|plate|plaque|stamp|ticket|flyer|leaflet|menu|keychain|"
    r"necklace|bracelet|balloon|bubble|text|typography|inscription|slogan|emblem|coin|car|truck|bus|van|pillow|rug|mask|helmet|album|icon|"
    r"website)s?)\b",
    re.I,
)
_PERSON = re.compile(
    r"\b(?:man|men|wom[ae]n|person|people|guys?|boys?|girls?|kids?|child(?:ren)?|he|she|they|who|someone|protesters?|crowd)\b", re.I
)
_INSERTED = r"(?:\s*,\s*(?:in|with|on|at|across|over|using|written|painted|printed)\b[^,.;:\n\"“„«]{1,80}[,:])?"  # ", in red letters,"
_SAYS = re.compile(rf"\b(?:says?|saying|reads?|reading|states?|stating)\b(?:\s+(?:out|clearly|simply|just))?{_INSERTED}[\s:,-]*", re.I)
_SENTENCE_ENDS = re.compile(r"[.!?;](?=\s|$)|\n\s*\n")  # not the point of v1.5
_OF_THE_LAST = re.compile(r"\W*(?:it|this|that|which|they|these)\b", re.I)  # a sentence about what the one before was about
_REACH = 200  # characters between a thing and what it says
_LONGEST = 500  # characters of a text without quotes
_LETTERED = re.compile(
    r"(?:\bthe\s+(?:words?|text|phrase|slogan|message|inscription|caption|title|letters|lettering|motto)\b(?:\s+(?:of|is|are|reading|saying))?"
    r"|\b(?:words?|text|phrase|caption|title|slogan|inscription|lettering|letters|logo)\s*[:=]"
    r"|\b(?:spelling|spells|spelled|labell?ed|captioned|titled|entitled|inscribed(?:\s+with)?|engraved\s+with|emblazoned\s+with)\b"
    rf"(?:\s+out)?|\b(?:is|are)\s+(?:written|spelled|lettered)\b(?!\s+(?:on|in|with|by|across|above|below)\b)){_INSERTED}[\s:=]*",
    re.I,
)
_WRITTEN = re.compile(
    r"\b(?:with|has|have|of|and)\s+((?:(?!\b(?:with|has|have|of|and)\b)(?:[^,.;:\n]|[.:](?=\w))){1,100}?)\s+"
    r"(?:written|spelled|scrawled|scribbled|lettered|inscribed)\b",
    re.I,
)
# Where text without quotes ends: at a mark, or where the description goes on.
_ENDS = re.compile(
    r"[.,;:!?](?!\w)|[\n()\[\]\"“„«‘`]|(?<!\w)'|"
    r"\s(?:on|in|at|by|with|above|below|over|under|across|next|near|beside|behind|between|against|onto|from|hanging|standing|painted|"
    r"written|made|drawn|printed|carved|while|held|holding|placed|surrounded|and\s+(?:a|an|the))\b"
)  # fmt: skip
_CAPITALS = re.compile(r"(?<![\w'])[A-Z0-9][A-Z0-9'&!@$*._]*[A-Z0-9!@$*](?:[ -][A-Z0-9](?:[A-Z0-9'&!@$*._]*[A-Z0-9!@$*])?)*(?!\w)")


def drawn_text(prompt):
    """Ranges of characters from left to right, none of which overlap."""
    spans = _quoted(prompt)
    starts = [match.end() for match in _SAYS.finditer(prompt) if _carries(prompt[max(0, match.start() - _REACH) : match.start()])]
    starts += [match.end() for match in _LETTERED.finditer(prompt)]
    spans += [(start, _end(prompt, start)) for start in starts]
    spans += [match.span(1) for match in _WRITTEN.finditer(prompt)]
    if prompt != prompt.upper():
        for clause in re.finditer(r"(?:[^,.;\n]|\.(?=\w))+", prompt):
            if _CARRIER.search(clause[0]):
                spans += [(clause.start() + m.start(), clause.start() + m.end()) for m in _CAPITALS.finditer(clause[0])]
    return merged(span for span in spans if prompt[slice(*span)].strip())


def _carries(before):
    """Whether a thing that carries text comes last in this sentence, and no person after it."""
    sentences = _SENTENCE_ENDS.split(before)
    sentence = sentences.pop()
    while sentences and _OF_THE_LAST.match(sentence) and not _CARRIER.search(sentence):
        sentence = f"{sentences.pop()} {sentence}"
    things = [match.end() for match in _CARRIER.finditer(sentence)]
    return bool(things) and not _PERSON.search(sentence, things[-1])


def _end(prompt, start):
    """Where text that begins at start without quotes ends."""
    end = _ENDS.search(prompt, start, start + _LONGEST)
    return end.start() if end else min(start + _LONGEST, len(prompt))


def _quoted(prompt):
    """What stands in quotes; one that is never closed reaches to the end."""
    spans, at = [], 0
    while at < len(prompt):
        mark = prompt[at]
        closing = _CLOSING.get(mark)
        if mark == "'" and (at == 0 or not prompt[at - 1].isalnum()):  # otherwise an apostrophe
            end = _LAST_QUOTE.search(prompt, at + 1)
            if end:
                spans.append((at + 1, end.start()))
                at = end.start()
        elif closing:
            end = next((i for i in range(at + 1, len(prompt)) if prompt[i] in closing), len(prompt))
            spans.append((at + 1, end))
            at = end
        at += 1
    return spans
