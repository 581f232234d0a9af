"""How answers in Spanish decline, and what in them does not.

In and out: nothing; these are patterns for lower case. Spanish leaves the subject out: `no tengo información` is the
model's, `no se puede` anybody's, so the latter needs the context beside it.
"""

from __future__ import annotations

from llama_index_ft_rag.abstention.language import Language

_GIVEN_WORD = (
    r"(?:proporcionad[oa]s?|dad[oa]s?|disponibles?|suministrad[oa]s?|facilitad[oa]s?|provist[oa]s?|ofrecid[oa]s?"
    r"|presentad[oa]s?|anterior(?:es)?|actual(?:es)?|recuperad[oa]s?|aportad[oa]s?|brindad[oa]s?|entregad[oa]s?"
    r"|consultad[oa]s?|compartid[oa]s?|adjunt[oa]s?|existentes?|mostrad[oa]s?|de referencia"
    r"|que (?:me |nos |se )?(?:has|ha|han|tengo|se me ha)(?: \w+d[oa])?|encontrad[oa]s?|indexad[oa]s?)"
)
_GIVEN = rf"(?: {_GIVEN_WORD}){{0,2}}"
_SURELY_GIVEN = rf"(?: {_GIVEN_WORD}){{1,2}}"
_CONTEXT = (
    rf"(?:(?:presente |único |propio )?(?:contextos?|textos?|fragmentos?|extractos?|pasajes?"
    rf"|resultados de (?:la )?búsqueda|bases? de conocimientos?|información (?:de contexto|contextual)){_GIVEN}"
    rf"|(?:información|documentos?|fuentes?|datos|documentación|archivos?|apuntes|contenidos?|secciones|páginas)"
    rf"(?: internos?| del contexto)?{_SURELY_GIVEN})"
)
_THE = r"(?:el|la|los|las|este|esta|estos|estas|su|tu|sus|tus|ningun[oa] de (?:los|las|estos|estas))"
_THE_CONTEXT = rf"{_THE} {_CONTEXT}"
_THE_REPORT = (
    rf"(?:el|la|los|las|este|esta|estos|estas) (?:documentos?|información|informes?(?: anual(?:es)?)?|documentación"
    rf"|fuentes?|archivos?|secci(?:ón|ones)|páginas?|resultados){_GIVEN}"
)
_THE_DOCUMENT = (
    rf"(?:el|la|los|las|este|esta|estos|estas) (?:documentos?|informes?(?: anual(?:es)?)?|documentación|fuentes?)"
    rf"{_GIVEN}"
)
_IN_CONTEXT = (
    rf"(?:(?:en|dentro de|según|con|por|de|a partir de|basándome en|basado en|basada en|sobre la base de|con base en"
    rf"|en base a|de acuerdo con|mediante|desde|a través de) {_THE} {_CONTEXT}"
    rf"|(?:del|al|dentro del|a partir del|en ninguno de (?:los|las)) {_CONTEXT})"
)
_IN_DOCUMENTS = (
    rf"(?:{_IN_CONTEXT}|en (?:el|la|los|las|este|estos) (?:documentos?|documentación|fuentes?|informes?(?: anual)?"
    rf"|archivos?|apuntes)\b)"
)
_ADVERBS = (
    r"(?:(?:explícitamente|directamente|claramente|específicamente|actualmente|lamentablemente|desafortunadamente"
    r"|por tanto|sin embargo|me|nos|se|lo|la|le|te|aquí|expresamente|concretamente|exactamente|suficientemente"
    r"|realmente|también|ya|parece|parecen|precisamente|de forma explícita|de manera explícita|han sido|ha sido|son"
    r"|es|está|están) ){0,3}"
)
_NO = r"no(?! sol[oa]\b| sólo\b| solamente\b| únicamente\b)"
_SAYS = (
    r"(?:mencionan?|contienen?|proporcionan?|incluyen?|especifican?|indican?|ofrecen?|detallan?|abordan?|describen?"
    r"|explican?|dan?|dicen?|brindan?|hacen?|permiten?|responden?|tratan?|cubren?|definen?|aclaran?|precisan?"
    r"|aparecen?|figuran?|cuentan?|tienen?|presentan?|revelan?|parecen?|señalan?|establecen?|hablan?|bastan?|aportan?"
    r"|recogen?|facilitan?|suministran?|citan?|enumeran?|listan?|nombran?|refieren?|identifican?|especifica|contener"
    r"|mencionar|incluir|proporcionar|ofrecer|abordar|especificar|tener|mostrar|muestran?|consta|constan"
    r"|cuantifican?)"
)
_TELLS = (
    r"(?:mencionan?|proporcionan?|especifican?|indican?|ofrecen?|detallan?|abordan?|describen?|explican?|dan?|dicen?"
    r"|brindan?|responden?|definen?|aclaran?|precisan?|señalan?|citan?|nombran?"
    r"|contienen? (?:información|detalles|datos)|incluyen? (?:información|detalles|datos)"
    r"|hacen? (?:mención|referencia)|hablan?|permiten? (?:determinar|saber|responder)|tratan?)"
)
_INFORMATION = (
    r"(?:información|detalles?|menci(?:ón|ones)|respuestas?|referencias?(?= (?:a|sobre))|especificaciones"
    r"|datos (?=(?:sobre|suficientes|acerca|específicos|concretos|relacionados|de la|para|en))"
    r"|explicaci(?:ón|ones))\b(?! (?:privilegiada|confidencial|personal|sensible|comprometida|falsa|filtrada))"
)
_ENOUGH = (
    r"(?:(?:ningun[oa]?|ningún|suficientes?|la|el|los|las|esa|ese|esta|este|una|un|más|bastante|otr[oa]s?|dich[oa]s?"
    r"|alguna|algún|específic[oa]s?|concret[oa]s?|direct[oa]s?|explícit[oa]s?|clar[oa]s?|acceso a|adicional(?:es)?) "
    r"){0,3}"
)
_SAID = (
    r"(?:proporcionad|mencionad|especificad|indicad|disponible|detallad|incluid|descrit|encontrad|presente|explicad"
    r"|definid|dad|contenid|contemplad|abordad|recogid|señalad|explícit|clar|dich|facilitad|ofrecid|citad|determinad"
    r"|expuest|tratad|nombrad)[oa]?s?"
)
_TOLD = (
    r"(?:proporcionad|mencionad|especificad|indicad|detallad|descrit|explicad|definid|abordad|señalad|dad|citad|clar"
    r"|dich|nombrad)[oa]s?"
)
_FIND_OUT = (
    r"(?:responder|determinar|proporcionar|dar|decir|saber|confirmar|contestar|ayudar|indicar|ofrecer|identificar"
    r"|concluir|conocer|establecer|precisar|especificar|afirmar|calcular|deducir|inferir|extraer|brindar|facilitar"
    r"|encontrar|ayudarte|responderte|ayudarle|responderle|darte|darle|decirte|decirle|responderla|contestarla"
    r"|proporcionarte|proporcionarle|asistir|verificar|acceder|explicar|describir|listar|nombrar|asegurar|estimar)"
    r"(?:lo|la|los|las)?"
)
_NO_FIGURE = r"(?:[^\d$€%]|(?<!\d)(?:19|20)\d\d(?!\d)){0,300}$"
_SAYING_SUBJECT = (
    r"(?:[$€]\s?\d|\d\s?(?:%|por ciento|millones|euros|dólares|€)|\b(?:es|son|era|fue|fueron|asciende"
    r"|ascendió)\b[^,]*(?:, | y ))"
)
_SUBJECT = rf"(?!.{{0,200}}?{_SAYING_SUBJECT})[^:;]{{1,200}}?\b"
_END = r"(?: (?:anterior|proporcionad[oa]s?|aquí|de forma explícita|explícitamente|tampoco))?$"

