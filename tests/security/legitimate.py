"""Three hundred calls of ordinary office work in Swedish and English, none of which holds anything that must stay here.

They are full of what looks like something else: order numbers, versions, dates, amounts, telephone-like digits, code, common names.
"""

from __future__ import annotations

import random
from typing import Final

ENGLISH: Final = (
    "Summarise the status of order {order} for the weekly meeting.",
    "Order {order} was delivered on {date}, two days late. Write a short apology to the customer.",
    "What changed between version {version} and {version2}? List the breaking changes first.",
    "Draft an agenda for the steering group on {date} at {time} in room {room}.",
    "Translate to Swedish: The invoice {invoice} of {amount} kronor is due on {date}.",
    "Explain this error: HTTP {status} from https://api.example.com/v2/items/{number}?page={small}",
    "Rewrite more politely: We need the report on {topic} before {date}.",
    "Write a SQL query that counts orders per month in main.sales.orders for {year}.",
    "SELECT region, sum(amount) FROM main.sales.orders WHERE year = {year} GROUP BY region -- why is it slow?",
    "Review this code:\n```python\ndef total(rows):\n    return sum(r['amount'] * {small} for r in rows if r['id'] != {number})\n```",
    "The build {build} fails with exit code {small} since commit {commit}. What should I look at?",
    "Make a table of the pros and cons of {topic} and {topic2}.",
    "Our article {article} has a lead time of {small} weeks. Which alternatives are common?",
    "Reply to: 'Can we move the meeting about {topic} from {time} to later on {date}?'",
    "Fix the regular expression ^[A-Z]{{2}}-\\d{{{small}}}$ so that {article} matches.",
    "The temperature log shows {reading}, {reading2}, {reading} at sensor {small}. Is that normal for a cold store?",
    "Convert {amount} SEK to EUR at the rate 11.{small} and show the steps.",
    "Give me five headlines for a newsletter about {topic} in {month} {year}.",
    "Ticket {ticket}: the printer on floor {small} is offline again. Suggest an answer.",
    "What is the difference between ISO {iso}:2015 and ISO {iso}:2022? We are audited in {month} {year}.",
    "Write a job advert for somebody who works with {topic} in {city}.",
    "Which weeks of {year} have public holidays in Sweden? We plan {topic}.",
    "Turn into bullet points: revenue {amount} MSEK, cost {amount2} MSEK, {small} percent growth, {number} orders.",
    "Name a few risks of moving {topic} to the cloud in {month}.",
    "Parcel {parcel} with the truck to {city} weighs {reading} kg; is that over the limit of 31.5 kg?",
    "Generate test data: five products with names, prices and article numbers like {article}.",
    "Docker image registry.example.com/app:{version} needs {small} GB of memory. Write the compose file.",
    "Bus {small} leaves at {time} and the train {number} at {time2}; will I make it in {city}?",
    "Clean up these notes: {date} - {topic} - owner to be decided - {small} open points - next {time}.",
    "UUID {uuid} appears twice in the log of {date}T{time}:00Z. Could that be a retry?",
)
SWEDISH: Final = (
    "Sammanfatta läget för order {order} inför veckomötet.",
    "Order {order} levererades {date}, två dagar sent. Skriv en kort ursäkt till kunden.",
    "Vad ändrades mellan version {version} och {version2}?",
    "Skriv en dagordning för styrgruppen {date} kl. {time} i rum {room}.",
    "Översätt till engelska: Fakturan {invoice} på {amount} kronor förfaller {date}.",
    "Formulera om artigare: Vi behöver rapporten om {topic} före {date}.",
    "Gör en tabell med för- och nackdelar med {topic} och {topic2}.",
    "Artikel {article} har {small} veckors ledtid. Vilka alternativ är vanliga?",
    "Svara på: 'Kan vi flytta mötet om {topic} från {time} till senare den {date}?'",
    "Räkna om {amount} kr till euro med kursen 11,{small} och visa stegen.",
    "Ge mig fem rubriker till ett nyhetsbrev om {topic} i {month} {year}.",
    "Ärende {ticket}: skrivaren på plan {small} är offline igen. Föreslå ett svar.",
    "Skriv en platsannons för någon som arbetar med {topic} i {city}.",
    "Vilka veckor {year} har röda dagar? Vi planerar {topic}.",
    "Gör punktlista: intäkter {amount} Mkr, kostnader {amount2} Mkr, {small} procents tillväxt, {number} ordrar.",
    "Kolli {parcel} med bilen till {city} väger {reading} kg, är det över gränsen?",
    "Hjälp mig med en formel i Excel: om A{small} är större än {amount} så ska B{small} visa OK.",
    "Förklara moms på 25, 12 och 6 procent med exemplet {amount} kronor.",
    "Bussen {small} går {time} och tåget {number} går {time2}; hinner jag i {city}?",
    "Skriv ett tack till alla som hjälpte till med {topic} i {month}.",
    "Vi har {number} kunder och {small} säljare. Hur många kunder blir det var?",
    "Var i handboken står det om traktamente vid resa till {city}?",
    "Kontrollera stavningen: Protokol från möte {date} om {topic}, närvarande var {small} personer.",
    "Paragraf {small} i avtalet {contract} talar om uppsägningstid. Vad är vanligt i branschen?",
    "Skriv en enkel instruktion för hur man startar om maskin {article}.",
    "Mötet med Anna och Erik om {topic} blir {date}. Skriv en inbjudan till hela avdelningen.",
    "Vad betyder felkoden E{number} på ventilationen i {city}?",
    "Föreslå en tidplan för {topic} med milstolpar i {month} och slut {date}.",
    "Hur många arbetsdagar är det mellan {date} och {date2}?",
    "Planera lunch för {small} personer i {city} med en budget på {amount} kronor.",
)
TOPICS: Final = (
    "invoicing",
    "the new warehouse",
    "arbetsmiljö",
    "data quality",
    "kundtjänst",
    "budget",
    "recycling",
    "travel policy",
    "lagerinventering",
    "onboarding",
)
CITIES: Final = ("Stockholm", "Göteborg", "Malmö", "Umeå", "Oslo", "Lund", "Kiruna", "Visby")
MONTHS: Final = ("January", "mars", "June", "september", "November")


