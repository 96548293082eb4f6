"""Questions from English sentences by rules alone: the baseline that no training and no model stands behind."""

from __future__ import annotations

import re

from msig_lib.mining.documents import Document

FEWEST = 4  # ours: words of a sentence that is asked about
LONGEST = 1000  # ours: characters; a longer "sentence" is asked about as a whole
MOST = 8  # ours: words of a subject; a longer one was not found rightly

PRONOUN = r"it|he|she|they|this|that|these|those|its|his|her|their"
DETERMINER = r"the|a|an|its|his|her|their|this|these|most|many|some|all|each|both"
LEAD = "in|at|on|for|from|by|during|after|before|since|until|with|within|under|according to|despite|between|through"
ADVERB = re.compile(
    r"^(?:(?:for example|however|moreover|today|thus|also|then),? |[a-z]+ly, )", re.IGNORECASE
)
REPORTED = "say|says|said|think|thinks|thought|believe|believes|believed|claim|claims|claimed"
CLAUSE = re.compile(
    r"[,;:(]|\b(?:that|who|whom|whose|which|when|where|while|because|although|but|if|then|began|became|said)\b"
)
BREAK = re.compile(rf"{CLAUSE.pattern}|\.| (?:of|in|on|at|by|from|for|with|and|to|located|situated|built)\b")
_CAPITAL = "[A-ZÀ-ÖØ-Þ]"
NAME = re.compile(rf"\b{_CAPITAL}[\w'’-]+(?: (?:of |the |de |von |van )*{_CAPITAL}[\w'’-]*)*")
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
STARTER = re.compile(
    rf"(?:{DETERMINER}|{PRONOUN}|{LEAD}|every\w+|no\w*|much|{_MONTHS}|when|while|as|if|but|and|there)", re.I
)

_IS, _WAS, _HAS = "(?P<is>is|was|are|were)", "(?P<is>was|were)", "(?P<has>has|have|had)"
_NUMBER = r"(?:about |around |nearly |over |almost |some )?\d[\d.,]*"
_PLACED = "located|situated|based|born|held|buried|found|kept|housed"
_PARTICIPLE = rf"(?:\w+ed|\w+wn|built|made|given|taken|written|sold|won|led|lost|set|begun|{_PLACED})"
_S = "(?P<s>.+?)"
RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), asked)
    for pattern, asked in (
        (rf"there {_IS} {_NUMBER} (?P<r>[^ ,;(]+)(?P<rest>[^,;(]*).*", "How many {r} {is} there{rest}"),
        (rf"{_S} {_WAS} (?P<r>{_PARTICIPLE}\b[^,;(]*?),? in \d{{4}}\b.*", "In which year {is} {s} {r}"),
        (rf"{_S} {_HAS} .+? (?P<r>as (?:its|his|her|their|an?|the) [^,;(]+).*", "What {do} {s} have {r}"),
        (rf"{_S} {_HAS} {_NUMBER} (?P<r>[^,;(]+).*", "How many {r} {do} {s} have"),
        (rf".+? {_IS} (?P<r>the [^,;(]+ of [^,;(]+).*", "What {is} {r}"),
        (rf".+? {_IS} (?P<r>(?:[\w-]+ ){{0,3}}[\w-]+['’]s? \w+)", "What {is} {r}"),
        (rf"(?!the .* of){_S} {_IS} {_NUMBER} (?P<r>\w+ \w+)", "How many {r} {is} {s}"),
        (rf"{_S} {_IS} (?P<r>{_PLACED}) (?:in|at|on|near)\b.*", "Where {is} {s} {r}"),
        (rf"{_S} {_IS} (?P<r>{_PARTICIPLE}) by\b.*", "By whom or what {is} {s} {r}"),
        (rf"{_S} {_WAS} {_PARTICIPLE}\b.*", "What happened to {s}"),
        (rf"{_S} {_IS} .+", "What {is} {s}"),
        (rf"{_S} {_HAS} (?!been\b).+", "What {do} {s} have"),
    )
)
"""A whole sentence without its full stop, and what asks about its subject {s} and the rest {r}; the first that fits."""
# A number, a capitalised word after the first, or one word that is the subject: "Peat is its fuel".
TELLS = re.compile(
    rf"\d| {NAME.pattern}|^(?!(?i:{STARTER.pattern}) ){_CAPITAL}[\w-]+ (?:is|was|are|were|has|have|had) "
)
_DO = {"has": "does", "have": "do", "had": "did"}


