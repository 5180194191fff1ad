"""The browser files: vendored ones are what their lock says, and our own keep the promises that pages rely on."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from insjo.agents.pages import PAGES

WEB = Path(__file__).resolve().parents[2] / "src" / "insjo" / "web"
STATIC = WEB / "static"
TEMPLATES = WEB / "templates"
LAYOUTS = [TEMPLATES / name for name in ("document.html", "base.html", "welcome.html")]
SHELL_TEMPLATES = [*LAYOUTS, *sorted((TEMPLATES / "components").glob("*.html"))]
PICTURES = [*STATIC.glob("*.svg"), *STATIC.glob("img/*.svg"), STATIC / "vendor" / "icons.svg"]
MODULES = sorted((STATIC / "js").glob("*.js"))
CSS = (STATIC / "insjo.css").read_text(encoding="utf-8")
LANGUAGES = ("en", "sv")

# Foreground on background, as the components use them.
# Text needs 4.5 : 1, edges of controls and focus rings 3 : 1 (WCAG 2.2, 1.4.3 and 1.4.11).
GROUNDS = ("bg", "surface", "surface-raised", "surface-sunken", "surface-hover")
TEXT_PAIRS = [
    *((ink, ground) for ink in ("ink", "ink-soft", "ink-faint") for ground in GROUNDS),
    *(("accent", ground) for ground in ("bg", "surface", "surface-sunken")),
    ("accent-strong", "surface"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("on-accent-soft", "accent-soft"),
    ("ink", "accent-soft"),
    ("ink", "selection"),
    *((ink, ground) for ink in ("nav-ink", "nav-ink-soft", "nav-ink-active") for ground in ("nav-bg-top", "nav-bg-end")),
    ("nav-ink-active", "nav-active"),
    ("on-ok-soft", "ok-soft"),
    ("on-warn-soft", "warn-soft"),
    ("on-danger-soft", "danger-soft"),
    ("on-info-soft", "info-soft"),
    ("danger", "surface"),
    ("danger", "bg"),
    ("on-danger", "danger"),
    ("on-danger", "danger-strong"),
    *((f"on-level-{level}", f"level-{level}") for level in ("public", "internal", "confidential", "secret")),
    *((f"syntax-{kind}", ground) for kind in ("keyword", "string", "number", "comment", "type") for ground in ("surface", "code-bg")),
]
EDGE_PAIRS = [
    *((edge, ground) for edge in ("line-strong", "focus") for ground in ("bg", "surface", "surface-raised", "surface-sunken")),
    *((state, "surface") for state in ("ok", "warn", "info", "danger")),
    *((f"chart-{number}", "surface") for number in range(1, 7)),
    ("nav-mark", "nav-bg-top"),
    ("nav-mark", "nav-active"),
]


def tokens() -> dict[str, tuple[str, str]]:
    """Every colour token with its light and its dark value."""
    return {name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", CSS)}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT_PAIRS, 4.5), (EDGE_PAIRS, 3.0)], ids=["text", "edges"])
def test_tokens_have_contrast(theme: int, pairs: list[tuple[str, str]], least: float) -> None:
    known = tokens()
    weak = {f"--{front} on --{back}": round(contrast(known[front][theme], known[back][theme]), 2) for front, back in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < least} == {}


def test_the_contrast_formula_knows_black_and_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_vendored_files_match_their_lock() -> None:
    folder = STATIC / "vendor"
    lock = json.loads((folder / "vendor.lock.json").read_text(encoding="utf-8"))
    locked = {entry["path"]: entry["sha256"] for entry in lock["files"]}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != "vendor.lock.json"}
    assert found == locked


def test_the_lock_names_versions_and_licences_and_no_address() -> None:
    text = (STATIC / "vendor" / "vendor.lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert {package["licence"] for package in packages} <= {"MIT", "ISC", "0BSD", "Apache-2.0"}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", package["version"]) for package in packages)
    licences = (STATIC / "vendor" / "LICENCES.txt").read_text(encoding="utf-8")
    assert [package["name"] for package in packages if f"{package['name']} {package['version']}" not in licences] == []


def test_the_stylesheet_loads_only_files_that_lie_beside_it() -> None:
    assert "@import" not in CSS
    addresses = re.findall(r"url\(\"?([^\")]+)\"?\)", CSS)
    assert addresses
    assert [address for address in addresses if not (STATIC / address).is_file()] == []


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_pictures_hold_no_script_and_no_foreign_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"<script|<style|\son\w+=|\sstyle=|://|<foreignObject", text) == []


@pytest.mark.parametrize("path", SHELL_TEMPLATES, ids=lambda path: path.name)
def test_templates_need_no_exception_from_the_policy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\sstyle=|<style|\son[a-z]+=\"|hx-on|javascript:|\|safe\b", text) == []
    assert [tag for tag in re.findall(r"<script[^>]*>", text) if "nonce=" not in tag] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_stay_small_and_safe(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 600
    assert re.findall(r"\beval\(|new Function|setAttribute\(\"style|document\.write|localStorage|insertAdjacentHTML|outerHTML", text) == []
    assert [address for address in re.findall(r"\w+://\S+", text) if "www.w3.org/2000/svg" not in address] == []
    imported = re.findall(r"(?:from|import\()\s*\"(\.[^\"]+)\"", text) + re.findall(r"^import \"(\.[^\"]+)\"", text, re.MULTILINE)
    assert [name for name in imported if not (path.parent / name).resolve().is_file()] == []


def test_only_rendered_answers_are_taken_as_html() -> None:
    uses = {path.name: text.count("innerHTML") for path in MODULES if "innerHTML" in (text := path.read_text(encoding="utf-8"))}
    assert uses == {"answer.js": 1, "assistant.js": 1}, "HTML may come only from the server's sanitised answers"


def texts(language: str) -> dict[str, str]:
    """The shell's texts in one language."""
    loaded: dict[str, str] = json.loads((TEMPLATES / "texts" / f"shell.{language}.json").read_text(encoding="utf-8"))
    return loaded


