"""ReasoningBank: what past tasks taught, those that went well and those that did not, for the next task like them.

The idea (arXiv 2509.25140): from every trajectory a few strategies are drawn, by one prompt where it succeeded and by
another where it failed; the next task gets the strategies of the one past task that is most like it; and several
attempts at one task are contrasted (MaTTS). Whether it succeeded is what somebody told, or else what a judge finds. The
authors' script for attempts labels a reward of 0 as success; here nothing that was told to be a failure ever is one.
docs/policies/reasoningbank.md tells what differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.memory.policies.asking import remarked, told
from gateway.memory.policies.base import Study
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit, Turn
from gateway.memory.reflections import Draft, Forget, Insert, Operation
from gateway.memory.revise import plain, thought_id
from gateway.memory.thoughts import Link, Outcome

_JUDGE = """Did the assistant do what the user asked for? Go by what stands there: nobody tells you the right answer.
`why` says in one sentence what speaks for it and what against it; `success` says whether it did."""
_FORM = """`strategies` has at most {most}: `title` names one in a few words, `description` says in one sentence when to
use it and when not, `content` says in one to three sentences what to do. They are for other tasks: no name, number,
file or wording of this one, and none twice."""
_WELL = "The assistant did this well. Think first: `why` says what made it go well. Then draw strategies from that."
_BADLY = """The assistant did not do this. Think first: `why` says where it went wrong, and what would have shown it in
time. Then draw strategies that avoid that."""
_CONTRAST = """These are several attempts at one task: {labels}. Compare them first: `why` says what the better ones do
that the others do not. Then draw strategies from the difference."""
_TITLE, _DESCRIPTION, _CONTENT, _TASK = 80, 240, 480, 1000
_WORDS: Mapping[Outcome, str] = {"success": "succeeded", "failure": "failed"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge is asked for."""

    why: str
    success: bool


@dataclass(frozen=True, slots=True)
class Strategy:
    """What is to be kept."""

    title: str
    description: str
    content: str


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a model is asked for, about the attempts at one task."""

    why: str
    strategies: tuple[Strategy, ...]


@dataclass(frozen=True, slots=True)
class ReasoningBank(Verbatim):
    """Strategies of the past task that is most like the one at hand.

    At most `most` are drawn from a trajectory, and `contrasted` from several attempts at one task. Those of the `shown`
    past tasks most alike are shown (numbers of the paper, whose ablation finds more of them worse), and of none that is
    less alike than `alike` (a cosine).
    """

    name: str = "reasoningbank"
    thinks: bool = True
    follows: float = 0.9
    most: int = 3
    contrasted: int = 5
    shown: int = 1
    alike: float = 0.35

    async def reflect(self, turns: Sequence[Turn], study: Study) -> Sequence[Operation]:
        """Every attempt as an experience that leads from its task to what it taught. Told of an outcome, the strategies
        that rest on the attempt are drawn again, and those from before are forgotten."""
        tasks: dict[str, list[Turn]] = {}
        for turn in turns:
            if turn.user_text and turn.reply_text:
                tasks.setdefault(plain(turn.user_text), []).append(turn)
        return [operation for attempts in tasks.values() for operation in await self._learned(attempts, study)]

    def rank(self, question: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        """The strategies of the tasks most like the question, then what was said, as verbatim."""
        found = {c.memory.id: c for c in candidates if c.memory.kind == "strategy"}
        tasks = [c for c in candidates if c.memory.kind == "experience" and _likeness(c) >= self.alike]
        tasks.sort(key=lambda c: (-_likeness(c), not _went_well(c), c.memory.id))
        hits: dict[str, Hit] = {}
        shown = 0
        for task in tasks:
            links = task.memory.thought.links if task.memory.thought else ()
            taught = [found[link.to] for link in links if link.to in found and link.to not in hits]
            if taught and shown < self.shown:
                shown += 1
                score = round(_likeness(task), 4)
                hits |= {c.memory.id: Hit(c.memory, score, {**c.signals, "task": score}) for c in taught}
        rest = [Hit(c.memory, 0.0, c.signals, "of another task") for id, c in found.items() if id not in hits]
        said = [c for c in candidates if c.memory.kind not in ("strategy", "experience")]
        return [*hits.values(), *Verbatim.rank(self, question, said, now), *rest]

    async def _learned(self, attempts: list[Turn], study: Study) -> list[Operation]:
        outcomes = [await self._outcome(turn, study) for turn in attempts]
        strategies = self._strategies(attempts, await self._lessons(attempts, outcomes, study), label(outcomes))
        made = [thought_id(attempts[0].scope, self.name, draft) for draft in strategies]
        links = tuple(Link(id, "causal") for id in made)
        tasks = [
            Draft("experience", t.user_text[:_TASK], (t.id,), key=t.id, links=links, outcome=outcome)
            for t, outcome in zip(attempts, outcomes, strict=True)
        ]
        before = await study.get([thought_id(t.scope, self.name, d) for t, d in zip(attempts, tasks, strict=True)])
        led = [link.to for memory in before if memory.thought for link in memory.thought.links]
        gone = await study.get([id for id in dict.fromkeys(led) if id not in made])
        return [*(Forget(memory.id) for memory in gone), *(Insert(draft) for draft in (*strategies, *tasks))]

    async def _outcome(self, turn: Turn, study: Study) -> Outcome:
        """As somebody told; the judge is asked only where nobody did."""
        if turn.feedback and turn.feedback.outcome:
            return turn.feedback.outcome
        verdict = await study.ask(f"{_JUDGE}\n\n{told([turn])}\n{remarked([turn])}", Verdict)
        return "success" if verdict.success else "failure"

    async def _lessons(self, attempts: list[Turn], outcomes: list[Outcome], study: Study) -> Lessons:
        if len(attempts) > 1:
            labels = ", ".join(f"[{number}] {_WORDS[outcome]}" for number, outcome in enumerate(outcomes, 1))
            ask, most = _CONTRAST.format(labels=labels), self.contrasted
        else:
            ask, most = (_WELL if outcomes == ["success"] else _BADLY), self.most
        prompt = f"{ask}\n{_FORM.format(most=most)}\n\n{told(attempts)}\n{remarked(attempts)}"
        return await study.ask(prompt, Lessons)

    def _strategies(self, attempts: list[Turn], lessons: Lessons, outcome: Outcome) -> list[Draft]:
        most = self.contrasted if len(attempts) > 1 else self.most
        useful = [strategy for strategy in lessons.strategies if strategy.content.strip()][:most]
        ids = tuple(turn.id for turn in attempts)
        return [
            Draft(
                kind="strategy",
                text=f"{each.description[:_DESCRIPTION].strip()} {each.content[:_CONTENT].strip()}".strip(),
                sources=ids,
                key=f"{' '.join(ids)} {number}",  # of other attempts another one, that rests on no more than those
                title=each.title[:_TITLE].strip(),
                outcome=outcome,
            )
            for number, each in enumerate(useful, 1)
        ]


def label(outcomes: Sequence[Outcome]) -> Outcome:
    """Of several attempts together: theirs if they agree, else none."""
    return outcomes[0] if len({*outcomes}) == 1 else ""


def _went_well(candidate: Candidate) -> bool:
    return candidate.memory.thought is not None and candidate.memory.thought.outcome == "success"


def _likeness(candidate: Candidate) -> float:
    return candidate.signals.get("dense_turn", 0.0)
