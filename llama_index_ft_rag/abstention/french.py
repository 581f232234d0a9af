"""How answers in French decline, and what in them does not.

In and out: nothing; these are patterns for lower case with straight apostrophes. The denial surrounds the verb
(`ne ... pas`, `n'... aucune`); what was given stands after its noun (`le contexte fourni`).
"""

from __future__ import annotations

from llama_index_ft_rag.abstention.language import Language

_GIVEN_WORD = (
    r"(?:fourni(?:e|s|es)?|donnée?s?|disponibles?|transmis(?:e|es)?|présentée?s?|communiquée?s?|ci-dessus"
    r"|ci-joint(?:e|s|es)?|partagée?s?|actuel(?:le|s|les)?|récupérée?s?|consultée?s?|existant(?:e|s|es)?|accessibles?"
    r"|mis(?:e|es)? à (?:ma |notre )?disposition|en ma possession|dont je dispose|proposée?s?|joint(?:e|s|es)?"
    r"|retrouvée?s?|indexée?s?|à ma disposition|soumis(?:e|es)?|que (?:vous|tu) (?:avez|as|m'avez) "
    r"(?:fournie?s?|partagée?s?|donnée?s?|transmise?s?))"
)
_GIVEN = rf"(?: {_GIVEN_WORD}){{0,2}}"
_SURELY_GIVEN = rf"(?: {_GIVEN_WORD}){{1,2}}"
_CONTEXT = (
    rf"(?:(?:présent |seul |seuls |différents |informations du )?(?:contextes?|textes?|extraits?|passages?|fragments?"
    rf"|résultats (?:de la |de )?recherche|informations contextuelles|informations de contexte|base de connaissances)"
    rf"{_GIVEN}|(?:informations?|documents?|sources?|éléments?|données|documentation|fichiers?|contenus?|articles?"
    rf"|pages?|sections?)(?: (?:internes?|de contexte|contextuelles))?{_SURELY_GIVEN})"
)
_THE = r"(?:le |la |les |l'|ce |cet |cette |ces |votre |vos |aucun des |aucune des |aucun de ces |l'ensemble des )"
_THE_CONTEXT = rf"{_THE}{_CONTEXT}"
_THE_REPORT = (
    rf"(?:le |la |les |l'|ce |cet |cette |ces )(?:documents?|informations?|rapports?(?: annuels?)?|documentation"
    rf"|sources?|fichiers?|articles?|sections?|pages?|résultats){_GIVEN}"
)
_IN_CONTEXT = (
    rf"(?:(?:dans|par|selon|avec|sur|d'après) {_THE}|(?:à partir |sur la base |au vu |à la lecture |au sein "
    rf"|à l'aide |compte tenu |en fonction )(?:du |des |de la |de l'|de ce |de cet |de cette |de ces )"
    rf"|en se basant sur {_THE}|(?:basée?s?|fondée?s?) sur {_THE}|au |aux |du |des |de ces |de ce ){_CONTEXT}"
)
_IN_DOCUMENTS = (
    rf"(?:{_IN_CONTEXT}|dans (?:le |les |ce |ces |la |cette )(?:documents?|documentation|sources?"
    rf"|rapports?(?: annuels?)?|textes?|fichiers?)\b)"
)
_ADVERBS = (
    r"(?:(?:explicitement|directement|clairement|spécifiquement|précisément|actuellement|malheureusement|donc"
    r"|toutefois|cependant|pas|non plus|également|suffisamment|expressément|vraiment|davantage|encore|ici|y|en|nous"
    r"|me|vous|lui|totalement|formellement|jamais|m'|se|s') ?){0,3}"
)
_DENIED = r"(?:pas(?! (?:seulement|uniquement|que\b))|aucune?s?|rien|ni|point|guère|nullement|suffisamment)\b"
_SAYS = (
    r"(?:mentionne(?:nt)?|contien(?:nen)?t|fourni(?:t|ssent)|précise(?:nt)?|indique(?:nt)?|donne(?:nt)?"
    r"|perme(?:t|ttent)|spécifie(?:nt)?|évoque(?:nt)?|aborde(?:nt)?|traite(?:nt)?|décri(?:t|vent)|comporte(?:nt)?"
    r"|inclu(?:t|ent)|di(?:t|sent)|explique(?:nt)?|détaille(?:nt)?|parle(?:nt)?|répond(?:ent)?|présente(?:nt)?"
    r"|offre(?:nt)?|(?:fait|font)(?= (?:pas |aucune |explicitement )*(?:mention|référence|état|allusion))"
    r"|compren(?:d|nent)|défini(?:t|ssent)|cite(?:nt)?|renseigne(?:nt)?|révèle(?:nt)?|suffi(?:t|sent)|dispose(?:nt)?"
    r"|apporte(?:nt)?|liste(?:nt)?|énumère(?:nt)?|propose(?:nt)?|nomme(?:nt)?|semble(?:nt)?|porte(?:nt)?"
    r"|concerne(?:nt)?|couvre(?:nt)?|quantifie(?:nt)?|a|ont|figure(?:nt)?|identifie(?:nt)?|rapporte(?:nt)?"
    r"|relate(?:nt)?|clarifie(?:nt)?|établi(?:t|ssent)|mentionnent|énonce(?:nt)?)"
)
_TELLS = (
    r"(?:mentionne(?:nt)?|précise(?:nt)?|indique(?:nt)?|spécifie(?:nt)?|évoque(?:nt)?|aborde(?:nt)?|décri(?:t|vent)"
    r"|di(?:t|sent)|explique(?:nt)?|détaille(?:nt)?|répond(?:ent)?|définit|cite(?:nt)?|fournit|fournissent"
    r"|donne(?:nt)?|contien(?:nen)?t|fait (?:pas )?(?:mention|référence)|permet|nomme(?:nt)?|traite(?:nt)?"
    r"|couvre(?:nt)?)"
)
_INFORMATION = (
    r"(?:informations?|précisions?|détails?|mentions?|réponses?|éléments?(?= (?:sur|concernant|permettant|de réponse"
    r"|relatif|à ce))|renseignements?|explications?|données(?= (?:sur|concernant|relatives))|référence)\b"
    r"(?! (?:confidentielles?|personnelles?|sensibles?|financières? (?:n'a|n'est)|privilégiées?))"
)
_ADJECTIVES = (
    r"(?:(?:autre|suffisamment|assez|plus|telle|telles|ces|cette|les?|l'|la|d'|de|des|une|un|l|autres|assez d'"
    r"|suffisamment d') ?){0,3}"
)
_NO_INFORMATION = rf"(?:pas|aucune?s?|suffisamment|assez|plus) {_ADJECTIVES}{_INFORMATION}"
_SAID = (
    r"(?:fournie?s?|donnée?s?|disponibles?|mentionnée?s?|précisée?s?|indiquée?s?|trouvée?s?|spécifiée?s?|évoquée?s?"
    r"|abordée?s?|décrite?s?|présente?s?|présentée?s?|incluse?s?|contenue?s?|expliquée?s?|détaillée?s?|citée?s?"
    r"|communiquée?s?|définie?s?|traitée?s?|explicitée?s?|renseignée?s?|listée?s?|explicites?|claire?s?|identifiée?s?"
    r"|nommée?s?|divulguée?s?|rapportée?s?|faite?s?|déterminée?s?|connue?s?)"
)
_TOLD = (
    r"(?:fournie?s?|mentionnée?s?|précisée?s?|indiquée?s?|spécifiée?s?|évoquée?s?|abordée?s?|décrite?s?|expliquée?s?"
    r"|détaillée?s?|citée?s?|définie?s?|explicitée?s?|claire?s?|dite?s?|donnée?s?|nommée?s?)"
)
_FIND_OUT = (
    r"(?:répondre|déterminer|savoir|dire|préciser|connaître|confirmer|conclure|identifier|établir|calculer|affirmer"
    r"|donner|fournir|apporter|indiquer|trouver|vérifier|aider|vous aider|vous répondre|vous donner|vous fournir"
    r"|vous dire|vous indiquer|vous renseigner|y répondre|le dire|estimer|citer|évaluer|traiter|accéder|décrire"
    r"|expliquer|lister|nommer)"
)
_NO_FIGURE = r"(?:[^\d$€%]|(?<!\d)(?:19|20)\d\d(?!\d)){0,300}$"
_SAYING_SUBJECT = (
    r"(?:[$€]\s?\d|\d\s?(?:%|pour cent|millions?|milliards?|euros?|€)|\b(?:est|sont|était|a été|s'élève"
    r"|s'élevait)\b[^,]*(?:, | et ))"
)
_SUBJECT = rf"(?!.{{0,200}}?{_SAYING_SUBJECT})[^:;]{{1,200}}?\b"
_END = r"(?: (?:ci-dessus|fournie?s?|ici|seule?s?|non plus|à ce sujet))?$"