def test_both_languages_say_the_same_things() -> None:
    english, swedish = texts("en"), texts("sv")
    assert english.keys() == swedish.keys()
    holes = re.compile(r"\{\w+\}")
    assert {key for key in english if sorted(holes.findall(english[key])) != sorted(holes.findall(swedish[key]))} == set()
    assert len(swedish["js.editor_phrases"].split("|")) == len(english["js.editor_phrases"].split("|"))


def test_every_text_that_is_used_exists() -> None:
    known = texts("en")
    source = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    used = {f"js.{key}" for key in re.findall(r"\btn?\(\s*\"(\w+)\"", source)}
    in_templates = "\n".join(path.read_text(encoding="utf-8") for path in SHELL_TEMPLATES)
    used |= set(re.findall(r"ui\.t\(['\"](shell\.\w+)['\"][,)]", in_templates))
    assert sorted(used - known.keys()) == []
    listing = (TEMPLATES / "components" / "texts.html").read_text(encoding="utf-8").split("] -%}")[0]
    listed = {f"js.{key}" for key in re.findall(r"\"(\w+)\"", listing)}
    assert listed == {key for key in known if key.startswith("js.")}


def test_every_icon_that_is_named_is_in_the_sprite() -> None:
    symbols = set(re.findall(r"<symbol id=\"([\w-]+)\"", (STATIC / "vendor" / "icons.svg").read_text(encoding="utf-8")))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in [*MODULES, *LAYOUTS, *(TEMPLATES / "components").glob("*.html")])
    named = set(re.findall(r"\b(?:icon|iconButton)\(\"([a-z][\w-]+)\"", sources)) | set(re.findall(r"icon_name=\"([a-z][\w-]+)\"", sources))
    named |= {page.icon for page in PAGES}
    assert len(named) > 20
    assert sorted(named - symbols) == []


