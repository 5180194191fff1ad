"""What the chat says of itself, in English and Swedish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.agents.pages import Language

TEXTS: Final[Mapping[str, Mapping[Language, str]]] = {
    "stopped": {"en": "Stopped.", "sv": "Stoppat."},
    "failed": {"en": "The answer is not complete: {error}", "sv": "Svaret är inte fullständigt: {error}"},
    "unanswered": {"en": "No answer came: {error}", "sv": "Det kom inget svar: {error}"},
    "empty": {"en": "The model answered with nothing.", "sv": "Modellen svarade ingenting."},
    "too_long": {"en": "The answer was cut off: it became too long.", "sv": "Svaret kapades: det blev för långt."},
    "rerouted": {"en": "Answered by `{model}`. {reason}", "sv": "Besvarat av `{model}`. {reason}"},
    "excerpts": {
        "en": "Only parts of {names} fit into what this model can read; the parts that seem to fit the question were chosen.",
        "sv": "Bara delar av {names} ryms i det som modellen kan läsa; de delar som verkar passa frågan valdes ut.",
    },
    "question_cut": {
        "en": "Your message is longer than what this model can read; its middle was left out.",
        "sv": "Ditt meddelande är längre än vad modellen kan läsa; mitten har utelämnats.",
    },
    "file_cut": {
        "en": "{name} is very long; only its beginning was read.",
        "sv": "{name} är mycket lång; bara början har lästs.",
    },
    "quoted": {
        "en": "The model on this machine is very small, so this answer is quoted from your files.",
        "sv": "Modellen på den här maskinen är mycket liten, så svaret är citerat ur dina filer.",
    },
    "outlined": {
        "en": "The model on this machine is too small to sum up a text, so these are the beginnings of its parts.",
        "sv": "Modellen på den här maskinen är för liten för att sammanfatta en text, så här är början på dess delar.",
    },
    "in_short": {"en": "In short: {sentence}", "sv": "Kort sagt: {sentence}"},
    "not_in_files": {
        "en": "I found nothing about that in the attached files.",
        "sv": "Jag hittade inget om det i de bifogade filerna.",
    },
    "repeats": {
        "en": "The model began to repeat itself and was stopped.",
        "sv": "Modellen började upprepa sig och stoppades.",
    },
    "files_unread": {
        "en": "This answer comes from other sources; the attached files were not read for it. Ask without them to talk about the files.",
        "sv": "Det här svaret kommer från andra källor; de bifogade filerna lästes inte. Fråga utan dem för att tala om filerna.",
    },
    "what_is_in_it": {
        "en": "What is this about? Give the main points briefly.",
        "sv": "Vad handlar det här om? Ge de viktigaste punkterna i korthet.",
    },
    "new_conversation": {
        "en": "Or begin a new conversation: what was said here before counts too.",
        "sv": "Eller börja en ny konversation: det som sagts här tidigare räknas också.",
    },
}


def say(key: str, language: Language, **values: object) -> str:
    """One of the texts."""
    return TEXTS[key][language].format(**values).strip()
