"""How answers in German decline, and what in them does not.

In and out: nothing; these are patterns for lower case. The verb stands before what it denies and often at the end, so
most patterns allow a few words between the context, the verb and the denial; they allow no comma and no figure there.
"""

from __future__ import annotations

from llama_index_ft_rag.abstention.language import Language

_GIVEN_STEM = (
    r"(?:bereitgestellt|vorliegend|gegeben|angegeben|verfügbar|vorhanden|genannt|obig|vorgelegt|übermittelt"
    r"|hochgeladen|abgerufen|gefunden|mitgeliefert|mitgegeben|zur verfügung (?:gestellt|stehend)|dargestellt"
    r"|aufgeführt|gelieferten?|zitiert|durchsucht|referenziert|beigefügt|aktuell|gesamt|kurz|relevant|hier|mir|ihnen"
    r"|bisherig|indexiert)"
)
_GIVEN = rf"(?:{_GIVEN_STEM}(?:e[nrsm]?)? ){{0,3}}"
_SURELY_GIVEN = rf"(?:{_GIVEN_STEM}(?:e[nrsm]?)? ){{1,3}}"
_CONTEXT = (
    r"(?:kontext(?:e?s|e|en)?|kontextinformation(?:en)?|text(?:e?s|en?)?|textausschnitte?n?s?"
    r"|textausz(?:ug|ugs|üge|ügen)|textabschnitte?n?s?|textpassagen?|textstellen?|ausz(?:ug|ugs|üge|ügen)"
    r"|ausschnitte?n?s?|passagen?|suchergebnissen?|wissensdatenbank|wissensbasis|quelltexte?n?s?|fragmente?n?s?)"
)
_PAPERS = (
    r"(?:information(?:en)?|dokumente?n?s?|unterlagen|quellen?|daten|materiali?en|texte?n?|inhalte?n?s?|dateie?n?"
    r"|angaben|artikeln?s?|abschnitte?n?s?|seiten?)"
)
_AFTER = r"(?: (?:oben|selbst|allein|hier|von ihnen|, die mir vorliegen))?"
_NOUN = rf"(?:{_GIVEN}{_CONTEXT}|{_SURELY_GIVEN}{_PAPERS}){_AFTER}"
_THE_CONTEXT = rf"(?:(?:der|die|das|dieser|diese|dieses|ihre?|deine?) {_NOUN})"
_THE_REPORT = (
    rf"(?:(?:der|die|das|dieser|diese|dieses) {_GIVEN}(?:{_PAPERS}|bericht|geschäftsbericht|jahresbericht"
    rf"|dokumentation|handbuch|protokoll|artikel|abschnitt))"
)
_WITH_DOCUMENTS = (
    rf"(?:{_NOUN}|{_GIVEN}(?:dokumente?n?s?|unterlagen|quellen|texten|bericht(?:s|es)?|geschäftsbericht(?:s|es)?))"
)
_IN_CONTEXT = (
    rf"(?:(?:im|in (?:dem|den|der|diesem|diesen|dieser|ihrem|ihren|keinem der|keiner der)"
    rf"|aus (?:dem|den|der|diesem|diesen|dieser)|anhand (?:des|der|dieses|dieser|von)"
    rf"|mit ?(?:hilfe|tels)? (?:des|dem|den|der|diesem)|auf (?:der )?(?:basis|grundlage) "
    rf"(?:des|der|dieses|dieser|von)|(?:basierend|gestützt) auf (?:dem|den|der|diesem|diesen)|laut (?:dem|den|der)?"
    rf"|gemäß (?:dem|den|der)|nach (?:dem|den)|innerhalb (?:des|der)|durch (?:den|die|das)|aufgrund (?:des|der)"
    rf"|von (?:dem|den|der)|vom) ?(?:mir |ihnen )?{_WITH_DOCUMENTS}|(?:darin|daraus|dort|hier))"
)
_GAP = r"[^,;:\d$€]{0,70}?"
_NEGATED = (
    r"(?:kein(?:e[nrsm]?|erlei)?|nicht(?! (?:nur|lediglich|zuletzt|allein|alle|immer|mehr)\b)|nichts|weder|keinerlei"
    r"|nirgends)\b"
)
_INFORMATION = (
    r"(?:information(?:en)?|angaben?|details?|erwähnung(?:en)?|auskunft|auskünfte|antwort(?:en)?|erklärung(?:en)?"
    r"|aussagen?|einzelheiten|hintergrundinformationen|anhaltspunkte?|kenntnis(?:se)?)\b(?!ssicherheit)"
)
_NO_INFORMATION = (
    rf"(?:kein(?:e[nrsm]?|erlei)?|nicht (?:genügend|genug|ausreichend(?:e[nr]?)?)|unzureichende|zu wenig|zu wenige) "
    rf"(?:(?:(?:ausreichend|hinreichend|weiter|weitergehend|konkret|genau|direkt|explizit|spezifisch|näher|relevant"
    rf"|ausdrücklich|entsprechend|zusätzlich|detailliert|eindeutig|klar|passend|verlässlich|einschlägig|nützlich"
    rf"|gesichert|vollständig)e[nrsm]?|genügend|ausreichend|genug) ){{0,3}}{_INFORMATION}"
)
_SAYS = (
    r"(?:enthält|enthalten|liefer[nt]|biete[nt]|gibt|geben|mach(?:en|t)|nenn(?:en|t)|erwähn(?:en|t)|beschreib(?:en|t)"
    r"|spezifizier(?:en|t)|erklär(?:en|t)|erläuter[nt]|behandel[nt]|geht|gehen|sag(?:en|t)|äußer[nt]|führ(?:en|t)"
    r"|liste[nt]|definier(?:en|t)|beantworte[nt]|thematisier(?:en|t)|bezieh(?:en|t)|besag(?:en|t)|reich(?:en|t)"
    r"|lass(?:en)?|lässt|erlaub(?:en|t)|ermöglich(?:en|t)|umfass(?:en|t)|deck(?:en|t)|verrät|präzisier(?:en|t)"
    r"|beinhalte[nt]|quantifizier(?:en|t)|weis(?:en|t)|zeig(?:en|t)|leg(?:en|t)|stell(?:en|t)|bezeichne[nt]"
    r"|konkretisier(?:en|t)|informier(?:en|t)|hab(?:en)?|hat|scheint|scheinen|genüg(?:en|t)|benenn(?:en|t)"
    r"|befass(?:en|t)|berühr(?:en|t))"
)
_SAID = (
    r"(?:erwähnt|genannt|angegeben|enthalten|beschrieben|spezifiziert|erläutert|behandelt|aufgeführt|thematisiert"
    r"|gefunden|ersichtlich|vorhanden|verfügbar|definiert|angeführt|beantwortet|erklärt|konkretisiert|dargelegt"
    r"|aufgelistet|präzisiert|beantwortbar|zu (?:finden|entnehmen|beantworten|erkennen|ermitteln)|entnehmen"
    r"|beantworten|ableiten|bestimmen|feststellen|ermitteln|hervor|abgedeckt|bereitgestellt|festgelegt"
    r"|näher (?:erläutert|ausgeführt)|besprochen|geklärt|benannt|offengelegt|angesprochen|diskutiert|belegt|gegeben"
    r"|bekannt|klar|eindeutig|möglich|sagen|beurteilen|herauslesen|schließen|bestimmt|angesprochen|explizit|vor)"
)
_TOLD = (
    r"(?:erwähnt|genannt|angegeben|spezifiziert|beschrieben|erläutert|aufgeführt|behandelt|thematisiert|definiert"
    r"|klar|konkretisiert|präzisiert|dargelegt|ersichtlich|hervor|beantwortet|näher ausgeführt|besprochen"
    r"|angesprochen|benannt)"
)
_TELLS = (
    r"(?:nenn(?:en|t)|erwähn(?:en|t)|beschreib(?:en|t)|spezifizier(?:en|t)|erklär(?:en|t)|erläuter[nt]|behandel[nt]"
    r"|sag(?:en|t)|thematisier(?:en|t)|beantworte[nt]|definier(?:en|t)|präzisier(?:en|t)|konkretisier(?:en|t)"
    r"|benenn(?:en|t))"
)
_PRONOUN = r"(?:es|er|sie|diese[rs]?|das|dies|darin|dort|hier|dabei|darüber|dazu)"
_FIND_OUT = (
    r"(?:beantworten|bestimmen|feststellen|ermitteln|sagen|wissen|ableiten|entnehmen|beurteilen|bestätigen|nennen"
    r"|geben|angeben|finden|erkennen|einschätzen|mitteilen|helfen|weiterhelfen|machen|treffen|erteilen|beziffern"
    r"|identifizieren|klären|zuordnen|berechnen|benennen|liefern|bereitstellen|herauslesen|auflisten|erläutern"
    r"|erklären|schließen|unterstützen|antworten|beantwortbar|zu (?:beantworten|bestimmen|ermitteln|sagen))"
)
_TO_FIND_OUT = (
    r"(?:zu (?:beantworten|bestimmen|ermitteln|sagen|nennen|geben|identifizieren|klären|beurteilen|machen|treffen)"
    r"|festzustellen|abzuleiten|anzugeben)"
)
_QUESTION = (
    r"(?:(?:diese|die|ihre|deine|eine|auf (?:diese|die|ihre|deine)) (?:gestellte |konkrete )?"
    r"(?:frage|antwort|anfrage))"
)
_ADVERBS = (
    r"(?:(?:leider|daher|somit|allerdings|jedoch|deshalb|folglich|also|aber|dementsprechend|demnach|auch|explizit"
    r"|ausdrücklich|konkret|direkt|genau|eindeutig|näher|weiter|derzeit|aktuell) ){0,3}"
)
_NO_FIGURE = r"(?:[^\d$€%]|(?<!\d)(?:19|20)\d\d(?!\d)){0,300}$"
_SAYING_SUBJECT = (
    r"(?:[$€]\s?\d|\d\s?(?:%|prozent|millionen|mio|milliarden|euro|€)|\b(?:ist|sind|war|waren|hat|haben|beträgt"
    r"|betrug)\b[^,]*(?:, | und ))"
)
_SUBJECT = rf"(?!.{{0,200}}?{_SAYING_SUBJECT})[^,;:]{{1,200}}?\b"

