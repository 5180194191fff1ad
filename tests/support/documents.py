"""Documents that tests make: five formats, two languages, with facts that questions can ask for."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Section:
    """A heading and its paragraphs."""

    heading: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """A question, the file that answers it, and words that stand in the passage with the answer."""

    text: str
    file: str
    contains: str


HANDBOOK = (
    Section(
        "Holiday and leave",
        (
            (
                "Every employee of Kustflyg is entitled to thirty days of paid holiday each year. Days that were not "
                "used by the end of March "
                "are paid out with the salary in April. Requests for the summer are to be entered before the first of April."
            ),
            (
                "Parents receive ninety percent of their pay during the first six months of parental leave, on top of what the state pays. "
                "Leave for a sick child is reported on the same morning through the staff portal."
            ),
        ),
    ),
    Section(
        "Travel and expenses",
        (
            (
                "Train is preferred to flying for journeys below five hours. A night in a hotel may cost at most 1,450 kronor in Stockholm "
                "and 1,100 kronor elsewhere. Receipts are photographed and sent in within fourteen days, otherwise they are not refunded."
            ),
            "The daily allowance inside Sweden is 290 kronor. Taxi is paid only between ten in the evening and six in the morning.",
        ),
    ),
    Section(
        "Information security",
        (
            (
                "Passwords have at least sixteen characters and are kept in the password safe. A lost computer or phone is reported to the "
                "duty officer at extension 4417 within one hour, at any time of the day."
            ),
            "Visitors are registered at the reception and wear a yellow badge. They are never left alone in the operations room.",
        ),
    ),
    Section(
        "Remote work",
        (
            (
                "Staff may work from home up to three days a week after agreement with their manager. Tuesday is a day in the office for "
                "everybody. The company pays for a chair and a screen, up to 5,000 kronor every fourth year."
            ),
        ),
    ),
)

MAINTENANCE = (
    Section(
        "Landningsställ",
        (
            (
                "Landningsstället smörjs var tvåhundrade flygtimme med fett av typ AeroShell 33. Däcken byts när "
                "mönsterdjupet är mindre än "
                "två millimeter. Trycket i huvudhjulen ska vara 13,8 bar vid tjugo grader."
            ),
        ),
    ),
    Section(
        "Motorer",
        (
            (
                "Motorerna tvättas invändigt var sjätte månad, eller oftare när flygplanet går i salthaltig luft. "
                "Oljefilter med artikelnummer "
                "KF-7731-B byts var femhundrade timme. Ett metallspån större än en millimeter i filtret är skäl att stoppa flygplanet."
            ),
        ),
    ),
    Section(
        "Avisning",
        (
            (
                "Avisning sker med vätska av typ II vid temperaturer under minus tre grader. Skyddstiden är trettiofem "
                "minuter i lätt snöfall. "
                "Har tiden gått ut innan start ska behandlingen göras om."
            ),
        ),
    ),
)

LUNCH = (
    Section(
        "Lunch och restaurang",
        (
            (
                "Personalrestaurangen har öppet mellan klockan elva och halv två. En lunch kostar 95 kronor och dras på lönen. Den som är "
                "allergisk meddelar köket senast klockan nio samma morgon."
            ),
        ),
    ),
    Section(
        "Friskvård",
        ("Friskvårdsbidraget är 4 000 kronor om året och gäller gymkort, simhall och massage. Kvitto lämnas in före femtonde december.",),
    ),
    Section(
        "Parkering",
        ("Parkering för anställda finns i garaget under hus C. Elbilar laddas på plan två, högst fyra timmar åt gången.",),
    ),
)

NETWORK = (
    Section(
        "Backup",
        (
            (
                "A full backup of the booking database runs every Sunday at 02:30; increments run every six hours. Backups are kept for "
                "ninety days in Luleå and copied to Gothenburg. A restore is rehearsed in February and in September."
            ),
        ),
    ),
    Section(
        "Certificates",
        ("TLS certificates are issued by the internal authority and are renewed automatically thirty days before they expire.",),
    ),
    Section(
        "On-call duty",
        (
            (
                "The engineer on call answers within fifteen minutes. Duty changes on Monday at nine. The compensation "
                "is 3,200 kronor a week, "
                "and each call-out between midnight and six counts as double time."
            ),
        ),
    ),
)

QUESTIONS = (
    Question("How many days of paid holiday do I get?", "handbook.pdf", "thirty days of paid holiday"),
    Question("What happens to holiday I did not take?", "handbook.pdf", "paid out with the salary in April"),
    Question("How much may a hotel in Stockholm cost?", "handbook.pdf", "1,450 kronor"),
    Question("When is a taxi paid for?", "handbook.pdf", "Taxi is paid only"),
    Question("Whom do I call if my laptop is stolen?", "handbook.pdf", "4417"),
    Question("How long must a password be?", "handbook.pdf", "sixteen characters"),
    Question("Can I work from home?", "handbook.pdf", "three days a week"),
    Question("Hur många semesterdagar har jag?", "handbook.pdf", "thirty days of paid holiday"),
    Question("Hur ofta smörjs landningsstället?", "maintenance.docx", "tvåhundrade flygtimme"),
    Question("När ska däcken bytas?", "maintenance.docx", "två millimeter"),
    Question("Vilket tryck ska det vara i hjulen?", "maintenance.docx", "13,8 bar"),
    Question("KF-7731-B", "maintenance.docx", "KF-7731-B"),
    Question("Hur länge skyddar avisningen i snöfall?", "maintenance.docx", "trettiofem minuter"),
    Question("Vad kostar lunchen?", "lunch.md", "95 kronor"),
    Question("Hur stort är friskvårdsbidraget?", "lunch.md", "4 000 kronor"),
    Question("Var kan jag ladda elbilen?", "lunch.md", "plan två"),
    Question("När stänger restaurangen?", "lunch.md", "halv två"),
    Question("How often does a full backup run?", "network.html", "every Sunday"),
    Question("How long are backups kept?", "network.html", "ninety days"),
    Question("What do I earn for being on call?", "network.html", "3,200 kronor"),
    Question("When are certificates renewed?", "network.html", "thirty days before"),
    Question("Who wrote the song about the lighthouse?", "notes.txt", "Elsa Brandt"),
    Question("Vem skrev visan om fyren?", "notes.txt", "Elsa Brandt"),
    Question("Where is the spare key of the archive?", "notes.txt", "blue cabinet"),
)

UNANSWERABLE = (
    "What is the boiling point of tungsten?",
    "Vem vann melodifestivalen 1984?",
    "How do I prune an apple tree?",
    "Hur lagar man ett trasigt dragspel?",
)

NOTES = (
    "Notes from the archive\n======================\n\n"
    "The song about the lighthouse was written by Elsa Brandt in 1931. The original sheet hangs in the hall of the head office.\n\n"
    "The spare key of the archive lies in the blue cabinet beside the copying machine. Åke Öberg on floor three has the list of loans.\n"
)


def pdf_of(sections: Sequence[Section], *, title: str = "", pages_each: bool = True) -> bytes:
    """A PDF with a page for each section, and a page number at the bottom."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer

    def number(canvas: object, document: object) -> None:
        canvas.drawString(280, 30, f"Page {document.page}")  # type: ignore[attr-defined]  # reportlab is untyped.

    target = io.BytesIO()
    styles = getSampleStyleSheet()
    story: list[object] = []
    for section in sections:
        story.append(Paragraph(section.heading, styles["Heading1"]))
        for paragraph in section.paragraphs:
            story += [Paragraph(paragraph, styles["BodyText"]), Spacer(1, 8)]
        if pages_each:
            story.append(PageBreak())
    SimpleDocTemplate(target, pagesize=A4, title=title).build(story, onFirstPage=number, onLaterPages=number)
    return target.getvalue()


