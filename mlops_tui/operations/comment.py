"""`comment`: a text of one's own on a pull request, posted exactly once."""

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.operation import Change, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Parameter, Place, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.pulls import TALK, TARGET, Post, find, forbidden, lost, named, over, was_posted
from mlops_tui.operations.repositories import gh, not_permitted


class Comment(Verb):
    """Posts a comment."""

    name = "comment"
    kind = RowKind.PULL
    target = TARGET
    summary = "Comment on a pull request"
    parameters = (Parameter("body", "the text, Markdown", FieldKind.BLOCK, required=True),)

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        # As it was written: a first line that is indented is code.
        text = request.parameters.get("body", "").strip("\r\n").rstrip()
        there, doubts = await lost(target, request, place) if text else ("", ())
        count = int(target.body.get("comments") or 0)
        post = Post(target, text, place.clock)
        return Draft(
            title=named(target, "Comment on"),
            name=target.address,
            environment=target.environment,
            fields=(PlanField(name="body", label="Text", kind=FieldKind.BLOCK, value=text),),
            changes=(Change(what="comments", before=str(count), after=str(count + 1)),),
            warnings=(*over(target), *doubts),
            refusals=(
                *await not_permitted(target.forge, target.repository, *TALK),
                *forbidden(target, place, text),
                *(() if text else (Concern(text="there is no text yet", hint="write one, in Markdown"),)),
            ),
            idle=there,
            steps=(post.step(f"comment on {target.address}"),),
            command=gh(place, target.repository, "pr", "comment", str(target.number), "--body", text),
            preview=text,
            patience=60.0,
            facts={"since": target.since},
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        return await was_posted(record, place)