_SOURCE = (
    r"(?:contexto|información|detalles|documentos?|documentación|textos?|pasajes?|fuentes?|fragmentos?"
    r"|secci(?:ón|ones)|informes?|sitio|web|soporte|servicio|atención|equipo|departamento|profesional(?:es)?|abogado"
    r"|médico|experto|asesor|datos|pregunta|página|archivo|manual|autoridades|especialista|recursos|oficial(?:es)?"
    r"|contrato|proveedor)"
)
_ADVISED = (
    rf"(?:.{{0,50}}?\b(?:consult(?:ar|a|e|es|en)|contact(?:ar|a|e|es|ar con)|reformul(?:ar|a|e|es)"
    rf"|dirig(?:irte|irse|ite|irte a)|diríjase|póngase en contacto|ponte en contacto|ponerse en contacto"
    rf"|acud(?:ir|a|e)|recurrir|aclar(?:ar|a|e))\b|.{{0,50}}?\b(?:verific\w+|revis\w+|leer|lea|ver|mirar"
    rf"|proporcion\w+|compart\w+|facilit\w+|dar|dame|indica\w*|indique\w*|envi\w+|envíe|busc\w+|busque|pedir|obtener"
    rf"|aport\w+|añad\w+|sub\w+|disponer|tener|hacer|referirse|remitirse)\b.{{0,80}}?\b{_SOURCE}\b)"
)

