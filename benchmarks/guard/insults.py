"""Makes scoring/insults.txt, the words with which people are insulted: `python dev.py run benchmarks.guard.insults WORDNET VADER`

WORDNET: the folder of WordNet 3.0 with data.noun and index.noun (Debian's package wordnet-base; the WordNet licence).
VADER: vader_lexicon.txt of the package vaderSentiment 3.3.2 (MIT), with the valence that ten people gave each word.

WordNet says what a word means: an unpleasant person, a fool, a coward, a liar and their like and all kinds of them, what is marked as
disparaging, and the adjectives and traits that belong to these. VADER and the list of words by frequency that wordninja brings say which
of them are heard as insults: those that people feel to be negative, and those that are too rare to mean something else. What is left of
ordinary words was taken out by hand (ORDINARY), some of it after the first figures of ToxicBench's training half were seen.
"""

import argparse
import re
import textwrap
from collections import defaultdict
from pathlib import Path

from ...scoring.english import UNKNOWN, rank

OUT = Path(__file__).parents[2] / "scoring" / "insults.txt"
HEAD = "# Made by benchmarks.guard.insults, which says how, of WordNet 3.0 and VADER 3.3.2; their licences are in insults.LICENSE.txt."
COMMON = 30_000  # words more frequent than this may mean anything
NEGATIVE, DISLIKED, HATED = -0.5, -1.5, -2
PERSONS = {  # the word and which of its meanings
    "unpleasant_person": (0,), "fool": (0, 1), "simpleton": (0,), "stupid": (0,), "idiot": (0,), "coward": (0,), "liar": (0,),
    "traitor": (0, 1), "hypocrite": (0,), "loser": (1,), "scum": (0,), "ignoramus": (0,),
    "jerk": (0,), "weakling": (0,), "villain": (0,), "pervert": (0,), "lout": (0,), "sycophant": (0,), "madman": (0,), "drunkard": (0,),
    "bigot": (0,), "filth": (0,), "parasite": (1,),
}  # fmt: skip
TRAITS = ("trait", "worthlessness", "uselessness", "stupidity", "ignorance", "ugliness", "ridiculousness", "absurdity")
ADJECTIVES = {
    "stupid": (0,), "foolish": (0,), "contemptible": (0,), "disgusting": (0,), "worthless": (0,), "ignorant": (0, 1, 2), "cowardly": (0,),
    "absurd": (1,), "idiotic": (0,), "useless": (0,), "ridiculous": (0, 1), "pathetic": (1, 2), "cursed": (0,), "damned": (0,),
}  # fmt: skip
RUBBISH = {"rubbish": (0,), "nonsense": (0,), "drivel": (0,), "folderol": (0,)}
SECOND = {"dummy", "garbage", "parasite"}  # insults, though the word has another meaning first
MARKED = ("disparagement", "ethnic_slur", "obscenity")
ORDINARY = frozenset(re.findall(r"\S+", """
abject abracadabra acrimonious alcoholic alienator aliterate alone analphabet analphabetic anathema anxious apathetic applesauce
arriviste babble babbling bad balderdash bankrupt barbarian base bellied bilge bitter blame blamed bleak blessed blest bloody booby bore
boring bounder boy bragger bugger bull bum buncombe bunk bunkum butch buzzword cad calloused cant carcase careless carper carpetbagger
changeling charmer chicken chump climber cobblers cock cold contentious crab crank crawler crazy critical crosspatch crow crumb cuckoo
cynical dead debris deviant deviate devil difficult dike dirt dirty disciplinarian distressing dog doormat dopey doubtful dragon drool
drunk dud dull dumbbell exhibitionist exploiter failure fairy fake falla fawner fearful fiddle-faddle fiery fire-eater flogger flop
fooling foul frantic friendless futile gadfly gamin gawk git gobbledygook goof goofball goofy goon goose goosey goosy grabber grave
greedy green grievous grim gross grouch grouchy grumbler grump gull hammerhead hard harpy harsh heel hellcat hesitant hesitating hog
hokum horrific hotdog hothead hound humbug impatient incubus infernal insect irresolute irritable jabber jabberwocky joker jumpy junior
knave knocker lackadaisical lackey lame lamentable lazy leech lethargic lion-hunter loggerhead lone lonely lonesome loose low lubber
lump lush mad mammy mark martinet mean meanie melancholy messy mindless miserable misguided moaner mocker monopoliser monopolist
monopolizer monster moody moralist nag nagger nagging nervous nonstarter numb obsessional offensive ogre operator opportunist outlaw
pain paleface pap papist passionless peasant perisher pest peter piffle pill poof poor popinjay poser poseur pretender puritan quaker
queen queer rascal rash rebellious redman reluctant restless rigorous roaster rogue rot rubble rummy sad sap satyr savage scoffer
screaming sectarian sectarist sectary severe shaft shag sheep shrew shy simple skunk slack slang sluggish smoothie smoothy sneak snorter
so-and-so soaker softie softness softy somber souse spade spiritless spook square squawker steerer stickler storyteller stubborn
submissive suit sullen superfluous suspect suspicious switcher taco tantaliser tantalizer tartar thoughtless throwaway timid tired tool
touchy-feely trifling tripe turkey tyke unattractive uncontrollable underdog undignified uneasy uneducated uninformed unknowing unusable
unuseable unwise upstart uptight user vacillator vacuous vain vixen wacky wallflower wally wasted waverer whacky whipper whitey wicked
witch-hunter worm wrong yucky zany
"""))  # fmt: skip