def docx_of(sections: Sequence[Section], *, table: Sequence[Sequence[str]] = ()) -> bytes:
    """A Word document with headings, and a table at the end if there is one."""
    import docx

    document = docx.Document()
    for section in sections:
        document.add_heading(section.heading, level=1)
        for paragraph in section.paragraphs:
            document.add_paragraph(paragraph)
    if table:
        made = document.add_table(rows=0, cols=len(table[0]))
        for row in table:
            for cell, text in zip(made.add_row().cells, row, strict=True):
                cell.text = text
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def html_of(sections: Sequence[Section], *, title: str = "Network") -> bytes:
    """A page with scripts and hidden text that must not be read."""
    body = "".join(f"<h2>{each.heading}</h2>" + "".join(f"<p>{text}</p>" for text in each.paragraphs) for each in sections)
    return (
        f"<!doctype html><html><head><title>{title}</title><script>secretScript()</script><style>p {{}}</style></head><body>"
        f"<nav>Start Kontakt</nav>{body}<p style='display: none'>hiddenCanary</p><script>alert('x')</script></body></html>"
    ).encode()


def markdown_of(sections: Sequence[Section]) -> bytes:
    """A Markdown text with front matter."""
    body = "\n".join(f"## {each.heading}\n\n" + "\n\n".join(each.paragraphs) + "\n" for each in sections)
    return f"---\nauthor: nobody\n---\n# Huset\n\n{body}".encode()


def library() -> dict[str, bytes]:
    """The documents by file name."""
    return {
        "handbook.pdf": pdf_of(HANDBOOK, title="Staff handbook"),
        "maintenance.docx": docx_of(MAINTENANCE),
        "lunch.md": markdown_of(LUNCH),
        "network.html": html_of(NETWORK),
        "notes.txt": NOTES.encode("cp1252"),
    }