_SOURCE = (
    r"(?:kontext|information(?:en)?|details?|dokument\w*|unterlagen|quellen?|text\w*|ausz[uü]g\w*|bericht\w*"
    r"|geschäftsbericht\w*|website|webseite|seite\w*|support|kundendienst|kundenservice|abteilung|fach\w+|anwalt|arzt"
    r"|experte\w*|stelle\w*|anbieter|daten|angaben|frage|abschnitt\w*|handbuch|originaldokument|material\w*|hr"
    r"|personalabteilung|ansprechpartner\w*|berater\w*)"
)
_ADVISED = (
    rf"(?:.{{0,90}}\b(?:konsultier\w+|wenden|kontaktier\w+|präzisier\w+|umformulier\w+|heranz\w+|hinzuz\w+|zu rate)\b"
    rf"|.{{0,60}}\b{_SOURCE}\b.{{0,60}}\b(?:prüfen|überprüfen|lesen|schauen|sehen|einsehen|nachschlagen|nachsehen"
    rf"|nachlesen|bereitstellen|stellen|geben|nennen|teilen|senden|hochladen|mitteilen|zu prüfen|ein|nach"
    rf"|zur verfügung|mit|fragen|hinzuzufügen|zu suchen|suchen|zu geben|zu stellen|bereit)\b"
    rf"|.{{0,30}}\b(?:prüfen|überprüfen|lesen|schauen|sehen|stellen|geben|nennen|teilen|senden|laden|fragen|suchen"
    rf"|wenden)\b.{{0,80}}\b{_SOURCE}\b)"
)

