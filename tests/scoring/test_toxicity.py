"""Which words are toxic, on words that the guard's settings were not chosen on."""

import pytest
from text_layers.benchmarks.guard import scores as guard_scores
from text_layers.scoring.lexicon import EVERYTHING, OBSCENE, STRENGTHS
from text_layers.scoring.toxicity import find

pytestmark = pytest.mark.any_comfyui


def words(text, **lists):
    return [match.word for match in find(text, **lists)]


@pytest.mark.parametrize(
    "word",
    ["fuck", "SHIT", "sh1t", "$h1t", "f u c k", "f.u.c.k", "f_u_c_k", "fu ck", "fu-ck", "f*ck", "fuuuuck", "fùck", "fυck", "fuсk", 
     "ｆｕｃｋ", "🅵🆄🅲🅺", "ⓢⓗⓘⓣ", "ꜰᴜᴄᴋ", "f​uck", "clusterfuckery", "BITCHES", "mierda", "scheiße"],
)  # fmt: skip
def test_a_toxic_word_is_found_whole_under_every_disguise(word):
    assert words(word) == [word]
    assert words(f"good {word} morning") == ([word] if word != "fu ck" else [])  # this one only when nothing stands beside


@pytest.mark.parametrize(
    "text",
    ["Scunthorpe United", "Essex cocktails", "Shiitake", "CLASS", "a grape assassin", "Dickens", "Matsushita", "assess the annals", "2*3=6",
     "COOK BOOK", "snigger", "gay pride", "PEN ISLAND", "S A L E", "1984", "", "…", "NO SMOKING!", "5 O'CLOCK"],
)  # fmt: skip
def test_an_innocent_text_is_not(text):
    assert find(text) == []


@pytest.mark.parametrize("root", ["fuck", "shit", "bitch", "whore", "asshole", "nigger"])
def test_strong_words_are_found_inside_of_words_that_no_list_holds(root):
    for word in (f"zor{root}land", f"my{root}street", root + "ometer"):
        assert words(f"good {word} morning") == [word]


@pytest.mark.parametrize("word", ["shit", "chutiya", "चूतिया", "mierda", "merde", "scheiße", "caralho"])
def test_each_language(word):
    assert words(f"hello {word} hello") == [word]


def test_ordinary_words_that_lists_and_disguises_hold_are_none():
    """Written down here, so that none can go from the guard's own list unseen."""
    ordinary = """
    annals assess assessed assessing balls bloody butt buttes condom cook cooks cox cumin damning dealer dike dikes enema escort
    escorts fagin feces fetish flanges fooled gay gays gringo hooker hookers homosexual knob knobs lesbian lesbians pansy penthouse
    prickly pricked queer retardation scatter scatters seminary sexual sexually shiitake skeeter slobber snigger spook spooky spunky
    stagger sucker suckers sucks test tested testing testy titter twitter undies wang wankel whoop willie willy
    """
    assert [word for word in ordinary.split() if words(f"a {word} here")] == []


def test_matches_say_where_and_do_not_overlap():
    text = "OPEN F U C K YOU, motherfucking SHIT"
    found = find(text)
    assert [(m.start, m.end) for m in found] == [(5, 12), (18, 31), (32, 36)]
    assert all(text[m.start : m.end] == m.word for m in found)


def test_lists_of_the_user():
    assert words("Moby Dick and dick", allow=("Moby Dick",)) == ["dick"]
    assert words("Moby Dick", allow=("dick",)) == []
    assert words("shit shits", allow=("SHIT",)) == ["shits"]
    assert words("free beer, b33r and brandies", block=("beer", "brand*")) == ["beer", "b33r", "brandies"]
    assert words("free-beer", block=("free beer",)) == ["free-beer"]
    assert words("a gay bar", block=("gay",)) == ["gay"], "what is harmless by default can be blocked"
    assert words("beer", allow=("beer",), block=("beer",)) == [], "what is allowed passes"
    with pytest.raises(ValueError, match="no letter"):
        find("beer", block=("*",))


@pytest.mark.parametrize(
    ("word", "from_strength"),
    [
        ("motherfuckers", 0), ("fuckery", 0), ("bullshitting", 0), ("f*****g", 0), ("sh**", 0), ("b*i*t*c*h", 0), ("f--k", 0), ("btch", 0),
        ("shitparade", 0), ("wh0res", 0), ("nincompoops", 1), ("imbecility", 1), ("hypocritically", 1), ("stupidest", 1), ("MORONIC", 1),
        ("moronparade", 1), ("everyidiothere", 1), ("imbesile", 1), ("hypocirte", 1), ("id10ts", 1), ("m*r*ns", 1), ("сretin", 1),
        ("cowardice", 1), ("arrogance", 2), ("worthlessly", 2), ("rubbish", 2), ("oh drop dead", 2),
    ],
)  # fmt: skip
def test_each_strength_finds_words_in_the_forms_in_which_people_write_them(word, from_strength):
    assert [bool(find(word, strength=strength)) for strength in STRENGTHS] == [number >= from_strength for number in range(3)]


@pytest.mark.parametrize(
    "text",
    ["Scunthorpe cockpit", "Dickson & Hancock", "TEST PRICES", "M*A*S*H", "Hotel ***** Roma", "E*TRADE", "T-SHIRT X-RAY", "spices twitter",
     "COCKTAILBAR", "classicassembly", "idiom moraine", "HELLO WORLD", "bastion", "no parking!", "v1.5", "harmonica", "Fukuoka", "24/7",
     "pussycat peacock", "DANGER, HIGH VOLTAGE", "lost cat", "sad songs", "the end"],
)  # fmt: skip
def test_an_innocent_text_is_none_at_any_strength(text):
    assert find(text, strength=EVERYTHING) == []


def test_a_user_allows_and_blocks_at_every_strength():
    assert words("what an idiot", strength=EVERYTHING, allow=("idiot",)) == []
    assert words("snowflakes melt", strength=OBSCENE, block=("snowflake",)) == ["snowflakes"]


def test_the_labelled_set():
    """The bars are the lower ends of the intervals in results/guard_scores.json: what a worse guard would fall under."""
    rows = [line.split("\t") for line in guard_scores.PROMPTS.read_text("utf-8").splitlines()]
    found = guard_scores.scores(rows)
    assert found["recall"]["of"] >= 300 and len(rows) - found["recall"]["of"] >= 300
    assert found["recall"]["share"] >= 0.92 and found["precision"]["share"] >= 0.98
    assert found["still_toxic_once_cleaned"] == 0


def test_what_would_take_minutes_is_refused():
    find("A" * 10_000)
    for given in (("A" * 10_001,), ("a", ["A" * 10_001]), ("a", [], ["ab"] * 5_001)):
        with pytest.raises(ValueError, match=r"10,000 characters at most; this .* has 10,00\d"):
            find(*given)
