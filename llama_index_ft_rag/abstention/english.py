"""How answers in English decline, and what in them does not.

In and out: nothing; these are patterns for lower case. What is put before the model (the context, a passage, the
documents provided) lacks something only where the model cannot answer; a report, an agreement or a company that lacks
something may be the answer, so there the thing lacking must be information.
"""

from __future__ import annotations

from llama_index_ft_rag.abstention.language import Language

_HOW = (
    r"(?:(?:explicitly|specifically|directly|clearly|actually|currently|further|also|seem to|appear to|fully|reliably"
    r"|accurately|definitively|confidently|precisely|really|even|yet|anywhere|otherwise|exactly) ){0,3}"
)
_GIVEN = (
    r"(?:(?:provided|given|available|supplied|above|retrieved|current|present|specific|new|original|existing"
    r"|following|reference|source|attached|uploaded|shared|cited|limited|relevant|indexed|searched) ){0,3}"
)
_GIVEN_AFTER = (
    r"(?: (?:(?:that )?(?:you |i |we |was |were |is |are |have |been )*(?:provided|given|available|supplied|shared"
    r"|retrieved)|(?:that )?i have(?: access to)?|above|here|at hand|alone))?"
)
_PAPERS = r"(?:information|documents?|documentation|sources?|content|files?|data|articles?|evidence|references?)"
_CONTEXT = (
    rf"(?:(?:contexts?|passages?|excerpts?|snippets?|extracts?|texts?|chunks?|knowledge base)"
    rf"(?: (?:information|data|documents?|passages?|sections?|snippets?|material))?{_GIVEN_AFTER}"
    rf"|(?:provided|given|available|supplied|retrieved|attached|uploaded|shared|reference|source|context|cited) "
    rf"(?:(?:text|context|search|company|source|reference|policy) )?(?:{_PAPERS}|results?|sections?|pages?)"
    rf"{_GIVEN_AFTER}|(?:{_PAPERS}|results?|sections?|pages?) (?:(?:that )?(?:you |i |we |was |were |is |are |have "
    rf"|been )*(?:provided|given|available|supplied|shared|retrieved)|(?:that )?i have(?: access to)?|at hand))"
)
_DETERMINER = r"(?:the|this|that|these|those|your|my|(?:any|each|either|all|none|neither) of (?:the|these|those|your))"
_THE_CONTEXT = rf"{_DETERMINER} {_GIVEN}{_CONTEXT}"
_REPORT = (
    rf"(?:{_PAPERS}|materials?|report|filing|annual report|10-k|section|page|paper|chapter|search results?|results?"
    rf"|transcript)"
)
_THE_REPORT = rf"(?:the|this|that|these|those) {_GIVEN}{_REPORT}"
_THE_DOCUMENT = (
    rf"(?:the|this|that|these|those) {_GIVEN}(?:information|documents?|documentation|sources?|report|filing"
    rf"|annual report|10-k|search results?|results?|transcript)"
)

