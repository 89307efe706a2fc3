"""`review`: approve a pull request's head, ask for changes, or say something about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import ConfigError, Conflict
from mlops_tui.domain.operation import Change, Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Execution, Parameter, Place, Step, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.pulls import TARGET, Target, find, forbidden, login_of, named, over
from mlops_tui.operations.repositories import SETTLED, gh, look, mark_of, marked, not_permitted
from mlops_tui.operations.systems import Json

EVENTS = {
    "approve": ("APPROVE", "Approve", "APPROVED"),
    "request-changes": ("REQUEST_CHANGES", "Request changes to", "CHANGES_REQUESTED"),
    "comment": ("COMMENT", "Review", "COMMENTED"),
}
"""By the name of the event: GitHub's word, ours, and the state that it gives."""
VERDICTS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
NEEDS = "pull requests: write"


class Review(Verb):
    """Reviews the commit that was at the head when the plan was made, and no other."""

    name = "review"
    kind = RowKind.PULL
    target = TARGET
    summary = "Approve a pull request, or request changes"
    parameters = (
        Parameter("event", f"{', '.join(EVENTS)}; approve if not given", FieldKind.CHOICE, positional=True),
        Parameter("body", "what to say with it, Markdown", FieldKind.BLOCK),
    )

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        event = self.parameter(request, "event") or "approve"
        if event not in EVENTS:
            raise ConfigError(f"review {request.target}: {event} is no review", f"one of: {', '.join(EVENTS)}")
        text = request.parameters.get("body", "").strip("\r\n").rstrip()
        reviews = await target.forge.reviews(target.repository, target.number)
        verdict = _Verdict(target, event, text, place.clock)
        own = _own(reviews, target)
        choices = tuple(Choice(value=name, label=words[1]) for name, words in EVENTS.items())
        return Draft(
            title=named(target, EVENTS[event][1]),
            name=target.address,
            environment=target.environment,
            fields=(
                PlanField(name="event", label="Review", kind=FieldKind.CHOICE, value=event, choices=choices),
                PlanField(name="body", label="Text", kind=FieldKind.BLOCK, value=text),
            ),
            changes=(Change(what="our verdict", before=_state(own), after=EVENTS[event][2].lower().replace("_", " ")),),
            warnings=(*over(target), *_doubts(target, event)),
            refusals=(
                *await not_permitted(target.forge, target.repository, NEEDS),
                *_impossible(target, event, text),
                *forbidden(target, place, text),
            ),
            idle=_idle(own, target, event),
            steps=(verdict.step(),),
            command=_command(target, event, text, place),
            preview=text,
            patience=60.0,
            facts={"commit": target.head, "event": event},
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        target = await find(record.request, place)
        reviews = await target.forge.reviews(target.repository, target.number)
        if _marked(reviews, record.operation, target.login):
            return True
        return False if place.clock.now() - record.at > timedelta(seconds=SETTLED) else None


@dataclass
class _Verdict:
    """A review that is sent exactly once, and found again by its mark where no answer came."""

    target: Target
    event: str
    text: str
    clock: Clock
    operation: str = ""
    found: list[Json] = field(default_factory=list)

    def step(self) -> Step:
        word = {"approve": "approve", "request-changes": "request changes to", "comment": "comment on"}[self.event]
        return Step(f"{word} {self.target.head[:12]}", self.act, self.happened, self.verify)

    async def act(self, execution: Execution) -> None:
        target, self.operation = self.target, execution.operation
        now = await target.forge.pull(target.repository, target.number)
        if str(now["head"]["sha"]) != target.head:
            raise Conflict(
                f"{target.address}: the head moved from {target.head[:12]} to {str(now['head']['sha'])[:12]}",
                "look at the new commits, and plan it again",
            )
        body = marked(self.text, self.operation)
        event = EVENTS[self.event][0]
        review = await target.forge.review(target.repository, target.number, event=event, body=body, commit=target.head)
        self.found.append(review)

    async def happened(self) -> bool | None:
        return await look(self.clock, self._seen)

    async def _seen(self) -> bool | None:
        target = self.target
        review = _marked(await target.forge.reviews(target.repository, target.number), self.operation, target.login)
        if review is None:
            return None
        self.found.append(review)
        return True

    async def verify(self, execution: Execution) -> str:
        state = EVENTS[self.event][2].lower().replace("_", " ")
        return f"{self.target.address} at {self.target.head[:12]}: {state}: {self.found[-1].get('html_url', '')}"


def _marked(reviews: Sequence[Json], operation: str, login: str) -> Json | None:
    mark = mark_of(operation)
    for review in reviews:
        if mark in str(review.get("body") or "") and login in ("", login_of(review)):
            return review
    return None


def _own(reviews: Sequence[Json], target: Target) -> Json | None:
    """Return our latest verdict, or `None`."""
    mine = [each for each in reviews if target.login and login_of(each) == target.login]
    return next((each for each in reversed(mine) if each.get("state") in VERDICTS), None)


def _state(review: Json | None) -> str:
    return str(review["state"]).lower().replace("_", " ") if review else "none"


def _idle(own: Json | None, target: Target, event: str) -> str:
    if event != "approve" or own is None:
        return ""
    approved = (own.get("state"), own.get("commit_id")) == ("APPROVED", target.head)
    return f"you have approved {target.head[:12]} already" if approved else ""


def _impossible(target: Target, event: str, text: str) -> tuple[Concern, ...]:
    found = []
    if event != "comment" and target.login and target.login == target.author:
        verdict = "approved" if event == "approve" else "held up"
        found.append(Concern(text=f"one's own pull request cannot be {verdict}", hint="comment on it instead"))
    if event != "approve" and not text:
        found.append(Concern(text="it needs a text", hint="say what has to change, or what you think"))
    return tuple(found)


def _doubts(target: Target, event: str) -> tuple[Concern, ...]:
    if event == "approve" and target.body.get("draft"):
        return (Concern(text="it is a draft", hint="its author does not think it finished"),)
    return ()


def _command(target: Target, event: str, text: str, place: Place) -> str:
    body = ("--body", text) if text else ()
    return gh(place, target.repository, "pr", "review", str(target.number), f"--{event}", *body)
