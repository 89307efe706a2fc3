"""REST: releases, the notes that GitHub writes for them, and tags."""

from typing import Any, Final

from mlops_tui.demo.github.http import ApiError, Call, Reply, invalid, json_reply, list_reply
from mlops_tui.demo.github.model import Release, StoreEvent
from mlops_tui.demo.github.world import NotFoundError

_TEXTS: Final = ("name", "body", "target_commitish")
_FLAGS: Final = ("draft", "prerelease")
_NOTES_OPTIONS: Final = (
    ("target", "target_commitish"),
    ("previous", "previous_tag_name"),
    ("configuration", "configuration_file_path"),
)


def releases(call: Call) -> Reply:
    # Drafts are for those who may publish them.
    drafts = call.token.may("contents", "write")
    found = [entry for entry in call.repository.releases if drafts or not entry.draft]
    return list_reply(call, [call.payloads.release(call.repository, entry) for entry in found])


def release(call: Call) -> Reply:
    return _reply(call, _release(call))


def latest_release(call: Call) -> Reply:
    found = call.store.latest_release(call.repo)
    if found is None:
        raise NotFoundError("no release")
    return _reply(call, found)


def release_of_tag(call: Call) -> Reply:
    for found in call.repository.releases:
        if found.tag == call.params["tag"] and not found.draft:
            return _reply(call, found)
    raise NotFoundError("no release with this tag")


def tags(call: Call) -> Reply:
    repo = call.repository
    return list_reply(call, [call.payloads.tag(repo, name, sha) for name, sha in reversed(repo.tags.items())])


def create(call: Call) -> Reply:
    fields = _checked(call)
    tag = _tag(call)
    target = fields.get("target_commitish") or call.repository.default_branch
    if tag not in call.repository.tags:
        _check_target(call, target)
    body = fields.get("body") or ""
    if fields.get("generate_release_notes") is True:
        notes = call.store.release_notes(call.repo, tag, call.payloads.web, target=target)
        body = "\n\n".join(filter(None, (body, notes)))
    number = call.store.add_release(
        call.repo,
        tag,
        name=fields.get("name") or "",
        body=body,
        author=call.token.login,
        target=target,
        draft=fields.get("draft") is True,
        prerelease=fields.get("prerelease") is True,
    )
    made = call.store.release(call.repo, number)
    _announce(call, made, "published" if not made.draft else "created")
    reply = _reply(call, made, 201)
    reply.headers["location"] = f"{call.payloads.repository_url(call.repository)}/releases/{number}"
    return reply


def edit(call: Call) -> Reply:
    found, fields = _release(call), _checked(call)
    tag = _tag(call, found) if "tag_name" in fields else None
    if fields.get("target_commitish"):
        _check_target(call, fields["target_commitish"])
    call.store.edit_release(
        call.repo,
        found.id,
        tag=tag,
        name=fields.get("name"),
        body=fields.get("body"),
        target=fields.get("target_commitish"),
        draft=fields.get("draft"),
        prerelease=fields.get("prerelease"),
    )
    _announce(call, found, "edited")
    return _reply(call, found)


def delete(call: Call) -> Reply:
    found = _release(call)
    call.store.delete_release(call.repo, found.id)
    _announce(call, found, "deleted")
    return Reply(status=204)


def generate_notes(call: Call) -> Reply:
    tag = call.text("tag_name", "Release")
    options = {}
    for name, field in _NOTES_OPTIONS:
        options[name] = call.fields.get(field) or ""
        if not isinstance(options[name], str):
            raise invalid("Release", field)
    if options["previous"] and options["previous"] not in call.repository.tags:
        raise ApiError(422, "Invalid previous_tag parameter")
    if options["target"] and tag not in call.repository.tags:
        _check_target(call, options["target"])
    body = call.store.release_notes(call.repo, tag, call.payloads.web, **options)
    return json_reply({"name": tag, "body": body})


def _checked(call: Call) -> dict[str, Any]:
    """Return the fields of a release, each of which is of its type, or missing.

    Raises:
        ApiError: 422, one is not.
    """
    fields = call.fields
    for names, kind in ((_TEXTS, str), (_FLAGS, bool)):
        for name in names:
            if fields.get(name) is not None and not isinstance(fields[name], kind):
                raise invalid("Release", name)
    return fields


def _tag(call: Call, own: Release | None = None) -> str:
    tag = call.text("tag_name", "Release").strip()
    if not tag:
        raise invalid("Release", "tag_name", "missing_field")
    if tag != call.text("tag_name", "Release") or any(sign in tag for sign in " ~^:?*[\\") or ".." in tag:
        raise invalid("Release", "tag_name", "custom", "tag_name is not a valid tag")
    if any(entry.tag == tag and not entry.draft for entry in call.repository.releases if entry is not own):
        raise invalid("Release", "tag_name", "already_exists")
    return tag


def _check_target(call: Call, target: str) -> None:
    try:
        call.store.resolve(call.repo, target)
    except NotFoundError:
        raise invalid("Release", "target_commitish") from None


def _release(call: Call) -> Release:
    found = call.store.release(call.repo, call.number("release_id"))
    if found.draft and not call.token.may("contents", "write"):
        raise NotFoundError("a draft is for those who may publish it")
    return found


def _reply(call: Call, found: Release, status: int = 200) -> Reply:
    return json_reply(call.payloads.release(call.repository, found), status)


def _announce(call: Call, found: Release, action: str) -> None:
    call.store.announce(StoreEvent("release", call.repository.full_name, found.id, call.token.login, action))