_NOT = r"(?:(?:do|does|did|can|could)(?: not|n't)|cannot)"
_IS_NOT = (
    r"(?:(?:is|are|was|were|has been|have been)(?: not|n't)|isn't|aren't|wasn't|weren't|(?:has|have)(?: not|n't) "
    r"been)"
)
_CANNOT = r"(?:can ?not|can't|could not|couldn't)"
_ENOUGH = (
    r"(?:(?:any|enough|sufficient|adequate|specific|explicit|direct|clear|relevant|further|additional|more|other"
    r"|detailed|exact|precise|concrete|such|the|definitive|useful|of the|necessary|needed|required|related|matching"
    r"|available|actual|particular|supporting|reliable) ){0,4}"
)
# "There is no information security officer" lacks no information.
_INFORMATION = (
    r"(?:(?:information|details?|mention|specifics|explanation|answer)\b(?![ -](?:security|technology|systems?"
    r"|officers?|barrier|asymmetry|sharing|exchange|leak|leakage|rights?|requests?|keys?|sheets?|required"
    r"|to (?:disclose|report|share)))|(?:data|reference|evidence|context|basis) "
    r"(?=(?:on|about|to (?:answer|determine)|regarding|for (?:this|that))\b))"
)
_LACK = (
    r"(?:mention|specify|state|say|address|discuss|answer|explain|describe|identify|list|name|define|elaborate"
    r"|clarify|outline|detail|reveal|disclose|indicate|include|contain|provide|give|offer|cover|refer|have|make"
    r"|go into|touch|share|show|report|tell|enumerate|quantify|note|establish|break (?:it |this |them )?down|present"
    r"|speak|relate|pertain|supply|furnish|cite|comment|shed|spell|set out|settle|confirm"
    r"|(?:allow|let|enable|permit|help) (?:me|us|one|you|for a|to (?:determine|answer))\b)"
)
_LACK_INFORMATION = (
    rf"(?:(?:provide|contain|include|give|offer|have) {_ENOUGH}{_INFORMATION}|make {_ENOUGH}mention\b"
    rf"|answer (?:the|this|your) question)"
)
_SAID = (
    r"(?:specified|mentioned|stated|provided|given|disclosed|found|available|described|discussed|detailed|addressed"
    r"|present|included|contained|covered|explained|clear|listed|identified|reported|defined|named|outlined|indicated"
    r"|noted|shown|referenced|documented|supported|recorded|quantified|in)"
)
_TOLD = (
    r"(?:specified|mentioned|stated|provided|given|described|discussed|detailed|addressed|explained|listed|named"
    r"|indicated|defined|covered|outlined)"
)
_KNOW = (
    r"(?:answer|determine|say|tell|know|find|locate|provide|give|see|identify|confirm|conclude|respond|assist|help"
    r"|verify|share|offer|comply|fulfil|fulfill|do that|state|access|retrieve|extract|infer|derive|calculate|compute"
    r"|establish|address|discuss|specify|ascertain|list|name|describe|explain|speak|comment|elaborate|summari[sz]e)"
)
_FIND_OUT = (
    r"(?:answer|determine|say|tell|know|find|conclude|identify|confirm|establish|calculate|ascertain|specify|infer)"
)
_KNOWN = (
    r"(?:answered|determined|found|known|given|provided|derived|inferred|identified|established|calculated|confirmed)"
)
_WITHIN = (
    r"(?:in|by|within|from|with|using|based (?:up)?on|given|on the basis of|according to|anywhere in|without|for"
    r"|through|beyond|outside)"
)
_IN_CONTEXT = (
    rf"{_WITHIN} (?:only )?(?:{_THE_CONTEXT}|(?:the|this|your|these) {_GIVEN}(?:documents?|report|filing|10-k"
    rf"|search results?|information|section|page|article|file|data|content|material|sources?)\b|context\b)"
)
_UNFINITE = r"(?:(?! (?:is|are|was|were|has|have|had|will|would|can|could|did|does)\b)[^,:]){0,160}"
_END = (
    r"(?: (?:above|provided|given|itself|alone|at all|anywhere|here|in (?:full|detail)|directly|explicitly"
    r"|either)){0,2}$"
)
# A figure of its own, or a finished statement before another one: the subject already says something.
_SAYING_SUBJECT = (
    r"(?:[$€£¥]\s?\d|\d\s?(?:%|percent|million|billion)|\b(?:is|are|was|were|has|have|had|will)\b[^,]*(?:, | and ))"
)
_SUBJECT = rf"(?!.{{0,200}}?{_SAYING_SUBJECT})[^:]{{1,220}}?\b"
_NO_FIGURE = r"(?:[^\d$€£¥%]|(?<!\d)(?:19|20)\d\d(?!\d)){0,300}$"