def sample_ui(language: str = "en", *, signed_in: bool = True) -> SimpleNamespace:
    """The object that pages give to the shell."""
    known = texts(language)
    item = SimpleNamespace(path="/sql", title="SQL", icon="square-terminal", active=True)
    return SimpleNamespace(
        lang=language,
        t=lambda key, **values: known[key].format(**values) if values else known[key],
        nonce="n0nce",
        user=SimpleNamespace(name="anna", display_name="Anna <Berg>", is_admin=False) if signed_in else None,
        nav=[{"title": "Analyse", "items": [item]}],
        path="/sql",
        theme="dark",
        version="1.2.3",
        static=lambda path: f"/static/v1/{path}",
    )


class Tags(HTMLParser):
    """Collects the tags of a page, and the controls that have neither text nor a label."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.unnamed: list[dict[str, str | None]] = []
        self._control: tuple[str, dict[str, str | None]] | None = None
        self._words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"button", "summary", "a"} and self._control is None:
            self._control, self._words = (tag, dict(attrs)), ""

    def handle_data(self, data: str) -> None:
        self._words += data

    def handle_endtag(self, tag: str) -> None:
        if self._control is None or self._control[0] != tag:
            return
        if not self._words.strip() and not self._control[1].get("aria-label"):
            self.unnamed.append(self._control[1])
        self._control = None


def rendered(source: str, ui: SimpleNamespace) -> str:
    """A page whose template is `source`, rendered as strictly as the server does it."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return environment.from_string(source).render(ui=ui)


KIT = (Path(__file__).parent / "kit.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_kit_renders_strictly(language: str) -> None:
    page = rendered(KIT, sample_ui(language))
    tags = Tags(page).tags
    assert [(tag, name) for tag, attributes in tags for name in attributes if name == "style" or name.startswith("on")] == []
    assert [attributes for tag, attributes in tags if tag == "script" and attributes.get("nonce") != "n0nce"] == []
    identifiers = [attributes["id"] for _, attributes in tags if attributes.get("id")]
    assert len(identifiers) == len(set(identifiers))
    assert "Anna &lt;Berg&gt;" in page
    assert "&lt;hi&gt;" in page
    assert "<code>a&lt;b</code>" in page
    assert '</script>"}' not in page
    assert f'lang="{language}"' in page


def test_the_islands_find_their_texts_with_placeholders_intact() -> None:
    page = rendered('{% extends "base.html" %}', sample_ui("sv"))
    block = re.search(r"id=\"ui-texts\"[^>]*>(.*?)</script>", page, re.DOTALL)
    assert block is not None
    said = json.loads(block[1])
    assert said["grid_rows"] == "{count} rader"
    assert json.loads(re.findall(r"id=\"page-context\"[^>]*>(.*?)</script>", page, re.DOTALL)[0]) == {}


def test_the_signed_out_layout_needs_no_person() -> None:
    page = rendered('{% extends "welcome.html" %}{% block content %}<h1>Sign in</h1>{% endblock %}', sample_ui(signed_in=False))
    tags = Tags(page).tags
    assert [attributes["href"] for tag, attributes in tags if tag == "a"] == ["#main"]
    assert not any(tag == "insjo-assistant" for tag, _ in tags)


def test_every_control_has_a_name() -> None:
    assert Tags("<button><svg></svg></button>").unnamed == [{}]
    assert Tags(rendered(KIT, sample_ui())).unnamed == []


def test_every_field_has_a_label() -> None:
    tags = Tags(rendered(KIT, sample_ui())).tags
    labelled = {attributes["for"] for tag, attributes in tags if tag == "label" and "for" in attributes}
    fields = [attributes for tag, attributes in tags if tag in {"input", "select", "textarea"} and "id" in attributes]
    assert fields
    assert [attributes["id"] for attributes in fields if attributes["id"] not in labelled] == []
