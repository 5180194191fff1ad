"""What agents and the assistant say of themselves, in English and Swedish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.agents.pages import Language

TEXTS: Final[Mapping[str, Mapping[Language, str]]] = {
    # ---------------------------------------------------------------------------------------------------------------- agents
    "rows_one": {"en": "1 row", "sv": "1 rad"},
    "rows_many": {"en": "{count} rows", "sv": "{count} rader"},
    "passages": {"en": "{count} passages", "sv": "{count} stycken"},
    "rows_none": {"en": "no rows", "sv": "inga rader"},
    "no_rows": {"en": "There are no such rows.", "sv": "Det finns inga sådana rader."},
    "null_value": {"en": "no value", "sv": "inget värde"},
    "first_rows": {"en": "The first {shown} of {count} rows.", "sv": "De första {shown} av {count} rader."},
    "as_example": {"en": "Answered like the trusted example “{question}”.", "sv": "Besvarat som det betrodda exemplet ”{question}”."},
    "as_filled": {
        "en": "Answered like the trusted example “{question}”, with the value from your question.",
        "sv": "Besvarat som det betrodda exemplet ”{question}”, med värdet ur din fråga.",
    },
    "as_before": {
        "en": "As for “{question}”, with the value from your question.",
        "sv": "Som för ”{question}”, med värdet ur din fråga.",
    },
    "by_model": {
        "en": "A language model wrote this statement. Read it before you rely on the figure.",
        "sv": "En språkmodell skrev den här satsen. Läs den innan du litar på siffran.",
    },
    "cannot": {
        "en": "I cannot answer that reliably from what I was given, so I do not guess.",
        "sv": "Det kan jag inte svara tillförlitligt på utifrån det jag har fått, så jag gissar inte.",
    },
    "not_understood": {
        "en": "I found no column or value for: {words}.",
        "sv": "Jag hittade ingen kolumn och inget värde för: {words}.",
    },
    "which_column": {"en": "Which do you mean: {options}?", "sv": "Vilken menar du: {options}?"},
    "which_table": {"en": "Which table do you mean: {options}?", "sv": "Vilken tabell menar du: {options}?"},
    "ask_like": {"en": "You can ask, for example:", "sv": "Du kan till exempel fråga:"},
    "statement_failed": {"en": "The statement could not be run: {error}", "sv": "Satsen kunde inte köras: {error}"},
    "model_gave_up": {
        "en": "The model's statements did not work either ({error}).",
        "sv": "Modellens satser fungerade inte heller ({error}).",
    },
    "model_away": {"en": "No model could be asked: {error}", "sv": "Ingen modell kunde tillfrågas: {error}"},
    "rerouted": {"en": "Answered by `{model}`. {reason}", "sv": "Besvarat av `{model}`. {reason}"},
    "nothing_to_use": {
        "en": "Nothing that this app uses is open to you: ask its owner for rights on its tables or indexes.",
        "sv": "Inget av det som appen använder är öppet för dig: be dess ägare om rättigheter på tabellerna eller indexen.",
    },
    # ------------------------------------------------------------------------------------------------------------- assistant
    "open_page": {"en": "Open {title}", "sv": "Öppna {title}"},
    "goes_to": {"en": "**{title}**: {summary}", "sv": "**{title}**: {summary}"},
    "perhaps": {
        "en": "Perhaps this is what you are looking for: **{title}**. {summary}",
        "sv": "Kanske söker du det här: **{title}**. {summary}",
    },
    "not_ready": {
        "en": "This version of Insjö does not have that page yet.",
        "sv": "Den sidan finns inte än i den här versionen av Insjö.",
    },
    "admin_only": {"en": "Only metastore admins can change things there.", "sv": "Bara metastore-administratörer kan ändra något där."},
    "from_docs": {"en": "The documentation says:", "sv": "Dokumentationen (på engelska) säger:"},
    "read_more": {"en": "Read more", "sv": "Läs mer"},
    "tables_found": {"en": "These fit:", "sv": "De här passar:"},
    "nothing_found": {
        "en": "I found nothing like that among what you may see.",
        "sv": "Jag hittade inget sådant bland det du får se.",
    },
    "column_of": {"en": "columns {columns}", "sv": "kolumnerna {columns}"},
    "sql_for": {"en": "This statement answers that:", "sv": "Den här satsen svarar på det:"},
    "open_in_sql": {"en": "Open in the SQL editor", "sv": "Öppna i SQL-editorn"},
    "open_table": {"en": "Open {name}", "sv": "Öppna {name}"},
    "error_means": {"en": "**`{code}`**: {meaning}", "sv": "**`{code}`**: {meaning}"},
    "error_said": {"en": "It said: {message}", "sv": "Den sade: {message}"},
    "error_hint": {"en": "What to do: {hint}", "sv": "Vad du kan göra: {hint}"},
    "confirm_first": {
        "en": "I can do that. Nothing happens before you confirm:",
        "sv": "Det kan jag göra. Inget händer förrän du bekräftar:",
    },
    "missing_part": {"en": "To do that I need to know: {what}.", "sv": "För att göra det behöver jag veta: {what}."},
    "not_allowed": {"en": "You may not do that: {reason}", "sv": "Det får du inte göra: {reason}"},
    "drop_instead": {
        "en": "I do not delete anything that holds data of others without its full name.",
        "sv": "Jag tar inte bort något utan dess fullständiga namn.",
    },
}


def say(key: str, language: Language, **values: object) -> str:
    """One of the texts."""
    return TEXTS[key][language].format(**values)


def rows_text(count: int, language: Language) -> str:
    """A number of rows in words."""
    if count == 0:
        return say("rows_none", language)
    return say("rows_one", language) if count == 1 else say("rows_many", language, count=grouped(count, language))


def grouped(number: float, language: Language) -> str:
    """A number with its thousands apart, as the language writes it."""
    text = f"{int(number):,}" if float(number).is_integer() else f"{number:,}"
    return text.replace(",", "\N{NO-BREAK SPACE}").replace(".", ",") if language == "sv" else text
