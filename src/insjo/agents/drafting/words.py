"""Words of questions in English and Swedish: what they ask for, and which names of columns they may mean."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

QUESTION_CHARS_MAX: Final = 2000


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_TOKEN = re.compile(r"\d{4}-\d{2}-\d{2}|\d+(?:[.,]\d+)*|\w+(?:[.'’\-]\w+)*|[<>]=?|=")
_STEM_SHORTEST = 3
_STEM_SHARE = 0.6
_SHORTER_SHARE = 0.75
_SUFFIXES = (
    "ernas",
    "arnas",
    "ornas",
    "ingar",
    "arna",
    "erna",
    "orna",
    "ings",
    "ande",
    "ing",
    "ies",
    "ens",
    "ets",
    "ar",
    "er",
    "or",
    "en",
    "et",
    "es",
    "ed",
    "na",
    "s",
    "n",
    "t",
    "a",
    "e",
    "y",
)


@dataclass(slots=True)
class Token:
    """One word of a question as it stands there; `used` once it is understood."""

    text: str
    folded: str
    used: bool = False


def tokens_of(question: str) -> list[Token]:
    """The words of a question; Swedish compounds that begin with a word for an average are cut after it."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(question[:QUESTION_CHARS_MAX]):
        text = match[0]
        tokens += [Token(part, part.casefold()) for part in _cut(text)]
    return tokens


def _cut(text: str) -> tuple[str, ...]:
    """`Medellönen` as `Medel` and `lönen`."""
    folded = text.casefold()
    for beginning in _AVERAGE_BEGINNINGS:
        if folded.startswith(beginning) and len(text) - len(beginning) >= _STEM_SHORTEST and folded not in INTENTS:
            return text[: len(beginning)], text[len(beginning) :]
    return (text,)


_AVERAGE_BEGINNINGS = ("genomsnitts", "medel", "snitt", "total", "max")


@functools.lru_cache(maxsize=4096)
def stems(word: str) -> tuple[str, ...]:
    """A word, and what is left of it as one ending after another is taken off."""
    found = [word]
    shortest = max(_STEM_SHORTEST, _STEM_SHARE * len(word))
    while True:
        shorter = (found[-1][: -len(each)] for each in _SUFFIXES if found[-1].endswith(each))
        following = next((each for each in shorter if len(each) >= shortest), "")
        if not following:
            return tuple(found)
        found.append(following)


def stem(word: str) -> str:
    """The shortest of a word's stems; the same for singular and plural, definite and indefinite."""
    return stems(word)[-1]


@functools.lru_cache(maxsize=16384)
def alike(one: str, other: str) -> bool:
    """Whether two words are forms of the same one."""
    if one == other:
        return True
    shared = max(map(len, set(stems(one)) & set(stems(other))), default=0)
    shorter, longer = sorted((len(one), len(other)))
    return shared >= max(_STEM_SHORTEST, _STEM_SHARE * longer, _SHORTER_SHARE * shorter)


# ------------------------------------------------------------------------------------------------------------------- intents

COUNT, AVERAGE, SUM, MAXIMUM, MINIMUM, MEDIAN = "count", "avg", "sum", "max", "min", "median"

_INTENT_WORDS: Mapping[str, str] = {
    COUNT: "count antal antalet räkna",
    AVERAGE: "average avg mean medel medelvärde medelvärdet genomsnitt genomsnittet genomsnittlig genomsnittliga genomsnittligt "
    "genomsnitts snitt snittet",
    SUM: "sum total summa summan summera totala totalt sammanlagd sammanlagda sammanlagt tillsammans altogether",
    MAXIMUM: "max maximum highest largest biggest greatest longest latest newest most_expensive högst högsta störst största längst längsta "
    "senaste nyaste dyrast dyraste maximal maximala",
    MINIMUM: "min minimum lowest smallest least shortest earliest oldest cheapest lägst lägsta minst minsta kortast kortaste tidigast "
    "tidigaste äldsta billigast billigaste minimal minimala",
    MEDIAN: "median medianen",
}
INTENTS: Final[Mapping[str, str]] = {word: intent for intent, spelled in _INTENT_WORDS.items() for word in spelled.split()}
"""Which word asks for which function."""

COUNT_PHRASES: Final = (("how", "many"), ("number", "of"), ("hur", "många"), ("hur", "manga"))
DISTINCT: Final = words("different distinct unique olika unika skilda")
PER: Final = (
    ("for", "each"),
    ("for", "every"),
    ("in", "each"),
    ("grouped", "by"),
    ("split", "by"),
    ("broken", "down", "by"),
    ("för", "varje"),
    ("i", "varje"),
    ("uppdelat", "på"),
    ("uppdelad", "på"),
    ("fördelat", "på"),
    ("grupperat", "på"),
    ("per",),
    ("by",),
    ("each",),
    ("varje",),
)
MOST: Final = words("most flest mest")
COMMON: Final = words("common frequent popular vanlig vanliga vanligaste vanligast populäraste populärast frekventa")
FEWEST: Final = words("fewest färst")
TOP: Final = words("top topp")
LIST: Final = words("list show lista visa display")
WHO: Final = words("who vem which vilken vilket")
WITHOUT: Final = (("without",), ("missing",), ("lacking",), ("utan",), ("saknar",), ("with", "no"), ("som", "saknar"))