_ADVISED = (
    r"(?:consult|refer|contact|reach out|clarify|rephrase|let (?:me|us) know|feel free|get in touch|specify|seek"
    r"|(?:check|review|see|look|search|visit|ask|verify|try|examine|read|provide|share|supply|upload|paste|include"
    r"|give|send|access|obtain|find|request)\b.{0,90}\b(?:context|information|details?|documents?|documentation"
    r"|texts?|passages?|sources?|excerpts?|sections?|files?|data|reports?|filings?|10-k|website|pages?|official"
    r"|manual|support|team|department|professional|lawyer|attorney|advis[oe]r|relations|statements?|disclosures?"
    r"|records?|materials?|question|again|elsewhere|provider|administrator|resources?|human resources|hr|notes?"
    r"|schedules?|topic|query))\b"
)
_ADVISING = (
    r"(?:consulting|referring|contacting|reaching out|seeking|(?:using|checking|reviewing|looking|searching|visiting"
    r"|asking|verifying|reading|providing|sharing)\b.{0,90}\b(?:context|information|details?|documents?"
    r"|documentation|texts?|sources?|sections?|reports?|filings?|website|pages?|official|manual|support|team"
    r"|department|professional|relations|statements?|disclosures?|records?|materials?|platforms?))\b"
)
_ONLY = r"(?:only|primarily|mainly|mostly|merely|just|instead|solely|simply|generally|exclusively|rather) "
_IS_ABOUT = (
    r"(?:discuss(?:es)?|focus(?:es)?|covers?|address(?:es)?|deals?|talks?|refers?|relates?|concerns?|pertains?"
    r"|centers?|(?:is|are) (?:about|limited to|related to|focused on|concerned with|only about|centered on))"
)
_DESCRIBES = (
    r"(?:describes?|mentions?|outlines?|explains?|lists?|touch(?:es)? on|details?|includes?|contains?|provides?"
    r"|gives?|shows?|presents?|offers?|specif(?:y|ies)|names?|identif(?:y|ies))"
)
_TOPIC_SUBJECT = rf"(?:{_THE_CONTEXT}|{_THE_REPORT}|it|they|the only (?:available )?{_PAPERS}(?: available| provided)?)"

