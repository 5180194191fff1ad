"""Questions and passages about nothing in particular.

Vectors of the packaged embedding model all point in much the same direction; what differs is small.  Taking away the mean brings it out
(docs/reference/models.md).  These texts give the mean while an index is small, and always for questions, of which there is no collection.
"""

from __future__ import annotations

QUESTIONS = (
    "How many days of notice must I give?",
    "Where do I find the form for travel expenses?",
    "Who is responsible for the budget?",
    "What does the contract say about late delivery?",
    "When was the system last updated?",
    "How do I reset my password?",
    "What is the difference between the two versions?",
    "Which customers have not paid?",
    "Can I cancel my order?",
    "What are the opening hours on Saturday?",
    "How is the temperature measured?",
    "Why was the meeting moved?",
    "What is the maximum weight?",
    "Who wrote the report?",
    "How do I install the program?",
    "What does it cost?",
    "Hur lång är uppsägningstiden?",
    "Var hittar jag blanketten för reseräkning?",
    "Vem ansvarar för budgeten?",
    "Vad säger avtalet om försenad leverans?",
    "När uppdaterades systemet senast?",
    "Hur byter jag lösenord?",
    "Vad är skillnaden mellan de två versionerna?",
    "Vilka kunder har inte betalat?",
    "Kan jag avbeställa min order?",
    "Vilka öppettider gäller på lördag?",
    "Hur mäts temperaturen?",
    "Varför flyttades mötet?",
    "Vad är den högsta tillåtna vikten?",
    "Vem skrev rapporten?",
    "Hur installerar jag programmet?",
    "Vad kostar det?",
)

PASSAGES = (
    (
        "The board met on the third of May and approved the annual accounts. The result was better than the year before, mostly because "
        "costs for energy had fallen. The next meeting is in September."
    ),
    (
        "To change a setting, open the menu at the top of the page and choose the tab with your name. Press save when you are done. The "
        "change takes effect the next time that you sign in."
    ),
    "The pump is checked every month. Close the valve, take off the cover and look for wear on the seal. Replace it when it is cracked.",
    (
        "Customers may return goods within thirty days if they are unused. The cost of the return is borne by the customer, unless the "
        "goods were damaged when they arrived."
    ),
    "The study included two hundred patients, of whom half received the new treatment. No difference was seen after six weeks.",
    "A function takes a list of values and returns their sum. If the list is empty the result is zero; other types raise an error.",
    (
        "Styrelsen möttes den tredje maj och godkände årsredovisningen. Resultatet var bättre än året innan, främst därför att kostnaden "
        "för energi hade sjunkit. Nästa möte är i september."
    ),
    (
        "Du ändrar en inställning genom att öppna menyn högst upp på sidan och välja fliken med ditt namn. Tryck på spara när du är klar. "
        "Ändringen gäller nästa gång du loggar in."
    ),
    "Pumpen kontrolleras varje månad. Stäng ventilen, ta av locket och se efter om packningen är sliten. Byt den om den har sprickor.",
    "Kunder får lämna tillbaka oanvända varor inom trettio dagar. Kunden betalar frakten, om inte varan var skadad när den kom fram.",
    "Undersökningen omfattade tvåhundra patienter, varav hälften fick den nya behandlingen. Ingen skillnad syntes efter sex veckor.",
    "Funktionen tar en lista med värden och ger deras summa. Är listan tom blir resultatet noll; andra typer leder till ett fel.",
)