def filled(draw: random.Random) -> dict[str, object]:
    """Values as they come up in offices; their shapes are near those of personal numbers, cards and keys, and they are none."""
    year, month, day = draw.randrange(2019, 2028), draw.randrange(1, 13), draw.randrange(1, 29)
    return {
        "order": draw.choice(
            (f"{draw.randrange(10**5, 10**6)}", f"SO-{draw.randrange(10**6, 10**7)}", f"{year}-{draw.randrange(10**4, 10**5)}")
        ),
        "invoice": draw.choice((f"F{draw.randrange(10**6, 10**7)}", f"{year}{draw.randrange(10**3, 10**4)}")),
        "version": f"{draw.randrange(1, 12)}.{draw.randrange(30)}.{draw.randrange(20)}",
        "version2": f"{draw.randrange(1, 12)}.{draw.randrange(30)}.{draw.randrange(20)}-rc{draw.randrange(1, 5)}",
        "date": draw.choice((f"{year}-{month:02d}-{day:02d}", f"{day}/{month} {year}", f"{day}.{month}.{year}")),
        "date2": f"{year + 1}-{month:02d}-{day:02d}",
        "time": f"{draw.randrange(7, 18)}:{draw.choice(('00', '15', '30'))}",
        "time2": f"{draw.randrange(7, 18)}.{draw.choice(('05', '20', '45'))}",
        "room": f"{draw.randrange(1, 9)}{draw.randrange(10, 99)}",
        "amount": f"{draw.randrange(1, 900)} {draw.randrange(100, 999)}",
        "amount2": f"{draw.randrange(1, 900)},{draw.randrange(10, 99)}",
        "status": draw.choice((404, 409, 422, 500, 503)),
        "number": draw.randrange(100, 99999),
        "small": draw.randrange(2, 60),
        "topic": draw.choice(TOPICS),
        "topic2": draw.choice(TOPICS),
        "year": year,
        "month": draw.choice(MONTHS),
        "build": f"{draw.randrange(1000, 9999)}.{draw.randrange(1, 40)}",
        "commit": f"{draw.randrange(16**7):07x}",
        "article": f"{draw.choice(('AB', 'KX', 'ZP'))}-{draw.randrange(1000, 9999)}",
        "reading": f"{draw.randrange(1, 40)}.{draw.randrange(10)}",
        "reading2": f"-{draw.randrange(1, 30)}.{draw.randrange(10)}",
        "ticket": f"INC{draw.randrange(10**6, 10**7)}",
        "iso": draw.choice((9001, 14001, 27001, 45001)),
        "city": draw.choice(CITIES),
        "parcel": f"{draw.randrange(10**9, 10**10)}SE",
        "uuid": f"{draw.randrange(16**8):08x}-1c2d-4e3f-8a9b-{draw.randrange(16**12):012x}",
        "contract": f"{year}/{draw.randrange(100, 999)}",
    }


def calls() -> list[str]:
    """The calls: five of each form."""
    draw = random.Random(300)
    found: dict[str, None] = {}
    for form in (*ENGLISH, *SWEDISH):
        before = len(found)
        while len(found) < before + 5:
            found[form.format(**filled(draw))] = None
    return list(found)