ENGLISH = Language(
    cues=(
        "not no t n/a cannot unable unknown unspecified unclear none nothing neither lack lacks fail fails"
        " omits insufficient inadequate impossible empty need needed require required seems appears details"
        " outside beyond unrelated irrelevant silent missing absent undetermined incomplete",
    ),
    breaks=(
        r",? (?:but|nevertheless|except|other than|apart from|aside from|besides)\b",
        r"(?:,|(?<!not)(?<!n't)) (?:however|although|though)\b",
        r", (?:yet|whereas|only|rather|so|therefore|thus|hence|and therefore|and thus)\b",
        r",? and (?=(?:it|they|there|i|we|therefore|thus|hence|consequently|does|do|doesn't|don't|cannot|is not"
        r"|are not)\b)",
    ),
    openers=(
        r"(?:i'm|i am|we are|we're)?\s*(?:very |so |really )?sorry(?: about that)?(?:,? but|,? however,?|,|$)\s*",
        r"(?:my apologies|apologies|i apologi[sz]e(?: for (?:any|the) [a-z ]{1,30})?|regrettably|unfortunately|sadly"
        r"|i regret|i'm afraid(?: that)?)(?:,? but|,)?(?:\s+|$)",
        r"(?:therefore|thus|hence|so|as such|consequently|as a result|accordingly|in (?:conclusion|summary|short)"
        r"|overall|additionally|also|moreover|furthermore|however|but|and|that said|specifically|in fact"
        r"|for this reason|still|nevertheless|at this time|currently|at present|in this case|as of now|to be clear"
        r"|then|well)\b,?(?:\s+|$)",
        r"(?:according to|from|given|in|within|with|based (?:up)?on|per) (?:only )?(?:the|this|your|my) "
        r"[^,.]{1,80},\s*",
        r"(?:as an? (?:ai|language model|assistant|artificial)[^,.]{0,60}|as far as i can (?:tell|see)),\s*",
        r"(?:(?:the )?(?:final |short |direct |new |refined |updated )*(?:answer|response|conclusion|result))\s*:\s*",
        r"(?:because|since|as)\s+(?=(?:the|this|there|it|i|no|none)\b)",
        r"(?:regarding|as for|concerning|about|on|for(?! (?:details|more|further|additional))) [^,.]{1,80},\s*",
        r"(?:it (?:seems|appears|looks like)|i (?:think|believe|see|note|notice)|note|please note|it should be noted"
        r"|it is important to note|unfortunately it seems) (?:that )?(?=(?:the|this|there|no|none|i|it)\b)",
    ),
    grounds=(
        rf"(?:{_WITHIN} (?:only |just |solely )?|(?:after|upon) (?:reviewing|checking|reading) "
        rf"|having (?:reviewed|read) |looking at |as (?:per|far as) )(?:{_THE_CONTEXT}"
        rf"|the (?:information|documents?|text))(?:(?! (?:no|not|cannot)\b)[^,.]){{0,60}},\s*",
        rf"{_WITHIN} (?:only |just )?{_THE_CONTEXT}\s+(?=(?:i|we|it|there|no)\b)",
        r"from what (?:is|i|was|you) [^,]{1,50},\s*",
        r"without (?:more|additional|further|any|access|that|this|those|the|such|specific)\b[^,]{0,90},\s*",
        rf"(?:while|although|though|even though|whilst|despite the fact that) {_TOPIC_SUBJECT} (?:does |do )?"
        rf"(?:{_ONLY})?(?:{_IS_ABOUT}|{_DESCRIBES})\b(?! that)(?:[^\d$€£¥%:]|(?<!\d)(?:19|20)\d\d"
        rf"(?!\d)){{1,250}}?,\s*(?=(?:it|they|there|i|no|none|neither|the [a-z ]{{1,40}}?) "
        rf"(?:does|do|is|are|cannot|can|specific|information|details|of|exact|explicit|mention|direct|further"
        rf"|could)\b)",
        r"(?:while|although|though|even though) there (?:is|are) [^\d$€£¥%,:]{1,120},\s*"
        r"(?=(?:it|they|there|i|no|the)\b)",
    ),
    declining=(
        rf"(?:{_THE_CONTEXT}|no {_GIVEN}{_CONTEXT}) {_NOT},? {_HOW}{_LACK}\b",
        rf"{_THE_CONTEXT} (?:lacks?|omits?|(?:contain|provide|give|include|make|ha|say|offer|mention|disclose|show)"
        rf"(?:s|ve)? (?:no|nothing|neither)\b|fails? to {_HOW}{_LACK}\b|(?:is|are) (?:completely |entirely |totally "
        rf"|also |simply )?(?:silent|insufficient|inadequate|unclear|incomplete|unrelated|irrelevant|empty|missing)\b"
        rf"|{_IS_NOT} {_HOW}(?:sufficient|enough|clear|relevant|related|detailed|complete|adequate)\b)",
        rf"(?:none|neither|no(?:ne)? part) of (?:the|these|those|your) {_GIVEN}(?:{_CONTEXT}|{_REPORT}) {_HOW}"
        rf"(?:provide|contain|mention|include|address|discuss|answer|specif|state|cover|refer|give|describe|explain)",
        rf"no {_GIVEN}{_CONTEXT} (?:mention|address|discuss|specif|state|describe|explain|answer|contain)",
        rf"nothing in {_THE_CONTEXT} (?:mention|address|discuss|specif|state|describe|explain|answer|indicate|say"
        rf"|suggest)",
        rf"{_THE_DOCUMENT} {_NOT} {_HOW}(?:mention|specify|state|say|address|discuss|answer)\b",
        rf"{_THE_REPORT} {_NOT} {_HOW}{_LACK_INFORMATION}",
        rf"{_THE_REPORT} (?:contain|provide|give|include|make|ha|offer)(?:s|ve)? no {_ENOUGH}{_INFORMATION}",
        rf"there(?:'s| is| are| was| were)(?: no|n't| not| insufficient) {_ENOUGH}{_INFORMATION}",
        rf"(?:no|zero) {_ENOUGH}(?:information|details?|mention|references?|answer|data)\b{_UNFINITE} "
        rf"(?:is|are|was|were|can be|could be|has been|have been) {_HOW}{_SAID}(?: {_IN_CONTEXT}{_END}|$"
        rf"| (?:about|on|regarding|concerning|to answer)\b)",
        rf"no {_ENOUGH}(?:documents|results|passages|sources|matches|entries|content|context) (?:was|were|could be) "
        rf"(?:found|retrieved|returned|located)(?: {_IN_CONTEXT})?{_END}",
        rf"no {_ENOUGH}mention (?:is|was|were) made\b{_UNFINITE} {_IN_CONTEXT}",
        rf"no {_ENOUGH}(?:information|details?|mention|specifics|answer|results|documents|data|references?)"
        rf"(?: (?:about|on|of|regarding|concerning|for|to answer|found|returned|provided|available|given"
        rf"|{_IN_CONTEXT})\b{_UNFINITE})?$",
        rf"(?:not enough|insufficient|inadequate|not sufficient) {_ENOUGH}(?:information|context|details?)"
        rf"(?: (?:is|was|are) (?:provided|available|given))?(?: (?:to|in|for|about|on|from|provided|available"
        rf"|given)\b{_UNFINITE})?$",
        rf"(?:insufficient|not enough) (?:data|evidence)(?: to (?:answer|determine)\b{_UNFINITE})?$",
        rf"(?:it|this|that|the answer|which)(?:'s not| isn't| {_IS_NOT}) {_HOW}(?:(?:specified|mentioned|stated)$"
        rf"|{_SAID} {_IN_CONTEXT}{_END})",
        rf"(?:this|that|the|such|your) (?:requested |specific |exact |required |necessary )*"
        rf"(?:information|details?|answer|data|figure|question)(?: (?:requested|needed|you[a-z' ]{{1,30}}"
        rf"|to (?:this|that|the|your) question))? {_IS_NOT} (?:{_HOW}(?:{_SAID} )?{_IN_CONTEXT}{_END}"
        rf"|{_HOW}(?:provided|available|specified|included|mentioned|given|stated|present|found|known|there)$)",
        rf"it(?:'s| is| was) (?:not possible|impossible) (?:for me )?to {_HOW}{_FIND_OUT}\b.{{0,200}}\b"
        rf"(?:{_IN_CONTEXT}|without (?:more|additional|further|access))",
        rf"it(?:'s| is) (?:not possible|impossible) (?:for me )?to {_HOW}answer\b",
        rf"(?:it|this|that|the answer|(?:the|this|your|that) (?:question|query|request)) {_CANNOT} be {_HOW}"
        rf"(?:answered\b|determined(?:$| {_WITHIN} )|{_KNOWN}(?:$| {_IN_CONTEXT}))",
        rf"{_CANNOT} be {_HOW}(?:answered|determined)(?:$| {_IN_CONTEXT})",
        r"i (?:currently |still |really )?(?:do not|don't|did not|didn't|would not|wouldn't) (?:know\b|have\b(?! to\b)"
        r"|(?:see|find|notice|spot) (?:any|anything|the|a |an |information|mention|details?|where|that|it|this|evidence"
        r"|relevant|specific|enough))",
        rf"(?:i|we) (?:have|found|see|could find|can find) (?:no|nothing|neither) ?{_ENOUGH}"
        rf"(?:information|details?|mention|data|knowledge|answer|record|reference|idea|context|way|relevant|evidence"
        rf"|in|about|on)\b",
        r"i (?:lack\b|am not aware\b|(?:am unsure|am not sure|am not certain)"
        r"(?:$| (?:about|of|how|what|based|from|who|when)\b))",
        r"i'm (?:not sure|unsure|not aware|not certain)\b",
        rf"i (?:{_CANNOT}|(?:am|was) (?:unable|not able) to|wasn't able to|am not (?:permitted|allowed) to|won't"
        rf"|will not be able to|wouldn't be able to|would not be able to) (?:be of )?{_HOW}{_KNOW}\b",
        rf"i'm (?:unable|not able) to {_HOW}{_KNOW}\b",
        rf"we (?:{_CANNOT}|are (?:unable|not able) to) {_HOW}{_FIND_OUT}\b.{{0,200}}\b{_IN_CONTEXT}",
        rf"(?:unable|not able) to {_HOW}(?:answer|determine|say|tell|respond|provide an answer"
        rf"|find (?:any |the )?(?:information|answer|mention))\b[^,:]{{0,160}}$",
        rf"{_CANNOT} (?:answer|determine|say|tell|find (?:any )?(?:information|mention))\b[^,:]{{0,160}}$",
        r"i(?:'d| would|'ll| will)? (?:need|require) (?:more|additional|further|some more|access"
        r"|to see)\b.{1,120}\bto (?:answer|determine|provide|give|respond|say|tell"
        r"|help|identify|confirm)\b",
        r"(?:more|additional|further) (?:information|context|details?) (?:is|are|would be) "
        r"(?:needed|required|necessary) to (?:answer|determine|provide|give|respond|accurately)\b",
        rf"(?:(?:the |specific )?(?:answer|information|details?|answer to [a-z ]{{3,30}}) )?(?:is |are )?(?:not |un)"
        rf"(?:known|specified|mentioned|stated|provided|available|clear|found|answerable|determinable|determined"
        rf"|given|addressed|covered|discussed|included|disclosed {_IN_CONTEXT})(?: {_IN_CONTEXT})?{_END}",
        r"(?:n/?a|no (?:answer|response|idea|information|clue)|empty response|none (?:found|given|provided|mentioned)"
        r"(?: in the (?:provided )?context)?|not in (?:the )?(?:provided |given )?(?:context|text|documents?))$",
        rf"{_SUBJECT}{_IS_NOT} {_HOW}{_SAID}(?:,? (?:or|and|nor) {_SAID})?(?: "
        rf"(?:anywhere|at all|or (?:can|could) be [a-z]+))? {_IN_CONTEXT}{_END}",
        rf"{_SUBJECT}(?:{_CANNOT} be {_HOW}(?:answered|determined|found|known|derived|inferred|established|calculated"
        rf"|confirmed)|(?:is|are) (?:missing|absent|omitted|unclear|unknown|unspecified|not clear)) {_WITHIN} "
        rf"(?:only )?{_THE_CONTEXT}{_END}",
        rf"(?:(?:the|any|specific|exact|further|more|detailed|such|additional) )*(?:information|details?) "
        rf"(?:about|on|regarding|concerning|related to|for|of|pertaining to) {_UNFINITE} {_IS_NOT} {_HOW}"
        rf"(?:provided|specified|mentioned|given|included)$",
        rf"(?:that|this|it|your (?:question|request)|the (?:question|answer|topic|information)"
        rf"|this (?:question|topic))(?:'s| is| falls| lies| goes) (?:outside|beyond)(?: of)? (?:the scope of )?"
        rf"(?:{_THE_CONTEXT}|my (?:knowledge|scope|expertise|capabilities)|what (?:the|is|i|was))",
        r"(?:the question|this question|your question) (?:is|seems|appears)(?: to be)? "
        r"(?:not related|unrelated|not relevant|irrelevant|not answerable|unanswerable)\b",
    ),
    supporting=(
        rf"(?:also )?(?:it|they|this|that|the (?:author|document|report|text|passage|context)s?|neither"
        rf"|none(?: of them)?)? ?(?:also )?{_NOT},? {_HOW}{_LACK}\b",
        r"(?:it|they) (?:makes?|mentions?|contains?|provides?|gives?|includes?|says?) (?:no|nothing|neither)\b",
        rf"(?:neither|none(?: of (?:them|these|those))?) {_HOW}(?:mentions?|contains?|provides?|gives?|includes?"
        rf"|address(?:es)?|answers?|specif(?:y|ies))\b",
        rf"there(?:'s| is| are| was| were)(?: no|n't(?: any)?| not any) {_ENOUGH}(?:indication|evidence|discussion"
        rf"|description|figures?|numbers?|statement|breakdown|definition|list|data|context|reference|way to|basis)\b",
        rf"no [^:]{{1,120}} (?:is|are|was|were) {_HOW}{_TOLD}\b",
        rf"it(?:'s| is| was| remains) (?:not {_HOW}(?:clear|possible|certain|known|explicit|{_TOLD})|unclear"
        rf"|impossible|unknown|uncertain|unspecified)\b",
        rf"(?:it|this|that|they|the [^,:]{{1,80}}?) {_CANNOT} be {_HOW}(?:answered|determined|inferred|derived|known"
        rf"|established|concluded)\b",
        rf"(?:the|any|specific|exact|further|more|details|information|its|their)\b[^:$€£¥]{{0,120}}? {_IS_NOT} {_HOW}"
        rf"{_TOLD}\b",
        rf"(?:any|an?|the|a definitive|a specific) (?:answer|response|conclusion)\b[^:]{{0,80}} "
        rf"(?:would|is|are|{_CANNOT})\b.{{0,60}}(?:speculat|guess|possible|impossible|assumption|given|provided)",
        r"nothing (?:else )?(?:is |was )?(?:said|mentioned|stated|about)\b",
    ),
    framing=(
        rf"{_TOPIC_SUBJECT} (?:does |do |seems? to |appears? to )?(?:{_ONLY}(?:{_DESCRIBES}|{_IS_ABOUT}|states?"
        rf"|about)|{_IS_ABOUT}|(?:{_DESCRIBES}|(?:is|are)) {_ONLY}(?!that))\b(?! that){_NO_FIGURE}",
        rf"{_TOPIC_SUBJECT} (?:contains?|provides?|offers?|gives?|includes?) (?:some |general |only |other |related "
        rf"|various |background |information|details|an overview){_NO_FIGURE}",
    ),
    introducing=(rf"{_TOPIC_SUBJECT} (?:does |do )?(?:{_ONLY}|also )?{_DESCRIBES}\b(?! (?:that|no)\b){_NO_FIGURE}",),
    accompanying=(
        rf"(?:please|kindly|you'll (?:need|have) to|you (?:may|might|should|could|would|can|will)(?:'d)?"
        rf"|i(?:'d| would)?(?: strongly| also| highly)? (?:recommend|suggest|advise|encourage)(?: that)?(?: you)?"
        rf"(?: to)?|one (?:may|might|should|could|would|can)|(?:users?|readers?|investors?) (?:may|might|should|could"
        rf"|can)|(?:it|this) (?:is|would be|may be|might be)(?: recommended| advisable| best| necessary| helpful"
        rf"| better| useful| advised)*(?: for you)? to|to [^,:]{{3,100}},? (?:please|you|i|one)\b.{{0,40}}?)"
        rf"(?: (?:want|need|have|like|wish|try|also|always|directly|instead|to|still))* {_ADVISED}",
        rf"(?:i|we)(?:'d| would)?(?: strongly| also| highly)? (?:recommend|suggest|advise) {_ADVISING}",
        rf"{_ADVISED}.{{0,80}}\b(?:for|to (?:get|obtain|find|determine|learn))\b",
        r"i(?:'d| would|'ll| will)? (?:also )?(?:need|require|apologi[sz]e|hope|be (?:happy|glad)|appreciate)\b",
        r"we (?:would )?(?:need|require) (?:more|additional|further)\b",
        r"(?:i'm|i am) (?:sorry|happy|glad|here)\b",
        r"(?:let me know|feel free|would (?:you|there)|(?:can|may|shall) i|could you|can you|do you (?:have|want|know)"
        r"|is there (?:anything|something)|thank|thanks|how (?:else )?(?:can|may) i|happy to help"
        r"|what (?:else )?(?:can|would))\b",
        r"if (?:you|there|more|additional|further|any|the|needed|i)\b.{1,160}\b"
        r"(?:i (?:can|could|may|would|will|might)|i'll|i'd|i'm|please|let me|feel free|happy to|glad to"
        r"|would be (?:happy|glad))\b",
        r"(?:i|we) (?:can|could|would|will|may) (?:then |only |try|help|assist|answer|be able|gladly|happily"
        r"|certainly|better)\b.{0,80}\b(?:if|once|when|with|on|try|questions?|help)\b",
        rf"(?:more|additional|further|other) (?:specific |detailed |relevant )?(?:information|context|details?"
        rf"|sources?|documents?|documentation|data)\b{_NO_FIGURE}",
        r"to (?:answer|determine|find out|find|provide|get|obtain|give|address|learn|know|respond)\b.{1,120}\b"
        r"(?:need(?:ed|s)?|required?|necessary|consult|refer|check|contact|review|see|please|look|would have to)\b",
        r"for (?:more|further|details|additional|this|that|accurate|detailed|specific|the|precise|such|exact|official"
        r"|these|an?|any)\b.{0,100}\b(?:please|consult|refer|check|contact|visit|see|review|need(?:ed)?|recommend"
        r"|advis|look)",
        r"my (?:current )?(?:abilities|capabilities|functions|tools|knowledge|training)\b",
        r"(?:sources?|references?|citations?|documents?|supported citations)(?:\s*:.{0,120})?$",
    ),
    saying=(
        r", (?:said|says|(?:he|she|the [a-z]+) (?:said|says|stated))\b",
        r", (?:we|our|the company|management)\b",
        r", (?:which|this|that) (?:suggests?|means?|implies|indicates?)\b",
        r",? (?:suggesting|implying|indicating|meaning) (?:that )?",
        r", (?:it|they) (?:only |just |merely )?(?:states?|says?|indicates?|notes?|reports?|requires?|was|were)\b",
        r"[,:] (?:and |with )?(?:the|its|their|an?|total|revenue)\b[^,]{0,60}?\b(?:is|are|was|were|totaled|amounted"
        r"|stood|of)\b[^,]{0,40}?(?:[$€£¥]|\b\d)",
        r"\b(?:beyond|besides) (?:stating|saying|mentioning|noting|the fact|that)\b",
        r", and (?:the|its|their) [^,]{1,60} (?:is|was|are|were|has|have|had|will) (?!not\b|n't|only mentioned)",
    ),
)