GERMAN = Language(
    cues=(
        "nicht nichts kein keine keinen keiner keines keinem keinerlei weder unbekannt unklar unmöglich"
        " unzureichend unzureichende außerhalb nirgends wenig wenige fehlen fehlt unvollständig irrelevant"
        " ohne benötige bräuchte k.a leer",
    ),
    breaks=(
        r",? (?:sondern|außer|abgesehen von|mit ausnahme)\b",
        r", (?:aber|jedoch|allerdings|obwohl|während|doch|wobei|daher|deshalb|sodass|so dass|weshalb|lediglich|nur"
        r"|somit|und daher|und (?:ich|es|der|die|das|somit|folglich|deshalb|kann|enthält))\b",
        r", (?=(?:enthält|enthalten|nennt|nennen|erwähnt|gibt|liefert|macht|führt|geht|kann|lässt|sagt|wird|ist)\b)",
    ),
    openers=(
        r"(?:es tut mir (?:sehr )?leid|tut mir leid|entschuldigung|ich bedauere?|verzeihung"
        r"|ich bitte um entschuldigung|bedauerlicherweise)(?:,? (?:aber|jedoch|dass|allerdings)|,)?(?:\s+|$)",
        r"(?:leider|daher|somit|folglich|deshalb|dementsprechend|demnach|also|allerdings|jedoch|aber|und|zudem"
        r"|außerdem|auch|insgesamt|zusammenfassend|derzeit|aktuell|deswegen|entsprechend|ebenso|konkret|nein, denn"
        r"|denn|weil|da)\b,?(?:\s+|$)",
        r"(?:(?:die )?(?:finale |kurze )?(?:antwort|ergebnis|fazit))\s*:\s*",
    ),
    grounds=(),
    declining=(
        rf"{_THE_CONTEXT} {_SAYS}\b{_GAP}\b{_NEGATED}",
        rf"{_THE_CONTEXT} (?:ist|sind|scheint|scheinen)\b{_GAP}\b(?:nicht (?:ausreichend|relevant|hinreichend"
        rf"|vollständig|zu entnehmen)|unzureichend|unvollständig|irrelevant|leer)\b",
        rf"(?:dem|den|diesem|diesen|der) {_NOUN} (?:ist|sind|lässt sich|lassen sich|kann|können)\b{_GAP}\b{_NEGATED}"
        rf"{_GAP}\bentnehmen",
        rf"{_THE_REPORT} {_SAYS}\b{_GAP}\b{_NO_INFORMATION}",
        rf"{_THE_REPORT} (?:erwähn(?:en|t)|nenn(?:en|t)|geht|gehen|beantworte[nt])\b{_GAP}\bnicht"
        rf"(?: (?:ein|explizit|ausdrücklich|konkret))?$",
        rf"{_SAYS} {_THE_CONTEXT}\b{_GAP}\b{_NEGATED}",
        rf"(?:keine[rs]?|nichts) (?:der|dieser|in den|in diesen|im|aus den) {_NOUN} "
        rf"(?:enthält|erwähnt|nennt|beantwortet|liefert|gibt|deutet|weist)\b",
        rf"{_IN_CONTEXT} (?:wird|werden|ist|sind|gibt es|gibt|finde[nt]?(?: sich)?|liegen|liegt|steht|stehen"
        rf"|lass\w+(?: sich)?|lässt(?: sich)?|kann|können|geht|gehen|fehlen|fehlt|konnte|konnten|wurde|wurden"
        rf"|kann ich|konnte ich|finde ich|habe ich|werden keine)\b{_GAP}\b(?:{_NO_INFORMATION}"
        rf"|{_NEGATED}{_GAP}\b(?:{_SAID}|{_FIND_OUT}|{_TO_FIND_OUT}))\b",
        rf"{_IN_CONTEXT} (?:fehlt|fehlen)\b",
        rf"(?:es|hier|dazu|hierzu|darüber|diesbezüglich|mir|uns|zu [^,;:]{{1,90}}?|über [^,;:]{{1,90}}?"
        rf"|bezüglich [^,;:]{{1,90}}?|hinsichtlich [^,;:]{{1,90}}?) (?:gibt(?: es)?|liegen(?: mir)?|liegt(?: mir)?"
        rf"|sind|ist|finden sich|findet sich|existieren|stehen(?: mir)?|habe ich|konnte ich|kann ich|enthält"
        rf"|enthalten|macht|machen|fehlen(?: mir)?)\b{_GAP}\b(?:{_NO_INFORMATION}"
        rf"|(?<=fehlen )(?:die )?{_INFORMATION})",
        rf"(?:liegen|gibt es|finden sich|stehen|habe ich|konnte ich|kann ich|fehlen mir|liegt) {_GAP}\b"
        rf"{_NO_INFORMATION}",
        rf"(?:es|das|dies) (?:ist|wird|lässt sich|geht|kann) {_ADVERBS}{_IN_CONTEXT} {_GAP}\bnicht {_ADVERBS}{_SAID}",
        rf"nicht {_IN_CONTEXT}(?: {_SAID})?$",
        rf"(?:es|dazu|hierzu|darüber) (?:werden|wird|wurden|wurde) {_GAP}\b{_NO_INFORMATION}{_GAP} "
        rf"(?:gefunden|gegeben|gemacht|genannt|bereitgestellt|geliefert|erwähnt)$",
        rf"{_QUESTION} (?:kann|lässt sich|ist|konnte|kann ich|wird|wurde)\b{_GAP}\b(?:nicht|unbeantwortet)\b{_GAP}"
        rf"(?:beantwort\w+|{_SAID} ?$)",
        rf"(?:diese|die|solche|die gesuchte|die gewünschte|die angefragte|die gefragte|eine solche|entsprechende"
        rf"|die genaue|weitere) (?:information(?:en)?|angaben?|antwort(?: auf [a-zäöüß ]{{3,30}})?|auskunft|daten"
        rf"|details) (?:ist|sind|wird|werden|geht|gehen|liegt|liegen|lässt sich|steht|stehen|findet sich"
        rf"|finden sich)\b{_GAP}\b{_NEGATED}{_GAP}\b{_SAID}(?: {_IN_CONTEXT})?$",
        rf"ich (?:kann|konnte|könnte)\b{_GAP}\b(?:nicht|keine[nrs]?)\b{_GAP}\b{_FIND_OUT}",
        rf"(?:das|es|dies) weiß ich {_ADVERBS}nicht$",
        rf"(?:ich )?weiß (?:ich )?(?:es |das |dies |die antwort |darauf |darüber )?{_ADVERBS}"
        rf"(?:nicht|nichts|keine antwort)\b",
        rf"kann ich\b{_GAP}\b(?:nicht|keine[nrs]?)\b{_GAP}\b{_FIND_OUT}",
        rf"(?:ich (?:habe|finde|fand|sehe|besitze|verfüge über|verfüge)|habe ich|finde ich|verfüge ich(?: über)?"
        rf"|sehe ich)\b{_GAP}\b(?:{_NO_INFORMATION}|keinen (?:zugriff|zugang) (?:auf|zu) (?:diese|die|solche) "
        rf"(?:information|daten|dokument|unterlagen)|keine ahnung|keine kenntnis|keine erwähnung"
        rf"|nichts (?:zu|über|dazu)|nicht die (?:information\w*|daten)|keine daten)",
        rf"ich bin\b{_GAP}\bnicht (?:in der lage|sicher$|imstande|befugt)",
        r"(?:das|dies|diese frage|ihre frage|die frage) (?:liegt|ist|fällt) (?:leider )?außerhalb "
        r"(?:meine[rs]|des|der|von) ",
        rf"(?:die |eine )?(?:antwort|frage) (?:ist|bleibt|kann) {_GAP}(?:nicht (?:bekannt|möglich|gegeben|enthalten"
        rf"|beantwortbar|zu finden)|unbekannt|unklar)(?: {_IN_CONTEXT})?$",
        rf"(?:(?:leider )?nicht (?:angegeben|bekannt|erwähnt|spezifiziert|verfügbar|enthalten|genannt|vorhanden"
        rf"|bestimmbar|beantwortbar|ersichtlich|möglich zu sagen)|unbekannt|keine "
        rf"(?:angaben?|antwort|information(?:en)?|ahnung|auskunft)(?: (?:verfügbar|vorhanden|möglich|gefunden|dazu))?"
        rf"|k\.? ?a|weiß nicht|unklar)(?: {_IN_CONTEXT})?$",
        rf"{_SUBJECT}(?:wird|werden|wurde|wurden|ist|sind|geht|gehen|lässt sich|lassen sich|kann|können|findet sich"
        rf"|finden sich|steht|stehen)\b{_GAP}\b{_IN_CONTEXT}{_GAP}\b{_NEGATED}{_GAP}\b{_SAID}(?: werden| worden)?$",
        rf"{_SUBJECT}(?:wird|werden|wurde|wurden|ist|sind|geht|gehen|lässt sich|lassen sich|kann|können)\b"
        rf"{_GAP}\bnicht {_ADVERBS}(?:{_SAID} )?{_IN_CONTEXT}(?: {_SAID})?(?: werden| worden)?$",
        rf"ich (?:benötige|bräuchte|brauche) (?:weitere|mehr|zusätzliche|nähere)\b.{{1,60}}um .{{0,60}}{_TO_FIND_OUT}",
        rf"ohne (?:weitere|zusätzliche|nähere|mehr)\b[^,;:]{{1,60}} (?:kann ich|lässt sich|ist es)\b{_GAP}\b"
        rf"(?:nicht|unmöglich)\b",
        rf"unzureichende {_INFORMATION}|(?:zu wenige?|nicht genügend|nicht genug|nicht ausreichend) {_INFORMATION}",
    ),
    supporting=(
        rf"(?:{_PRONOUN} )?(?:{_SAYS} {_GAP}{_NO_INFORMATION}|{_TELLS}\b{_GAP}\b{_NEGATED}|geht {_GAP}nicht (?:\w+ )?"
        rf"(?:ein|hervor)$)",
        rf"[^,;:\d$€]{{1,90}} (?:wird|werden|wurde|wurden|ist|sind|bleibt|bleiben)\b{_GAP}\b"
        rf"(?:nicht {_ADVERBS}{_TOLD}|unklar)$",
        rf"(?:es ist|ist es) {_GAP}(?:nicht möglich|unmöglich|unklar|nicht klar),? {_GAP}"
        rf"(?:ob|wie|was|wer|wann|{_TO_FIND_OUT})",
        rf"eine (?:genaue |präzise |konkrete |eindeutige )?(?:antwort|aussage) (?:ist|wäre|kann|lässt sich)\b"
        rf"{_GAP}\bnicht\b",
    ),
    framing=(
        rf"(?:{_THE_CONTEXT}|{_THE_REPORT}|es|er|sie|darin|dort|diese[rs]?) (?:(?:behandel[nt]|bezieh(?:en|t) sich"
        rf"|konzentrier(?:en|t) sich|befass(?:en|t) sich|handel[nt]|dreh(?:en|t) sich|beschränk(?:en|t) sich"
        rf"|fokussier(?:en|t) sich|betreffen|betrifft|deck(?:en|t))\b|{_SAYS} {_GAP}(?:nur|lediglich|ausschließlich"
        rf"|hauptsächlich|vorwiegend|vor allem|stattdessen|primär|in erster linie|allgemein)\b)(?! dass){_NO_FIGURE}",
        rf"{_IN_CONTEXT} (?:wird|werden|geht es|finden sich|gibt es|ist|sind) {_GAP}(?:nur|lediglich|ausschließlich"
        rf"|hauptsächlich|vor allem|stattdessen)\b{_NO_FIGURE}",
    ),
    introducing=(
        rf"(?:obwohl|während|auch wenn|wenngleich) (?:{_THE_CONTEXT}|{_THE_REPORT}|es|er|in [^,]{{1,40}})\b"
        rf"{_NO_FIGURE}",
        rf"(?:zwar )?(?:{_THE_CONTEXT}|{_THE_REPORT}|zwar {_SAYS}) ?(?:{_SAYS}|spricht|sprechen|beschreib(?:en|t))\b"
        rf"(?! dass){_NO_FIGURE}",
    ),
    accompanying=(
        rf"(?:bitte|ich (?:empfehle|rate|schlage vor|würde (?:empfehlen|vorschlagen|raten))|wir empfehlen"
        rf"|sie (?:können|sollten|könnten|müssten|müssen)|du (?:kannst|solltest|könntest)"
        rf"|es (?:ist|wäre|empfiehlt sich)(?: ratsam| empfehlenswert| sinnvoll| hilfreich| notwendig| besser| nötig)?"
        rf"|für [^,:]{{3,80}} (?:empfehle ich|empfiehlt es sich|sollten sie|wenden sie sich|konsultieren sie|siehe"
        rf"|können sie|müsste|wäre)|um [^:]{{3,120}} (?:empfehle ich|sollten sie|müsste(?:n)?|wäre(?:n)?|wären|sind"
        rf"|ist|werden|wird|benötige ich|bräuchte ich|können sie|konsultieren sie))\b{_ADVISED}",
        rf"(?:wenden|konsultieren|prüfen|kontaktieren|sehen|schauen|fragen|überprüfen) sie\b.{{0,100}}"
        rf"(?:{_SOURCE}|an)\b",
        r"(?:ich|wir) (?:benötige|bräuchte|brauche|helfe|entschuldige|bedauere|stehe|freue)\b",
        r"(?:dafür|hierfür|dazu) (?:wären|sind|werden|wäre|benötige ich|bräuchte ich|müssten|müsste)\b.{0,40}\b"
        r"(?:information(?:en)?|angaben|kontext|details)\b",
        r"(?:weitere|zusätzliche|nähere|detailliertere|mehr|genauere) (?:information(?:en)?|angaben|details|kontext"
        r"|daten)\b[^\d$€%]{0,140}$",
        r"(?:wenn|falls|sofern|sobald|sollten?) (?:sie|du|ihr|weitere|es|mir)\b.{1,140}\b"
        r"(?:(?:kann|helfe|könnte|werde|beantworte) ich|ich (?:kann|helfe)|gerne?|lassen sie es mich"
        r"|teilen sie (?:sie )?mir|bitte mit)\b",
        r"(?:möchten|können|könnten|haben|kannst|hast|soll|kann|darf|gibt es) (?:sie|du|ich)?\b.{0,80}\b"
        r"(?:weitere|mehr (?:kontext|information)|zusätzliche|andere|anderes|bereitstellen|weiterhelfen|helfen)\b",
        r"(?:gerne?|vielen dank|danke|ich hoffe|lassen sie (?:es )?(?:mich|uns) (?:es )?wissen|lass mich"
        r"|zögern sie)\b",
        r"um [^:]{3,140} zu (?:beantworten|erhalten|bestimmen|ermitteln|bekommen|geben|können),? "
        r"(?:wären|sind|werden|wird|wäre|ist|benötige|bräuchte|müsste|müssten|sollten|empfehle|benötigt|konsultieren"
        r"|wenden)\b",
        r"(?:quellen?|referenzen?|belege)(?:\s*:.{0,120})?$",
    ),
    saying=(
        r", (?:was|woraus) (?:darauf hindeutet|bedeutet|heißt|nahelegt|impliziert|sich ergibt)",
        r", (?:er|sie|es) (?:sagt|besagt|nennt|erwähnt|gibt|verlangt|beträgt|war|waren|schreibt|verweist)\b"
        r"(?!.{0,60}\b(?:nicht|kein))",
        r", (?:der|die|das|ein|eine|sein|ihr) [^,]{1,60}? (?:beträgt|betrug|betrugen|betragen|liegt bei|lag bei|ist"
        r"|sind|war|waren) [^,]{0,40}?(?:[$€]|\d)",
        r", (?:wir|unser|das unternehmen|die gesellschaft)\b",
    ),
)