_SOURCE = (
    r"(?:contexte|informations?|détails?|documents?|documentation|textes?|passages?|sources?|extraits?|sections?"
    r"|rapports?|site|support|service|assistance|équipe|département|professionnels?|avocat|médecin|expert|conseiller"
    r"|données|question|page|fichier|manuel|autorités?|spécialiste|ressources|publications?|officielles?|contrat"
    r"|précisions)"
)
_ADVISED = (
    rf"(?:.{{0,40}}?\b(?:consulter|consultez|contacter|contactez|reformuler|reformulez|vous référer|référez-vous"
    rf"|vous adresser|adressez-vous|préciser votre|précisez votre|vous rapprocher)\b"
    rf"|.{{0,40}}?\b(?:vérifier|vérifiez|examiner|lire|voir|regarder|fournir|fournissez|fourniriez|partager|partagez"
    rf"|communiquer|transmettre|donner|envoyer|rechercher|chercher|demander|obtenir|me fournir|me transmettre"
    rf"|préciser|ajouter|disposer|avoir)\b.{{0,80}}?\b{_SOURCE}\b)"
)

FRENCH = Language(
    cues=(
        "ne n non pas rien dépasse hors ni aucun aucune impossible inconnu inconnue insuffisant insuffisants"
        " insuffisante insuffisantes indéterminé sans incomplet vide ignore besoin faudrait",
    ),
    breaks=(
        r",? (?:mais|bien que|quoique|hormis|excepté|à part|en dehors|sauf|à l'exception|si ce n'est|outre)\b",
        r", (?:cependant|toutefois|néanmoins|pourtant|donc|alors que|tandis que|seule?s?|par conséquent|ainsi"
        r"|en revanche|et donc|c'est pourquoi|et (?:il|elle|je|on|ne|n'))\b",
        r",? et (?=(?:il |elle |je |on |ne |n'|ils |elles ))",
        r", (?=(?:je |il n'|il ne |on ne |ni ))",
    ),
    openers=(
        r"(?:je suis (?:vraiment )?désolée?|désolée?|toutes mes excuses|mes excuses|je m'excuse|je regrette"
        r"|excusez-moi|pardon|navrée?)(?:,? (?:mais|cependant|toutefois|que|de ne pas)|,)?(?:\s+|$)",
        r"(?:malheureusement|donc|par conséquent|ainsi|en conséquence|toutefois|cependant|néanmoins|également|de plus"
        r"|en outre|par ailleurs|en résumé|en conclusion|hélas|à ce jour|actuellement|pour l'instant|et|mais|car"
        r"|puisque|comme|parce que|en effet|en l'état|de ce fait|à ma connaissance|il semble que|il semblerait que"
        r"|en somme)\b,?(?:\s+|$)",
        r"(?:(?:la )?(?:réponse|conclusion)(?: finale)?)\s*:\s*",
        r"(?:concernant|quant à|pour ce qui est de|s'agissant de|au sujet de|à propos de) [^,.]{1,90}, ",
        r"en tant qu'(?:ia|assistant|intelligence)[^,.]{0,60}(?:, |$)",
    ),
    grounds=(
        rf"{_IN_CONTEXT}(?:(?! (?:ne|pas|aucune?)\b)(?! n')[^,.]){{0,40}},\s*",
        rf"{_IN_CONTEXT}\s+(?=(?:il |je |on |aucun|rien|nous ))",
        r"(?:en l'absence d'|sans )(?:autres? |davantage d'|plus d'|plus de |d')?(?:informations?|précisions?"
        r"|contexte|détails?|éléments?)[^,.]{0,60}(?:,\s*|$)",
    ),
    declining=(
        rf"{_THE_CONTEXT} (?:ne |n'){_ADVERBS}{_SAYS}\b(?: référence à| mention d['e]| état d['e])? ?{_ADVERBS}"
        rf"{_DENIED}",
        rf"(?:aucune?|ni l'un ni l'autre|rien) (?:des |de ces |dans (?:les |le |ces |ce )){_CONTEXT} (?:ne |n')"
        rf"{_SAYS}",
        rf"{_THE_CONTEXT} (?:est|sont|semble|semblent) (?:\w+ )?(?:insuffisante?s?|incomplets?|incomplètes?|vides?"
        rf"|muets?|sans rapport|hors sujet)\b",
        rf"{_THE_REPORT} (?:ne |n'){_ADVERBS}(?:contien(?:nen)?t|fourni(?:t|ssent)|donne(?:nt)?|comporte(?:nt)?"
        rf"|offre(?:nt)?|présente(?:nt)?|apporte(?:nt)?|inclu(?:t|ent)) {_ADVERBS}{_NO_INFORMATION}",
        rf"(?:le |la |les |ces? |cette |l')(?:documents?|documentation|sources?|rapports?(?: annuels?)?){_GIVEN} ne "
        rf"(?:mentionne(?:nt)?|répond(?:ent)?|précise(?:nt)?|évoque(?:nt)?|fait|font) {_ADVERBS}pas\b",
        rf"il n'(?:y a|existe|y avait|est fait|est donné|est fourni) {_ADVERBS}(?:pas|aucune?) {_ADJECTIVES}"
        rf"{_INFORMATION}",
        rf"(?:pas|aucune?) {_ADJECTIVES}(?:{_INFORMATION})[^,:;]{{0,120}}? (?:n'est|ne sont|n'a été|n'ont été"
        rf"|n'apparaît|ne figure|n'y figure|ne se trouve) ?{_ADVERBS}(?:{_SAID} ?(?:{_IN_DOCUMENTS}{_END}|$"
        rf"|(?:sur|concernant|à ce sujet|quant|à propos))|trouvée?s?\b|{_IN_DOCUMENTS})",
        rf"(?:pas d'|aucune |pas de |pas assez d'|pas suffisamment d'){_INFORMATION}"
        rf"(?: (?:sur|concernant|à ce sujet|disponible|relative|pertinente|{_IN_DOCUMENTS})[^,:;]{{0,120}})?$",
        rf"je (?:ne |n'){_ADVERBS}(?:sais|saurais|connais) {_ADVERBS}(?:pas|rien)\b",
        r"je (?:ne sais|l'ignore|ignore)\b(?! pas)",
        rf"je (?:ne peux|ne suis|ne parviens|n'arrive|ne pourrais?|ne saurais) {_ADVERBS}(?:pas )?"
        rf"(?:en mesure de |en capacité de |capable de |à )?{_ADVERBS}{_FIND_OUT}\b",
        rf"je ne suis {_ADVERBS}pas (?:sûre?$|certaine?$|en mesure|autorisée?|habilitée?)\b",
        rf"je (?:ne |n'){_ADVERBS}(?:dispose|ai|trouve|vois|possède|peux trouver|ai trouvé|ai pas trouvé) {_ADVERBS}"
        rf"(?:pas |aucune? |rien )?(?:pu |trouvé |eu )?{_ADVERBS}(?:{_NO_INFORMATION}|d'information"
        rf"|{_ADJECTIVES}{_INFORMATION}|accès|trouver|trouvé (?:de|d'|cette|aucune|la)|identifier|assez d"
        rf"|suffisamment d|connaissance|la réponse|mention|cette information)",
        rf"(?:nous ne |on ne )(?:pouvons|peut) {_ADVERBS}pas {_ADVERBS}{_FIND_OUT}\b.{{0,160}}{_IN_CONTEXT}",
        rf"(?:il (?:est|m'est|n'est pas|ne m'est pas|serait)|c'est) {_ADVERBS}(?:impossible|possible|pas possible) "
        rf"(?:donc )?de {_ADVERBS}(?:{_FIND_OUT})\b.{{0,200}}(?:{_IN_CONTEXT}|sans (?:plus|autre|davantage))",
        rf"(?:il (?:est|m'est) |)impossible de {_ADVERBS}(?:vous )?répondre\b",
        rf"il n'est pas possible de {_ADVERBS}(?:vous )?répondre\b",
        rf"(?:cette|ces|l'|les|la|une telle|telle) ?(?:informations?|données?|précisions?"
        rf"|réponse(?: à (?:cette|la|votre) question)?|éléments?)(?: (?:demandée?s?|recherchée?s?|précise|exacte"
        rf"|requise))? (?:n'est|ne sont|n'a|n'ont|ne figure(?:nt)?|n'apparaî(?:t|ssent)|ne se trouve(?:nt)?) "
        rf"{_ADVERBS}pas ?(?:été )?{_ADVERBS}(?:(?:{_SAID} )?{_IN_DOCUMENTS}{_END}|{_TOLD}$|disponibles?$)",
        r"(?:cette|la|votre) question (?:ne peut|ne peuvent|reste|est|dépasse|n'est|ne trouve) .{0,60}"
        r"(?:répon|sans réponse|traitée|abordée|hors|contexte|réponse)",
        rf"(?:la réponse|cela|ceci|l'information) (?:est|reste|demeure) (?:inconnue?|indéterminée?)"
        rf"(?: {_IN_CONTEXT})?$",
        rf"(?:non |pas |in)(?:précisée?|mentionnée?|spécifiée?|indiquée?|disponible|connue?|fournie?|renseignée?"
        rf"|déterminée?|trouvée?|communiquée? {_IN_CONTEXT})(?: {_IN_DOCUMENTS})?{_END}",
        rf"informations? (?:non |in|pas )(?:disponibles?|trouvées?|suffisantes?|fournies?|précisées?|mentionnées?)"
        rf"(?: {_IN_DOCUMENTS})?{_END}",
        rf"{_SUBJECT}(?:n'est|ne sont|n'a|n'ont|n'y est|n'y sont) {_ADVERBS}(?:pas|ni)\b ?(?:été )?{_ADVERBS}"
        rf"(?:{_SAID} )?(?:(?:ni|ou) {_SAID} )?{_IN_CONTEXT}{_END}",
        rf"{_SUBJECT}(?:ne figure(?:nt)?|n'apparaî(?:t|ssent)|ne se trouve(?:nt)?|ne ressort(?:ent)?"
        rf"|ne peu(?:t|vent)) {_ADVERBS}pas {_ADVERBS}(?:être (?:déterminée?s?|trouvée?s?|établie?s?|connue?s?"
        rf"|identifiée?s?|déduite?s?) )?{_IN_CONTEXT}{_END}",
        rf"il n'est (?:donc )?{_ADVERBS}(?:pas |nulle part ){_ADVERBS}(?:{_TOLD}|fait mention|question)\b.{{0,120}}"
        rf"{_IN_CONTEXT}",
        rf"(?:les |)(?:informations?|détails?|précisions?) (?:sur|concernant|relatives? à"
        rf"|à propos d)[^,:;\d]{{1,140}} (?:n'est|ne sont|ne figurent?) {_ADVERBS}pas {_ADVERBS}{_TOLD}$",
        r"(?:j'aurais besoin|j'ai besoin|il me faudrait) (?:de plus|d'informations? "
        r"(?:supplémentaires?|complémentaires?)|de davantage)\b.{1,100}\bpour (?:répondre|pouvoir|déterminer|vous)\b",
    ),
    supporting=(
        r"aucune (?:réponse|conclusion|information) [^,:;]{0,40}ne peut être (?:donnée|apportée|fournie|tirée"
        r"|établie)\b",
        rf"(?:(?:il|elle|ils|elles|cela|ce dernier|celui-ci|ceux-ci|ces derniers|celles-ci) )?(?:ne |n'){_ADVERBS}"
        rf"{_TELLS}\b ?{_ADVERBS}{_DENIED}",
        rf"il n'est {_ADVERBS}pas {_ADVERBS}(?:{_TOLD}|possible de {_FIND_OUT})\b",
        rf"(?:il est|on ne peut pas|il serait) (?:donc )?(?:impossible de |difficile de |)(?:{_FIND_OUT})\b",
        rf"(?!.{{0,120}}\b(?:si|s'il|quand|lorsque)\b)[^,:;\d€$]{{1,120}} (?:n'est|ne sont|n'a|n'ont) {_ADVERBS}pas "
        rf"(?:été )?{_ADVERBS}{_TOLD}(?: {_IN_DOCUMENTS})?$",
        rf"aucune? [^,:;\d€$]{{1,120}} (?:n'est|ne sont|n'a été) {_ADVERBS}{_TOLD}(?: {_IN_DOCUMENTS})?$",
    ),
    framing=(
        rf"{_IN_CONTEXT}$",
        rf"(?:{_THE_CONTEXT}|{_THE_REPORT}|il|elle|ils|elles|celui-ci|ceux-ci) "
        rf"(?:(?:traite(?:nt)?|porte(?:nt)?|concerne(?:nt)?|se concentre(?:nt)?|parle(?:nt)?|aborde(?:nt)?"
        rf"|se limite(?:nt)?|couvre(?:nt)?|se rapporte(?:nt)?|est (?:axé|centré|consacré)"
        rf"|sont (?:axés|centrés|consacrés))\b|{_SAYS} (?:seulement|uniquement|principalement|surtout|essentiellement"
        rf"|plutôt|simplement|exclusivement)\b|(?:ne |n'){_SAYS} que\b)(?! que)(?!.{{0,40}}\bque (?:le|la|les|l'))?"
        rf"{_NO_FIGURE}",
        rf"seule?s? .{{1,120}} (?:est|sont) (?:mentionnée?s?|évoquée?s?|abordée?s?|traitée?s?){_END}",
    ),
    introducing=(
        rf"(?:bien que |quoique |même si |si |certes,? )?(?:{_THE_CONTEXT}|{_THE_REPORT}) (?:{_SAYS}|décrive(?:nt)?"
        rf"|fournisse(?:nt)?|contienne(?:nt)?|traite(?:nt)?)\b(?! (?:que|qu'))(?! pas){_NO_FIGURE}",
    ),
    accompanying=(
        rf"(?:veuillez|merci de|n'hésitez pas à|vous (?:pouvez|devriez|pourriez|devez|pourrez)"
        rf"|je vous (?:recommande|conseille|invite|suggère|propose|prie)(?: de| à)?"
        rf"|il (?:est|serait) (?:recommandé|conseillé|préférable|nécessaire|utile|souhaitable)(?: de)?"
        rf"|il (?:faudrait|conviendrait|convient)(?: de)?|pour [^:]{{3,120}},? "
        rf"(?:il (?:faudrait|est|serait|conviendrait)|veuillez|je vous|vous|consultez|merci)|pourriez-vous"
        rf"|pouvez-vous|si vous)\b{_ADVISED}",
        rf"(?:consultez|contactez|référez-vous|adressez-vous|reportez-vous|vérifiez|voir)\b.{{0,80}}\b{_SOURCE}\b",
        r"je (?:peux|pourrai|pourrais|serai|serais) .{0,80}\b(?:si vous|volontiers|heureu|aider)\b",
        r"(?:souhaitez-vous|voulez-vous|avez-vous|puis-je)\b",
        r"(?:n'hésitez pas|merci|bonne journée|j'espère)\b[^\d]{0,120}$",
        r"(?:des|plus d'|davantage d'|de plus amples) ?(?:informations?|précisions?|détails?|éléments?)"
        r"(?: (?:supplémentaires?|complémentaires?|additionnel(?:le)?s?))? ?(?:sont|seraient|est|serait)\b[^\d]{0,80}"
        r"(?:nécessaires?|requises?|utiles?)",
        r"(?:j'aurais besoin|j'ai besoin|il me faudrait|il faudrait) (?:de |d')?(?:plus|davantage|informations?"
        r"|précisions?|contexte|éléments)\b",
        r"pour (?:répondre|obtenir|plus|davantage|en savoir|une réponse|toute|connaître|déterminer|cela)\b.{1,120}\b"
        r"(?:nécessaires?|besoin|veuillez|consultez|consulter|contacter|contactez|je vous|faudrait|référez)\b",
        r"(?:sources?|références?)(?:\s*:.{0,120})?$",
    ),
    saying=(
        r", ce qui (?:signifie|implique|indique|suggère|laisse|veut dire)",
        r", (?:il|elle|ils|elles) (?:indique|précise|dit|mentionne|était|est|s'élève|prévoit|exige|stipule|note)"
        r"(?:nt)?\b(?! (?:pas|que très))",
        r", (?:le|la|les|l'|son|sa|un|une) ?[^,]{1,60}? (?:est|sont|était|étaient|s'élève|s'élevait"
        r"|représente)\b[^,]{0,40}?(?:[$€]|\d)",
    ),
)