COMPARISONS: Final = (
    (("more", "than"), ">"),
    (("greater", "than"), ">"),
    (("higher", "than"), ">"),
    (("larger", "than"), ">"),
    (("longer", "than"), ">"),
    (("at", "least"), ">="),
    (("less", "than"), "<"),
    (("lower", "than"), "<"),
    (("smaller", "than"), "<"),
    (("fewer", "than"), "<"),
    (("shorter", "than"), "<"),
    (("at", "most"), "<="),
    (("equal", "to"), "="),
    (("mer", "än"), ">"),
    (("större", "än"), ">"),
    (("högre", "än"), ">"),
    (("längre", "än"), ">"),
    (("fler", "än"), ">"),
    (("mindre", "än"), "<"),
    (("lägre", "än"), "<"),
    (("färre", "än"), "<"),
    (("kortare", "än"), "<"),
    (("over",), ">"),
    (("above",), ">"),
    (("exceeding",), ">"),
    (("after",), ">"),
    (("since",), ">="),
    (("under",), "<"),
    (("below",), "<"),
    (("before",), "<"),
    (("exactly",), "="),
    (("över",), ">"),
    (("efter",), ">"),
    (("sedan",), ">="),
    (("minst",), ">="),
    (("högst",), "<="),
    (("före",), "<"),
    (("innan",), "<"),
    (("exakt",), "="),
    ((">=",), ">="),
    (("<=",), "<="),
    ((">",), ">"),
    (("<",), "<"),
    (("=",), "="),
)
"""Words before a number or a date, and what they compare with."""

UNITS: Final = words(
    "minutes minute hours hour miles mile km kilometers kr kronor sek usd eur euro dollars dollar percent years days minuter minut timmar "
    "timme mil kilometer procent år dagar st stycken kg m"
    " sek"
)
FROM: Final = words("from från leaving departing")
TO: Final = words("to till arriving")
FROM_NAMES: Final = frozenset({"origin", "from", "source", "start", "departure", "sender", "från"})
TO_NAMES: Final = frozenset({"dest", "destination", "to", "target", "end", "arrival", "receiver", "till"})

NUMBERS: Final[Mapping[str, int]] = {
    word: number
    for number, spelled in enumerate(
        (
            "two två",
            "three tre",
            "four fyra",
            "five fem",
            "six sex",
            "seven sju",
            "eight åtta",
            "nine nio",
            "ten tio",
            "eleven elva",
            "twelve tolv",
        ),
        start=2,
    )
    for word in spelled.split()
} | {"twenty": 20, "tjugo": 20, "hundred": 100, "hundra": 100}

MONTHS: Final[Mapping[str, int]] = {
    word: number
    for number, spelled in enumerate(
        (
            "january januari",
            "february februari",
            "march mars",
            "april",
            "may maj",
            "june juni",
            "july juli",
            "august augusti",
            "september",
            "october oktober",
            "november",
            "december",
        ),
        start=1,
    )
    for word in spelled.split()
}

STOP: Final = words(
    "the a an is are was were be been of in on at for from to with and that this there their its it did do does had has have what "
    "whats which who how whose when many much me us we i you our your all any please can could would tell give find show compute calculate "
    "value values amount number rows row records record entries as by than then per level recorded registered according table tables "
    "data dataset system get know want like each every left went gone go made flew flown departed took happened exist exists "
    "en ett den det de är var vara varit av i på för från till med och som det här finns fanns har hade hur många mycket vad vilken "
    "vilket vilka vem när mig oss vi jag du ni vår vårt våra alla någon några tack kan skulle ge hitta beräkna räkna värde värdet "
    "värden antal antalet rader raderna raden poster per tabell tabellen tabeller data vill veta gick åkte avgick gjordes skedde "
    "ligger visa lista ut in där då sig sin samtliga respektive"
)
"""Words that change nothing once everything else is understood."""

BEFORE_BY: Final = words(
    "built made manufactured produced operated sold placed bought owned tillverkade tillverkats byggda byggts byggdes tillverkades "
    "producerade sålda lagda köpta gjorda flugna opererade"
)
"""Participles that say nothing new before `by` and a value."""

# ------------------------------------------------------------------------------------------------------------------ synonyms