SPANISH = Language(
    cues=(
        "no ningún ninguno ninguna nada ni sin imposible insuficiente insuficientes desconozco desconocido"
        " desconocida carece carecen necesito necesitaría fuera",
        "el la los las lo de del en que se sé es un una con por puedo tengo contexto información especificado"
        " mencionado disponible imposible desconocido menciona especifica respuesta",
    ),
    breaks=(
        r",? (?:pero|aunque|salvo|excepto|aparte de|además de|a excepción de|a menos que|sino)\b",
        r", (?:sin embargo|no obstante|por lo que|por lo tanto|por tanto|mientras que|sol[oa]|sólo|únicamente|así que"
        r"|y (?:no|por)|por ende|de modo que)\b",
        r", (?=(?:no|ni) )",
    ),
    openers=(
        r"(?:lo siento(?: mucho)?|disculpa|disculpe|perdón|perdona|mis disculpas|pido disculpas|lamento)"
        r"(?:,? (?:pero|sin embargo|informarte que|informarle que|que|no poder)|,)?(?:\s+|$)",
        r"como (?:ia|asistente|modelo|inteligencia)[^,.]{0,60}(?:, |$)",
        r"(?:lamentablemente|desafortunadamente|desgraciadamente|por desgracia|por lo tanto|por tanto"
        r"|por consiguiente|así|en consecuencia|sin embargo|no obstante|además|también|en resumen|en conclusión"
        r"|actualmente|de momento|por ahora|y|pero|ya que|porque|dado que|puesto que|debido a que|como|en este caso"
        r"|por ello|por eso|entonces|tampoco|parece que)\b,?(?:\s+|$)",
        r"(?:(?:la )?(?:respuesta|conclusión)(?: final)?)\s*:\s*",
        r"(?:en cuanto a|respecto a|con respecto a|sobre|acerca de|en relación con) [^,.]{1,90}, ",
        r"(?:según|de acuerdo con) (?:[^,.]{1,80}, |(?:el|los) (?:informe|documento)s?(?: \w+)?$)",
    ),
    grounds=(r"sin (?:más|mayor|otra|información|contexto|datos|acceso)\b[^,.]{0,60}(?:,\s*|$)",),
    declining=(
        rf"{_THE_CONTEXT} {_NO} {_ADVERBS}{_SAYS}\b",
        rf"{_THE_CONTEXT} (?:carecen?|es insuficiente|son insuficientes|resulta insuficiente|está vacío"
        rf"|es irrelevante|no (?:es|son|resulta) (?:suficientes?|relevantes?|clar[oa]s?))\b",
        rf"(?:ningun[oa]|nada) (?:de|en) (?:los |las |estos |estas |el |la |este |esta )?{_CONTEXT} {_SAYS}",
        rf"{_THE_DOCUMENT} {_NO} (?:mencionan?|especifican?|responden?|hablan? de|hacen? (?:mención|referencia)"
        rf"|abordan?)\b",
        rf"{_THE_REPORT} {_NO} {_ADVERBS}(?:contienen?|proporcionan?|incluyen?|ofrecen?|dan?|brindan?|aportan?"
        rf"|tienen?) {_ENOUGH}{_INFORMATION}",
        rf"no (?:hay|existe|existen|había|consta) {_ENOUGH}{_INFORMATION}",
        rf"no se (?:encuentra|encontró|encontraron|dispone de|proporciona|ofrece|halla|ha encontrado|han encontrado"
        rf"|cuenta con|encuentran|da|brinda|incluye|hace|aporta) {_ENOUGH}{_INFORMATION}",
        rf"no se {_ADVERBS}(?:mencionan?|especifican?|indican?|detallan?|proporcionan?|ofrecen?|explican?|describen?"
        rf"|incluyen?|encuentran?|dan?|aclaran?|dicen?|puede[n]?|señalan?|abordan?|precisan?|ha mencionado|define)\b"
        rf"(?:.{{0,200}}?{_IN_CONTEXT}{_END}| {_IN_CONTEXT}\b)",
        rf"{_IN_CONTEXT} no (?:se|hay|está|existe|aparece|figura|es posible|encuentro|puedo)\b.{{1,200}}",
        r"no se (?:mencionan?|especifican?|indican?|detallan?|proporcionan?)$",
        r"(?:no lo sé|no sé|no lo s[eé]|no conozco|desconozco|lo desconozco|no tengo (?:ni )?idea|no estoy segur[oa]$"
        r"|no sabría)\b",
        rf"no (?:tengo|dispongo de|dispongo|cuento con|poseo|encuentro|encontré|he encontrado|he podido encontrar"
        rf"|pude encontrar|logré encontrar|veo|hallo|logro encontrar) {_ENOUGH}(?:{_INFORMATION}|acceso|conocimiento"
        rf"|contexto|suficientes?|cómo|la capacidad|manera|nada)",
        rf"no (?:puedo|podría|pude|soy capaz de|estoy en condiciones de|estoy en capacidad de|me es posible"
        rf"|me resulta posible|he podido|estoy autorizad[oa] a|podré) {_ADVERBS}{_FIND_OUT}\b",
        rf"no (?:podemos|es posible|fue posible|se puede|se pueden|resulta posible) {_ADVERBS}"
        rf"(?:{_FIND_OUT})\b.{{0,200}}(?:{_IN_CONTEXT}|sin (?:más|mayor|información))",
        r"no (?:es posible|se puede|resulta posible) responder\b",
        rf"(?:es |resulta )?imposible (?:responder|contestar)\b|(?:es |resulta )?imposible {_FIND_OUT}\b.{{0,200}}"
        rf"{_IN_CONTEXT}",
        rf"(?:la|esa|esta|dicha|tal|esa) (?:información|respuesta(?: a (?:esta|la|tu|su) pregunta)?|pregunta)"
        rf"(?: (?:solicitada|específica|requerida|que (?:buscas|solicitas|pides)))? no (?:está|se encuentra|figura"
        rf"|aparece|se menciona|se proporciona|consta|se incluye|se especifica|puede|fue|ha sido|se puede"
        rf"|es posible) ?{_ADVERBS}(?:(?:{_SAID} )?(?:{_IN_DOCUMENTS}){_END}|{_TOLD}$|disponible$"
        rf"|(?:ser )?(?:respondida|contestada|responderse|responder|contestar|determinada)\b)",
        rf"la respuesta (?:es|sigue siendo) (?:desconocida|incierta)(?: {_IN_CONTEXT})?$",
        rf"(?:no |in)(?:{_SAID}|conocid[oa]|determinad[oa]|se sabe)(?: {_IN_DOCUMENTS})?{_END}",
        rf"(?:desconocid[oa]|sin (?:información|respuesta|datos)(?: disponibles?| suficientes?)?"
        rf"|información (?:no disponible|insuficiente|no encontrada|no proporcionada)|ninguna información"
        rf"|datos insuficientes)(?: {_IN_DOCUMENTS})?{_END}",
        r"(?:información|contexto|datos) insuficientes? (?:para|en|sobre)\b[^,:;\d]{1,120}$",
        rf"{_SUBJECT}no (?:está|están|se|aparecen?|figuran?|es|son|ha sido|han sido|queda|constan?|viene|vienen) "
        rf"{_ADVERBS}(?:(?:mencionan?|encuentran?|especifican?|indican?|detallan?|proporcionan?|incluyen?|explican?"
        rf"|describen?|puede[n]? (?:determinar|encontrar|deducir)|abordan?) ?)?{_ADVERBS}(?:{_SAID} )?"
        rf"(?:(?:ni|o) {_SAID} )?{_IN_CONTEXT}{_END}",
        r"(?:esto|esta pregunta|tu pregunta|su pregunta|la pregunta) (?:está fuera|queda fuera|no está relacionada"
        r"|excede)\b",
        r"necesit(?:o|aría) (?:más|mayor|información adicional)\b.{1,100}\bpara (?:responder|poder|determinar"
        r"|contestar)\b",
        rf"(?:ningún|ninguna) (?:dato|detalle|información|mención|referencia) "
        rf"(?:sobre|acerca|de|a)\b[^,:;\d]{{1,120}}(?:en|del) {_THE}? ?{_CONTEXT}{_END}",
    ),
    supporting=(
        rf"(?:él|ella|este|esta|ello|estos|también|tampoco)? ?{_NO} {_ADVERBS}{_TELLS}\b",
        rf"no (?:es posible|se puede|se pueden|podemos|está claro|queda claro"
        rf"|hay (?:datos|indicaci\w+|referencias?|menci\w+|evidencia)) ?(?:{_FIND_OUT}|si|qué|cuál|quién|cuánto|cómo"
        rf"|de|sobre)\b",
        r"(?:ni|no) (?:cómo|dónde|cuándo|quién|qué|cuál|con|el|la|los|las|sobre|a)\b[^:;\d]{1,160}$",
        rf"(?!.{{0,120}}\b(?:si|cuando)\b)[^,:;\d€$]{{1,120}} no (?:está|están|se|ha sido|han sido) {_ADVERBS}"
        rf"(?:{_TOLD}|mencionan?|especifican?|indican?|detallan?|proporcionan?)(?: {_IN_DOCUMENTS})?$",
        rf"(?:es|resulta|sería) (?:imposible|difícil) {_FIND_OUT}\b",
        r"(?:una|la) (?:respuesta|conclusión) [^,:;]{0,40}no (?:es|puede|se)\b",
    ),
    framing=(
        rf"{_IN_CONTEXT}$",
        rf"(?:{_THE_CONTEXT}|{_THE_REPORT}|este|esta|estos|únicamente|solo|sólo) "
        rf"(?:(?:tratan?|se centran?|se enfocan?|se refieren?|hacen? referencia|hablan?|se limitan?|cubren?|abordan?"
        rf"|versan?|se relacionan?|están? (?:centrad|relacionad|enfocad)\w+)\b"
        rf"|(?:sol[oa]|sólo|únicamente|solamente|principalmente|más bien|simplemente|exclusivamente|se) "
        rf"(?:{_SAYS}|trata|centra|enfoca|refiere)\b|{_SAYS} (?:sol[oa]mente|sólo|solo|únicamente|principalmente"
        rf"|exclusivamente)\b)(?! que\b){_NO_FIGURE}",
        rf"se (?:centran?|enfocan?|limitan?|refieren?) (?:a|en) {_NO_FIGURE}",
    ),
    introducing=(
        rf"(?:si bien |aunque |a pesar de que |aun cuando )?(?:{_THE_CONTEXT}|{_THE_REPORT}) (?:{_SAYS}|describe)\b"
        rf"(?! que\b){_NO_FIGURE}",
    ),
    accompanying=(
        rf"(?:por favor|te (?:recomiendo|sugiero|aconsejo)|le (?:recomiendo|sugiero|aconsejo)"
        rf"|(?:recomiendo|sugiero|se recomienda|se sugiere|recomendaría|sugeriría)"
        rf"|(?:puede|puedes|podría|podrías|debería|deberías|deberá|tendrías que|podrías|quizás|quizá)"
        rf"|(?:es|sería) (?:recomendable|aconsejable|necesario|mejor|útil|conveniente|preciso)"
        rf"|para [^:]{{3,120}},? (?:por favor|te|le|sería|es|se|necesitaría|puede|puedes|consulte|consulta|debería"
        rf"|habría|recomiendo)|se (?:necesita|necesitaría|requiere|requeriría)n?)\b{_ADVISED}",
        rf"(?:consulte|consulta|contacte|contacta|revise|revisa|póngase|diríjase|verifique|verifica|proporciona"
        rf"|proporcione|visite|visita)\b.{{0,80}}\b{_SOURCE}\b",
        r"si (?:tienes|tiene|puedes|puede|deseas|desea|me|necesitas|necesita|proporcionas|proporciona|cuentas|quieres"
        r"|quiere|dispone|dispones|compartes)\b.{1,140}\b(?:puedo|podré|podría|estaré|estaría|con gusto|encantad"
        r"|no dudes|no dude|por favor|házmelo|hágamelo)",
        r"(?:puedo|podré|podría|estaré|estaría) .{0,80}\b(?:si|encantad|con gusto|ayudar)",
        r"(?:¿|quieres|desea|deseas|te gustaría|hay algo|puedes|podrías)\b.{0,120}(?:\?|más|otra|ayudar|información"
        r"|contexto|documento)",
        r"(?:no dudes|no dude|gracias|espero|un saludo|saludos)\b[^\d]{0,120}$",
        r"(?:más|mayor) (?:información|contexto|detalles)(?: adicional(?:es)?)?\b[^\d]{0,120}$",
        r"(?:se )?(?:necesito|necesitaría|requiero|necesita|requiere|necesitarían) (?:más|mayor|información|contexto"
        r"|datos|detalles)\b",
        r"para (?:responder|obtener|más|conocer|determinar|saber|poder|una respuesta|información)\b.{1,120}\b"
        r"(?:necesari|necesit|consult|contact|recomiend|requier|revis|visit|acud|diríjase)\w*",
        r"(?:fuentes?|referencias?)(?:\s*:.{0,120})?$",
    ),
    saying=(
        r", (?:lo que|lo cual) (?:significa|implica|indica|sugiere|quiere decir)",
        r", (?:indica|señala|dice|menciona|era|fue|asciende|establece|exige|requiere|afirma)\b",
        r", (?:el|la|los|las|su|sus|un|una) [^,]{1,60}? (?:es|son|era|eran|fue|fueron|asciende|ascendió)\b[^,]{0,40}?"
        r"(?:[$€]|\d)",
        r"\bmás allá de (?:que|indicar|mencionar|señalar)\b",
    ),
)
