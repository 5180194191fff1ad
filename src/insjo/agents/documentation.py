"""The product's documentation as passages, found by words and, when vectors are at hand, by meaning.  Pure but for reading the package."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from insjo.agents.drafting.words import STOP, SWEDISH, meanings_of, stem, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

LEFT_OUT: Final = ("decisions/", "reference/web-components", "reference/doors")
"""Pages for developers."""

PASSAGE_CHARS_MAX: Final = 1400
QUOTE_CHARS_MAX: Final = 600
SATURATION: Final = 1.4
LENGTH_SHARE: Final = 0.6
TITLE_SHARE: Final = 0.25
DEFINED_WORDS_MAX: Final = 3
_WORD = re.compile(r"[\w.]*\w")
_HEADING = re.compile(r"^(#{1,4}) +(.+)$")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_GLOSSARY = re.compile(r"^\| ([a-z][a-z ]+) \| (.+?) \|$", re.MULTILINE)
_DEFINES = re.compile(
    r"^\s*(what(?:'s| is| are| does| do)|define|meaning|explain (?:the word|what)|vad (?:är|betyder|menas|innebär)|"
    r"förklara (?:ordet|vad))\b",
    re.IGNORECASE,
)
_CODE = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \| (.+?) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class DocPassage:
    """A section of a page of the documentation."""

    page: str
    title: str
    heading: str
    text: str

    @property
    def href(self) -> str:
        """Address of its page."""
        return "/docs" if self.page == "index" else f"/docs/{self.page}"


@dataclass(frozen=True, slots=True)
class DocHit:
    """A passage that fits.

    Attributes:
        score: About 1 when every word of the question stands in it.
        coverage: Share of the question's words that stand in it; rare words count more.
    """

    passage: DocPassage
    score: float
    coverage: float


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """What the reference says of an error code."""

    code: str
    meaning: str


@functools.cache
def passages() -> tuple[DocPassage, ...]:
    """All passages, read once from the package."""
    root = resources.files("insjo") / "docs_content"
    if not root.is_dir():
        return ()
    return tuple(passage for path, file in sorted(_pages(root, "")) for passage in cut(path, file.read_text(encoding="utf-8")))


def _pages(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    """Name and file of each page that is for everybody."""
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _pages(entry, f"{path}/")
        elif path.endswith(".md") and not path.startswith(LEFT_OUT):
            yield path[:-3], entry


def cut(page: str, text: str) -> Iterator[DocPassage]:
    """Sections of a page, the long ones in parts; code blocks stay with the words before them."""
    title, heading, gathered = page, "", list[str]()
    fenced = False

    def flush() -> Iterator[DocPassage]:
        block = "\n".join(gathered).strip()
        while block:
            end = len(block) if len(block) <= PASSAGE_CHARS_MAX else max(block.rfind("\n\n", 0, PASSAGE_CHARS_MAX), PASSAGE_CHARS_MAX // 2)
            yield DocPassage(page, title, heading, block[:end].strip())
            block = block[end:].strip()
        gathered.clear()

    for line in text.splitlines():
        fenced = fenced != line.startswith("```")
        found = None if fenced else _HEADING.match(line)
        if found is None:
            if not line.startswith("<!--"):
                gathered.append(line)
            continue
        yield from flush()
        if len(found[1]) == 1:
            title = found[2].strip()
            heading = ""
        else:
            heading = found[2].strip()
    yield from flush()


def terms_of(text: str) -> list[str]:
    """Stems of the words that count."""
    found = []
    for match in _WORD.finditer(text.casefold()):
        word = match[0]
        if word not in STOP or word.isupper():
            found.append(stem(word))
    return found


def _asked_terms(question: str) -> list[tuple[str, ...]]:
    """For each word of a question the stems that it may stand for: its own, and English ones for a Swedish word."""
    found = []
    for match in _WORD.finditer(question.casefold()):
        word = match[0]
        if word in STOP or word in QUESTION_WORDS:
            continue
        spelled = {stem(word)}
        for english in PRODUCT_WORDS.get(word, ()) or next((PRODUCT_WORDS[each] for each in PRODUCT_WORDS if stem(each) == stem(word)), ()):
            spelled.add(stem(english))
        if word in SWEDISH or len(meanings_of(word)) > 1:
            spelled.update(stem(part) for meaning in meanings_of(word)[1:] for part in meaning)
        found.append(tuple(spelled))
    return found


QUESTION_WORDS: Final = words(
    "how why what mean means meaning does do can could should explain describe is are please insjo work works way steps want need "
    "hur varför vad betyder innebär menas förklara beskriv kan ska bör insjö fungerar gör man något some any use using used använder "
    "använda",
)

_PRODUCT = """
etikett label; klarering clearance; behörighet privilege|grant|permission; rättighet privilege|grant; åtkomst access; tabell table;
vy view; schema schema; katalog catalog; volym volume; fil file; slutpunkt endpoint; modell model; leverantör provider; nyckel key|token;
åtkomstnyckel token; token token; användare user; grupp group; lösenord password; inloggning sign; logga sign|log; granskning audit;
granskningslogg audit; logg audit|log; index index; dokument document; stycke passage; sökning search; söka search; agent agent|app;
app app; bot app|agent; fråga query|question|statement; sats statement; lager warehouse; ladda load|upload; importera load|import;
uppladdning upload; återställ restore; återställa restore;
gammal old|earlier; gamla old|earlier; historik history; version version; dela share|grant; ge grant; återkalla revoke;
kostnad cost|usage; användning usage; budget budget; gräns limit; säkerhetskopia backup|back; säkerhetskopiera back|backup;
installera install; starta start|serve; inställning setting; inställningar setting; fel error; felmeddelande error; felkod error|code;
miljövariabel environment; port port; hemlig secret; konfidentiell confidential; personuppgifter personal; omdirigera reroute;
omdirigering reroute; blockera block; maskin machine; chatt chat; samtal conversation|chat; ansluta connect; koppla connect;
klient client; python python; citat quote|citation; källa source|citation; kort keyboard; kommando command; kommandoraden command;
migrera migrate; uppdatera update; ta drop|delete; radera delete|drop; skapa create; ny new; ordlista word; ord word; betydelse meaning
"""


def _product_words() -> Mapping[str, tuple[str, ...]]:
    """Swedish words of the product's field."""
    pairs = (entry.strip().partition(" ") for entry in _PRODUCT.replace("\n", " ").split(";"))
    return {word: tuple(english.split("|")) for word, _, english in pairs if word}