class WordNet:
    def __init__(self, folder):
        self.words, self.pointers, self.senses = {}, {}, defaultdict(list)
        for kind in ("noun", "verb", "adj", "adv"):
            for line in (folder / f"data.{kind}").read_text("latin-1").splitlines():
                if not line.startswith(" "):
                    field = line.partition("|")[0].split()
                    count, of = int(field[3], 16), (_part(field[2]), field[0])
                    self.words[of] = [re.sub(r"\(\w+\)", "", field[4 + 2 * number]) for number in range(count)]
                    rest = field[5 + 2 * count :]
                    self.pointers[of] = [(rest[n], (_part(rest[n + 2]), rest[n + 1])) for n in range(0, len(rest) - 3, 4)]
            for line in (folder / f"index.{kind}").read_text("latin-1").splitlines():
                if not line.startswith(" "):
                    field = line.split()
                    self.senses[field[0], field[1]] += [(field[1], offset) for offset in field[-int(field[2]) :]]

    def meanings(self, chosen, part="n"):
        return {self.senses[word, part][number] for word, numbers in chosen.items() for number in numbers}

    def below(self, meanings):
        found, todo = set(), list(meanings)
        while todo:
            if (meaning := todo.pop()) not in found:
                found.add(meaning)
                todo += [to for kind, to in self.pointers[meaning] if kind in ("~", "~i")]
        return found

    def beside(self, meanings, kinds):
        return {to for meaning in meanings for kind, to in self.pointers[meaning] if kind in kinds}

    def marked(self):
        return {of for of, to in self.pointers.items() if any(kind == ";u" and self.words[usage][0] in MARKED for kind, usage in to)}

    def lemmas(self, meanings, certain=()):
        """Single words whose first meaning is one of these; certain: words that may mean something else first."""
        named = {(word, of) for of in meanings for word in self.words[of] if re.fullmatch("[a-z_-]{3,}", word)}
        found = {word for word, of in named if word in certain or self.senses[word, of[0]][:1] == [of]}
        together = {word.replace("_", "") for word in found}
        return {word for word in together if word in found or rank(word) < UNKNOWN}


def _part(letter):
    return "a" if letter == "s" else letter


def insults(wordnet, valence):
    """Words that insult, and milder ones."""
    hated = {word for word, score in valence.items() if score <= HATED}
    friendly = {word for word, score in valence.items() if score >= 0}
    persons = wordnet.below(wordnet.meanings(PERSONS))
    named = wordnet.lemmas(persons | wordnet.marked(), hated | SECOND)
    bad = wordnet.below(wordnet.meanings({"bad_person": (0,)}))
    accused = wordnet.lemmas(wordnet.meanings({"criminal": (0,)})) | hated & wordnet.lemmas(bad)
    traits = wordnet.below(wordnet.meanings(dict.fromkeys(TRAITS, (0,)))) | persons
    belonging = wordnet.lemmas({of for of in wordnet.beside(traits, ("+", "=", "\\")) if of[0] == "a"})
    heads = wordnet.meanings(ADJECTIVES, "a")
    judged = wordnet.lemmas(heads | wordnet.beside(heads, "&") | wordnet.below(wordnet.meanings(RUBBISH)), hated | SECOND)
    strong = {word for word in named if valence.get(word, 0) <= NEGATIVE or rank(word) >= COMMON} | judged & hated
    mild = named | judged | {word for word in belonging if valence.get(word, 0) <= DISLIKED} | accused
    return strong - ORDINARY - friendly, mild - strong - ORDINARY - friendly


def _lines(words):
    return textwrap.wrap(" ".join(sorted(words)), 140, break_on_hyphens=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wordnet", type=Path)
    parser.add_argument("vader", type=Path)
    a = parser.parse_args()
    rows = [line.split("\t") for line in a.vader.read_text("utf-8").splitlines()]
    strong, mild = insults(WordNet(a.wordnet), {row[0]: float(row[1]) for row in rows})
    lines = [HEAD, "[insults]", *_lines(strong), "[mild]", *_lines(mild)]
    OUT.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(strong)} insults and {len(mild)} milder ones.")


if __name__ == "__main__":
    main()
