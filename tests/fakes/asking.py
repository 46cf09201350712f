"""One question to a stage of the resolving road, waited for."""

from node.gather import answered
from node.resolve.answer import Answer, Question, Stage


async def asked_of(stage: Stage, question: Question) -> Answer:
    """What `stage` tells. Raises what it tells instead."""
    return await answered(lambda then: stage.ask([question], lambda _, answers: then(answers[0])))
