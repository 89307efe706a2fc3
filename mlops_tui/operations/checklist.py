"""`checklist`: the checklist for what a pull request changes, posted as a comment."""

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.checklist import checklist_for, is_checklist_comment, parse_checklist
from mlops_tui.domain.operation import Change, Concern, PlanRequest
from mlops_tui.operations.base import Draft, Place, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.pulls import (
    TALK,
    TARGET,
    Post,
    Target,
    checklist_comment,
    find,
    forbidden,
    lost,
    named,
    over,
    was_posted,
)
from mlops_tui.operations.repositories import gh, not_permitted
from mlops_tui.operations.systems import Json


class Checklist(Verb):
    """Posts the checklist whose sections the changed files ask for."""

    name = "checklist"
    kind = RowKind.PULL
    target = TARGET
    summary = "Post the checklist for the changed files"

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        files = await target.forge.files(target.repository, target.number)
        text = checklist_for(files)
        comments = await target.forge.comments(target.repository, target.number)
        there, doubts = await lost(target, request, place)
        items = parse_checklist(text)
        post = Post(target, text.rstrip(), place.clock)
        sections = ", ".join(dict.fromkeys(item.section for item in items))
        return Draft(
            title=named(target, "Post the checklist on"),
            name=target.address,
            environment=target.environment,
            changes=(Change(what="checklist", before="none", after=f"{len(items)} items: {sections}"),),
            warnings=(*over(target), *doubts, *_own_items(target)),
            refusals=(
                *await not_permitted(target.forge, target.repository, *TALK),
                *forbidden(target, place, text),
            ),
            idle=_posted(target, comments) or there,
            steps=(post.step(f"post the checklist on {target.address}"),),
            command=gh(place, target.repository, "pr", "comment", str(target.number), "--body", text),
            preview=text,
            patience=60.0,
            facts={"since": target.since, "files": str(len(files))},
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        return await was_posted(record, place)


def _posted(target: Target, comments: list[Json]) -> str:
    """Return where the checklist is; empty where there is none."""
    if is_checklist_comment(target.text):
        return "its description is a checklist"
    comment = checklist_comment(target, comments)
    if comment is None:
        return ""
    items = parse_checklist(str(comment.get("body") or ""))
    done = sum(item.done for item in items)
    return f"it is there, {done} of {len(items)} items done: {comment.get('html_url', '')}"


def _own_items(target: Target) -> tuple[Concern, ...]:
    count = len(parse_checklist(target.text))
    return (Concern(text=f"its description has a list of {count} items, too"),) if count else ()
