"""The English by which statements are read and compared: lists of words, all in lower case. No logic."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Verbs by the one name that their forms and synonyms share.
SYNONYMS = {
    "be": _set("is are am was were"),
    "have": _set("have has own owns"),
    "live": _set("live lives living relocated based reside resides"),
    "work": _set("work works working started"),
    "call": _set("call go"),
    "change": _set(
        "changed switched postponed rescheduled pushed shifted swapped replaced extended delayed upgraded moved"
    ),
    "like": _set("like likes love loves enjoy enjoys adore adores prefer prefers hate hates dislike dislikes"),
    "eat": _set("eat eats"),
    "drink": _set("drink drinks"),
    "play": _set("play plays"),
    "use": _set("use uses"),
    "drive": _set("drive drives"),
    "take": _set("take takes"),
    "pay": _set("pay pays"),
    "cost": _set("cost costs"),
    "weigh": _set("weigh weighs"),
    "begin": _set("begin begins start starts"),
    "leave": _set("leave leaves"),
    "smoke": _set("smoke smokes"),
}
DISLIKES = _set("hate hates dislike dislikes")
NEGATIONS = _set("not never no")
PAST = _set("was were had did got went made ran ate drank took bought paid saw read wrote used")
# These look like the past and tell what holds now.
PRESENT = _set("relocated based started") | SYNONYMS["change"]
FILLERS = _set(
    "actually again already also always anymore currently days definitely finally just longer more mostly newly now"
    " nowadays officially really recently still these too ,"
)
# What may stand between a subject and its main verb.
HELPERS = _set("do does did will can ca wo been be") | FILLERS | NEGATIONS
AFTER_BE = _set("living based working") | SYNONYMS["change"]
# Verbs by which the end of a subject ("my old phone number …") is known.
VERBS = (
    frozenset(word for words in SYNONYMS.values() for word in words)
    | NEGATIONS
    | _set("do does did will can used had open opens close closes end ends")
)

# Before a statement: words that say nothing of what it states.
LEADS = _set(
    "actually ah also although and because big but btw by correction days fact from good great hey hi in news no note"
    " now nowadays of oh ok okay on oops out please recently since so sorry still that these today turns unfortunately"
    " update way well yeah yes ,"
)
SPEAKS = _set("i we there")
OWNS = _set("my our the")
OTHERS = _set("he she they you it his her their this that what who how which a an")
BEGINS = _set("i we my our it")
NO_SPEAKERS = _set("actually btw correction edit fyi hey news no note oh ok ps sorry so update well yes")

# Not stated as a fact: wishes, plans, guesses.
HEDGES = _set(
    "if whether maybe perhaps might could should would i'd want wants wanted wish hope hoping planning thinking"
    " think thought considering imagine dream interview almost"
)
# Something is not as it was.
CUES = _set(
    "actually again anymore changed correction instead longer meant moved newly now nowadays oops renamed sorry"
    " switched"
)
CUE_PHRASES = ("these days", "turns out", "turned out")
# Something is over: by the verb, or by a phrase that holds one of these.
ENDS = _set("quit stopped gave given left sold cancelled canceled")
ENDINGS = ENDS | _set("longer anymore any used instead rather switched changed moved")

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: str(number) for number, word in enumerate(_DIGITS)}
MARKS = frozenset(NUMBERS) | _set(
    "eleven twelve twice noon midnight january february march april may june july august september october november"
    " december monday tuesday wednesday thursday friday saturday sunday"
)
PLACING = _set("in at on near to for with as into from about by")
TIMELY = _set("at on by from until")

# What a person or thing has one of: another value replaces the one before.
ONE = _set(
    "name nickname email address number phone code pin birthday boss manager supervisor doctor dentist therapist"
    " landlord employer rent salary weight height"
)
FAVOURITE = _set("favourite favorite")
# A new one of these takes the place of the old.
HELD = ONE | _set("car job flat apartment house laptop")
# True for the moment only.
PASSING = _set("today tomorrow tonight yesterday late left away early")
# What a person is one of at a time.
STATES = (
    _set("vegetarian vegan pescatarian omnivore"),
    _set("single engaged married divorced widowed"),
    _set("unemployed retired employed"),
)
STANCES = _set("like be eat drink play use smoke drive")
FEELINGS = _set("allergic afraid scared intolerant interested keen")
COUNTED = _set("be have weigh cost take pay")
HOMES = _set("in at on near to")
EMPLOYERS = _set("at for")
GOALS = _set("to for until with by")
# Places that hold others: who lives in one of these and in a town may well live in both.
WIDE = _set(
    "africa america argentina asia australia austria belgium brazil britain california canada chile china colombia"
    " croatia cuba czechia denmark egypt england estonia europe finland florida france germany ghana greece hungary"
    " iceland india indonesia iran iraq ireland israel italy japan kenya korea latvia lithuania malaysia mexico morocco"
    " netherlands nigeria norway pakistan peru philippines poland portugal romania russia scotland serbia spain sweden"
    " switzerland taiwan texas thailand turkey uk ukraine usa vietnam wales"
)
# Words by which no two texts are alike.
EMPTY = _set(
    "a about after all am an and any anymore are as at be been being but by did do does down for from had has have he"
    " her here him his how i i'm i've if in into is it it's its just longer me more my no not now of on or our out over"
    " she so some such than that that's the their them then there these they this those to too up us used was we were"
    " what when where which who why will with you your"
)