def pair(document: Document, i: int) -> tuple[str, str] | str:
    """Return (question, answer) for sentence `i`, or the criterion by which it is refused.

    The answer is the sentence, with the title in place of a pronoun at its beginning or of "the <noun>" where the
    document begins with "<title> is a <noun>". Refused are fewer than 4 words ("clear"), a pronoun that stands for
    nothing known ("clear"), questions and sentences without a number or a capitalised word (that of the first word
    counts where it is the subject: "informative"), and repetitions to the letter ("new").
    """
    sentence = " ".join(document.sentences[i].split())
    words = sentence.split()
    if sentence.rstrip("\"'”’)] ").endswith("?"):
        return "informative"
    if len(words) < FEWEST:
        return "clear"
    if not TELLS.search(sentence):
        return "informative"
    if document.sentences.index(document.sentences[i]) < i:
        return "new"
    named = with_name(sentence, document)
    if re.match(rf"(?:{PRONOUN})\b", named, re.IGNORECASE):
        return "clear"
    asked = question(named)
    if asked is None:
        return "clear"
    title = bare(document.title)
    if title and not NAME.search(asked, 1):  # "What happened to the findings?"
        asked = f"{title}: {asked[0].lower()}{asked[1:]}"
    return asked, named


def question(sentence: str) -> str | None:
    """Return a question that the sentence answers, None when no rule finds one.

    >>> question("The Eiffel Tower was completed in 1889.")
    'In which year was the Eiffel Tower completed?'
    """
    plain = sentence.rstrip(" .!;:\"”’'")
    asked = _by_rule(plain) if len(plain) <= LONGEST else None
    if asked:
        return asked
    names = NAME.findall(plain)
    if len(names) > 1 and " " not in names[0] and not re.match(r"\w+ \w+(?:s|ed)\b", plain):
        names = names[1:]  # "Rain fell on Lund": the first word has a capital letter anyway
    names = [re.sub("['’]s?$", "", name) for name in names if not STARTER.fullmatch(name)]
    return f"What is known about {_inside(names[0])}?" if names else None


def _by_rule(plain: str) -> str | None:
    hit = re.fullmatch(rf"(?:as for|regarding|concerning) ([^,]+), (?:{PRONOUN}) (.+)", plain, re.I)
    plain = f"{hit[1]} {hit[2]}" if hit else plain
    plain = re.sub(rf"^[^,]*? (?:{REPORTED}) that ", "", ADVERB.sub("", plain))
    after = ""
    hit = re.fullmatch(rf"((?:{LEAD})\b[^,]*), (.+)", plain, re.IGNORECASE)
    if hit:  # "In 1820, ..." goes to the end of the question
        after, plain = f" {hit[1][0].lower()}{hit[1][1:]}", hit[2]
    for pattern, asked in RULES:
        if hit := pattern.fullmatch(plain):
            parts = hit.groupdict()
            subject = _inside(parts.get("s") or "")
            unclear = CLAUSE.search(subject) or re.fullmatch(f"{PRONOUN}|there", subject, re.IGNORECASE)
            if unclear or len(subject.split()) > MOST:
                return None
            return f"{asked.format(**parts | {'s': subject, 'do': _DO.get(parts.get('has', ''))})}{after}?"
    return None


def _inside(text: str) -> str:
    """Return a subject as it stands within a question: "The pressure" is "the pressure"."""
    return re.sub(rf"^({DETERMINER})\b", lambda hit: hit[0].lower(), text, flags=re.I)


def bare(title: str) -> str:
    """Return a title without what tells it apart: "Mercury (planet)" is "Mercury"."""
    return re.sub(r" \([^)]*\)$", "", title.strip())


def with_name(sentence: str, document: Document) -> str:
    """Return the sentence with the document's title for what stands for it (see `pair`), once."""
    title = bare(document.title)
    if not title or title.casefold() in sentence.casefold():
        return sentence
    noun = _noun(document.sentences[0], title)
    if noun:
        replaced = re.sub(noun, lambda _: title, sentence, count=1, flags=re.IGNORECASE)
        if replaced != sentence:
            return replaced
    owner = f"{title}'" if title.endswith("s") else f"{title}'s"
    replaced = re.sub(r"^(?:its|his|her|their) (?=[a-z\d])", lambda _: f"{owner} ", sentence, flags=re.I)
    replaced = re.sub(r"^(?:it|he|she|they) (?=[a-z])", lambda _: f"{title} ", replaced, flags=re.I)
    if replaced == sentence:  # "45 bar is its pressure"
        replaced = re.sub(
            r" (is|was|are|were) (?:its|his|her|their) ",
            lambda hit: f" {hit[1]} {owner} ",
            sentence,
            count=1,
        )
    return replaced


def _noun(opening: str, title: str) -> str:
    """Return a pattern of what "<title> is a <big steam engine>" lets stand for the title: "the steam engine"."""
    hit = re.match(r"(?P<s>.{1,200}?) (?:is|was|are|were) (?:an?|the) (?P<what>.+)", opening)
    if not hit or title.casefold() not in hit["s"].casefold():
        return ""
    phrase = re.findall(r"[\w-]+", BREAK.split(hit["what"])[0])
    if not phrase:
        return ""
    before = "|".join(map(re.escape, phrase[:-1]))
    return rf"\b(?:the|this) (?:(?:{before}) )*{re.escape(phrase[-1])}\b"
