"""Asks questions about what was told, and looks for the evidence in the prompt that the worker received.

Must never judge by what memory says that it did: only the worker's own prompt counts.
"""

from collections.abc import Callable, Sequence

from gateway.evals.door import Door, DoorShut
from gateway.evals.locomo import Dialogue, Question
from gateway.evals.tally import Asked


def chosen(dialogue: Dialogue, limit: int | None) -> tuple[Question, ...]:
    """The questions that have evidence; at most `limit` of them, spread evenly over the file's order."""
    usable = tuple(question for question in dialogue.questions if question.evidence)
    if limit is None or limit >= len(usable):
        return usable
    return tuple(usable[i * len(usable) // limit] for i in range(limit))


def newest_first(dialogue: Dialogue, questions: Sequence[Question]) -> list[Question]:
    """The questions, those first whose evidence was said last."""
    order = {id: place for place, id in enumerate(dialogue.turns)}
    return sorted(questions, key=lambda question: -max(order[id] for id in question.evidence))


async def ask(
    door: Door,
    dialogue: Dialogue,
    user: str,
    questions: Sequence[Question],
    round_name: str,
    step: Callable[[], object],
) -> list[Asked]:
    """Each question in a session of its own, in memory mode `read`, one after another; `step` is called after each.

    `round_name` keeps the sessions of two rounds apart. DoorShut when the worker does not tell its prompt.
    """
    asked = []
    at = dialogue.sessions[-1].at
    for i, question in enumerate(questions):
        reply = await door.say(
            [{"role": "user", "content": question.text}],
            user=user,
            session=f"{round_name}-{i}",
            at=at,
            mode="read",
            with_prompt=True,
        )
        if reply.prompt is None:
            raise DoorShut("The worker's answer has no prompt_text: it must honour return_prompt_text, as vLLM does.")
        found = evidence_in(reply.prompt, dialogue, question)
        asked.append(
            Asked(
                conversation=dialogue.name,
                question=question.text,
                category=question.category,
                evidence=question.evidence,
                found=found,
                tokens=reply.tokens,
                millis=reply.millis,
                skipped=reply.skipped,
                trace=reply.trace,
            )
        )
        step()
    return asked


def evidence_in(prompt: str, dialogue: Dialogue, question: Question) -> tuple[str, ...]:
    """Those of the question's evidence turns whose speaker and words stand in the prompt, white space aside."""
    turns, standing = dialogue.turns, _normal(prompt)
    return tuple(id for id in question.evidence if _normal(turns[id].words) in standing)


def _normal(text: str) -> str:
    return " ".join(text.split())