_SWEDISH = """
lön salary|pay|wage; löner salary|pay; avdelning department|division; namn name; stad city|town; ort city; land country; pris price;
belopp amount; datum date; kund customer|client; beställning order; order order; försening delay; avgång departure; ankomst arrival;
flygplats airport; flygbolag airline|carrier; bolag company|carrier; flygning flight; flyg flight; flygplan plane|aircraft; plan plane;
sträcka distance; avstånd distance; distans distance; säte seat; plats seat|place; månad month; år year; dag day; timme hour;
produkt product; vara product|item; kategori category; vikt weight; ålder age; kön gender|sex; titel title; befattning title|position;
tillverkare manufacturer; motor engine; temperatur temperature; vind wind; hastighet speed; fart speed; fuktighet humidity;
luftfuktighet humidity; tryck pressure; lufttryck pressure; sikt visibility; nederbörd precipitation; destination destination;
mål destination; ursprung origin; start origin|start; typ type; modell model; status status; fakturor invoice; faktura invoice;
betalning payment; leverans delivery; leverantör supplier|vendor; anställd employee; anställda employee; medarbetare employee;
person person|name; personal employee|staff; väder weather; omsättning revenue|turnover|sales; försäljning sales|revenue; kostnad cost;
vinst profit; moms vat|tax; skatt tax; rabatt discount; antal quantity|count; mängd quantity; region region; butik store|shop;
projekt project; språk language; adress address; gata street; postnummer zip|postal; telefon phone; mejl email; epost email;
kommentar comment; betyg grade|rating; poäng score|points; procent percent; andel share; höjd height|altitude; längd length;
bredd width; djup depth; område area; yta area; volym volume; patient patient; diagnos diagnosis; läkare doctor; skola school;
elev pupil|student; kurs course; bil car|vehicle; fordon vehicle; körning run; fel error; ärende ticket|case; klass class; nivå level;
grupp group; användare user; roll role; valuta currency; konto account; saldo balance; ränta interest; lån loan; restid duration;
flygtid air_time; tid time; lufttid air_time; anställning hired; anställdes hired; anställts hired; månadslön monthly_salary
"""

_ABBREVIATIONS = """
dep departure; arr arrival; dest destination; orig origin; temp temperature; qty quantity; amt amount; dept department; addr address;
num number; no number; cnt count; avg average; precip precipitation; humid humidity; visib visibility; alt altitude; lat latitude;
lon longitude; cust customer; prod product; cat category; desc description; sched scheduled; emp employee; mgr manager; dt date;
ts timestamp; yr year; mon month; mo month; hr hour; min minute; sec second; tz timezone; loc location; org organisation; acct account;
bal balance; inv invoice; pct percent; perc percent; tel phone; mail email; dir direction; dewp dewpoint; src source; tgt target;
tailnum tail
"""


def _pairs(text: str) -> dict[str, tuple[str, ...]]:
    """`a b|c; d e` as a mapping."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in text.replace("\n", " ").split(";"):
        word, _, meanings = entry.strip().partition(" ")
        if word:
            found[word] = tuple(meanings.split("|"))
    return found


SWEDISH: Final = _pairs(_SWEDISH)
ABBREVIATIONS: Final = _pairs(_ABBREVIATIONS)


@functools.cache
def _by_stem() -> Mapping[str, tuple[str, ...]]:
    """Swedish words by each of their stems."""
    found: dict[str, tuple[str, ...]] = {}
    for word, meanings in SWEDISH.items():
        for each in stems(word):
            found[each] = (*found.get(each, ()), *meanings)
    return found


def _swedish(word: str) -> tuple[str, ...]:
    """What a Swedish word in any form is in English."""
    if word in SWEDISH:
        return SWEDISH[word]
    return next((_by_stem()[each] for each in stems(word) if each in _by_stem()), ())


@functools.lru_cache(maxsize=4096)
def meanings_of(word: str) -> tuple[tuple[str, ...], ...]:
    """What a word of a question may be called in English names, each meaning as a sequence of words; the word itself first."""
    found: list[tuple[str, ...]] = [(word,)]
    found += [tuple(meaning.split("_")) for meaning in _swedish(word)]
    found += _compound(word)
    return tuple(dict.fromkeys(found))


def _compound(word: str) -> Iterable[tuple[str, ...]]:
    """`avgångsförsening` as (`departure`, `delay`)."""
    for cut in range(_STEM_SHORTEST, len(word) - _STEM_SHORTEST + 1):
        first, second = word[:cut], word[cut:]
        beginnings = [first, *([first[:-1]] if first.endswith(("s", "e", "a")) else [])]
        heads = _swedish(second)
        for beginning in beginnings:
            for one in _swedish(beginning):
                for other in heads:
                    yield (*one.split("_"), *other.split("_"))


def number_of(token: Token) -> float | None:
    """Value of a number written in digits; None for anything else."""
    text = token.text
    if not re.fullmatch(r"\d+(?:[.,]\d+)*", text):
        return None
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", text):
        return float(re.sub(r"[.,]", "", text))
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None