PRODUCT_WORDS: Final = _product_words()


@functools.cache
def _counted() -> tuple[tuple[Counter[str], ...], Counter[str], float]:
    """Terms of each passage (those of its heading count double), how many passages have each, and the mean length."""
    counts = []
    for passage in passages():
        counted = Counter(terms_of(passage.text))
        for term in terms_of(f"{passage.title} {passage.heading}"):
            counted[term] += 2
        counts.append(counted)
    having: Counter[str] = Counter(term for counted in counts for term in counted)
    mean = sum(sum(counted.values()) for counted in counts) / (len(counts) or 1)
    return tuple(counts), having, mean


def search(question: str, *, count: int = 3) -> list[DocHit]:
    """The passages that fit a question best, by BM25 over stems; a Swedish word counts as the English ones that it may mean."""
    asked = _asked_terms(question)
    counts, having, mean = _counted()
    total = len(counts)
    weights = [max(math.log(1 + total / (1 + having.get(stemmed, 0))) for stemmed in spelled) for spelled in asked]
    whole = sum(weights) or 1.0
    spellings = {each for spelled in asked for each in spelled}
    hits = []
    for passage, counted in zip(passages(), counts, strict=True):
        length = sum(counted.values())
        score = covered = 0.0
        for spelled, weight in zip(asked, weights, strict=True):
            often = max(counted.get(each, 0) for each in spelled)
            if often:
                covered += weight
                score += weight * often * (SATURATION + 1) / (often + SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * length / mean))
        score /= whole * (SATURATION + 1) / (1 + SATURATION)
        score *= 1 + TITLE_SHARE * _title_asked(passage.title, spellings)
        hits.append(DocHit(passage, score, covered / whole))
    return sorted(hits, key=lambda hit: -hit.score)[:count]


def _title_asked(title: str, asked: set[str]) -> float:
    """Which part of a title's words the question holds: who asks for the whole title means that page."""
    terms = set(terms_of(title))
    return len(terms & asked) / len(terms) if terms else 0.0


def quote_of(passage: DocPassage, question: str) -> str:
    """The part of a passage that says most about a question, as plain lines."""
    asked = {each for spelled in _asked_terms(question) for each in spelled}
    blocks = [
        block for block in re.split(r"\n\n|\n(?=[|\-*] )|\n(?=\d+\. )", passage.text) if block.strip() and not set(block) <= set("|- \n")
    ]
    if not blocks:
        return ""

    def fit(number: int) -> float:
        terms = set(terms_of(blocks[number]))
        return len(terms & asked) - 0.01 * number

    best = max(range(len(blocks)), key=fit)
    chosen = blocks[best]
    if best + 1 < len(blocks) and len(chosen) + len(blocks[best + 1]) <= QUOTE_CHARS_MAX // 2:
        chosen += "\n" + blocks[best + 1]
    return plain(chosen)[:QUOTE_CHARS_MAX]


def plain(block: str) -> str:
    """A block of Markdown as lines without links and tables."""
    lines = []
    for line in _LINK.sub(r"\1", block.partition("```")[0]).splitlines():
        if not set(line) - set("|-: "):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        lines.append(": ".join(cell for cell in cells if cell) if line.lstrip().startswith("|") else line)
    return "\n".join(line for line in lines if line.strip())


@functools.cache
def error_meanings() -> Mapping[str, ErrorMeaning]:
    """Error codes of the reference with their meanings."""
    file = resources.files("insjo") / "docs_content" / "reference" / "errors.md"
    if not file.is_file():
        return {}
    return {code: ErrorMeaning(code, meaning.strip()) for code, meaning in _CODE.findall(file.read_text(encoding="utf-8"))}


@functools.cache
def glossary() -> Mapping[str, str]:
    """Words of the product and what they mean."""
    file = resources.files("insjo") / "docs_content" / "glossary.md"
    if not file.is_file():
        return {}
    return {word: meaning for word, meaning in _GLOSSARY.findall(file.read_text(encoding="utf-8")) if word != "word"}


def defined_word(question: str) -> tuple[str, str] | None:
    """The one word of the glossary whose meaning a question asks for; None when it asks for none or several."""
    asked = _asked_terms(question)
    if not 1 <= len(asked) <= DEFINED_WORDS_MAX or _DEFINES.search(question) is None:
        return None
    stems = {each for spelled in asked for each in spelled}
    found = [(word, meaning) for word, meaning in glossary().items() if {stem(part) for part in word.split()} <= stems]
    longest = [pair for pair in found if len(pair[0].split()) == max(len(each[0].split()) for each in found)] if found else []
    return longest[0] if len(longest) == 1 else None
