"""Tags and releases, and the notes that GitHub writes for a release."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import yaml

from mlops_tui.demo.github.contents import ContentsWorld, ancestors
from mlops_tui.demo.github.model import AnnotatedTag, Pull, Release, Repository
from mlops_tui.demo.github.world import NotFoundError, node_id

NOTES_CONFIGURATION: Final = (".github/release.yml", ".github/release.yaml")
_EVERYTHING: Final = "*"


class ReleaseWorld(ContentsWorld):
    """The part of the store that knows tags and releases."""

    def add_release(
        self,
        repo: str,
        tag: str,
        *,
        name: str = "",
        body: str = "",
        author: str | None = None,
        sha: str | None = None,
        target: str | None = None,
        prerelease: bool = False,
        draft: bool = False,
        at: datetime | None = None,
    ) -> int:
        """Tag a commit (the default branch's head where `sha` is `None`), release it, and return the release's id.

        A tag that is there stays where it is unless a `sha` is given; a draft sets no tag.
        """
        repository, now = self.repository(repo), self._time(at)
        if not draft and (sha is not None or tag not in repository.tags):
            self.add_tag(repo, tag, sha or self.resolve(repo, target or repository.default_branch).sha)
        number = self._id("release")
        release = Release(
            id=number,
            tag=tag,
            name=name or tag,
            body=body,
            author=self.user(author) if author else repository.owner,
            target=target or repository.default_branch,
            created_at=now,
            node_id=node_id("release", number),
            prerelease=prerelease,
            draft=draft,
            published_at=None if draft else now,
        )
        repository.releases.append(release)
        repository.releases.sort(key=lambda r: (r.created_at, r.id), reverse=True)
        self._touch(release, repository)
        return number

    def release(self, repo: str, release_id: int) -> Release:
        """Return a release by its id.

        Raises:
            NotFoundError: There is none.
        """
        for release in self.repository(repo).releases:
            if release.id == release_id:
                return release
        raise NotFoundError(f"no release {release_id} in {repo}")

    def edit_release(
        self,
        repo: str,
        release_id: int,
        *,
        tag: str | None = None,
        name: str | None = None,
        body: str | None = None,
        target: str | None = None,
        draft: bool | None = None,
        prerelease: bool | None = None,
        at: datetime | None = None,
    ) -> None:
        """Change what is given, leave the rest; a draft that is one no longer is published, and tagged."""
        release, now = self.release(repo, release_id), self._time(at)
        repository = self.repository(repo)
        release.tag = release.tag if tag is None else tag
        release.name = release.name if name is None else name
        release.body = release.body if body is None else body
        release.target = release.target if target is None else target
        release.prerelease = release.prerelease if prerelease is None else prerelease
        release.draft = release.draft if draft is None else draft
        release.updated_at = now
        if not release.draft:
            release.published_at = release.published_at or now
            if release.tag not in repository.tags:
                self.add_tag(repo, release.tag, self.resolve(repo, release.target).sha)
        self._touch(release, repository)

    def delete_release(self, repo: str, release_id: int) -> None:
        """Delete a release; its tag stays."""
        repository = self.repository(repo)
        repository.releases.remove(self.release(repo, release_id))
        self._touch(repository)

    def add_tag(
        self,
        repo: str,
        name: str,
        sha: str | None = None,
        *,
        message: str = "",
        tagger: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Tag a commit: the default branch's head where `sha` is `None`.

        Args:
            message: Makes it an annotated tag.
        """
        repository = self.repository(repo)
        target = sha or repository.branches[repository.default_branch]
        repository.tags[name] = target
        repository.annotated_tags.pop(name, None)
        if message:
            who = self.user(tagger) if tagger else repository.owner
            made = AnnotatedTag(self._sha(), name, target, message, who, self._time(at))
            repository.annotated_tags[name] = made
        self._touch(repository)

    def latest_release(self, repo: str) -> Release | None:
        """Return the newest release that is neither a draft nor a prerelease."""
        found = (entry for entry in self.repository(repo).releases if not (entry.draft or entry.prerelease))
        return next(found, None)

    def release_notes(
        self, repo: str, tag: str, web: str, *, target: str = "", previous: str = "", configuration: str = ""
    ) -> str:
        """Return the notes that GitHub writes: the merged pull requests since the release before, and their authors.

        Args:
            tag: It need not be there.
            web: The host under which the pages for people are.
            target: What is released where the tag is not there; empty for the default branch.
            previous: The tag to start from; empty for the latest release's.
            configuration: The file with the categories; empty for `.github/release.yml`.

        Raises:
            NotFoundError: There is no such target, tag or file.
        """
        repository = self.repository(repo)
        head = self.resolve(repo, tag if tag in repository.tags else target or repository.default_branch)
        if previous and previous not in repository.tags:
            raise NotFoundError(f"no tag {previous} in {repo}")
        since = previous or self._tag_before(repository, tag, head.sha)
        known = ancestors(repository, repository.tags[since]) if since else {}
        new = ancestors(repository, head.sha).keys() - known.keys()
        merged = sorted(
            (pull for pull in repository.pulls.values() if pull.merge_sha in new),
            key=lambda pull: (pull.merged_at or pull.created_at, pull.number),
        )
        path, rules = self._notes_configuration(repo, configuration)
        page = f"{web}/{repository.full_name}"
        parts = [f"<!-- Release notes generated using configuration in {path} at {head.sha} -->\n"] if path else []
        parts += _changes(rules, merged, page)
        first = _first_contributions(repository, merged)
        if first:
            lines = [
                f"* @{pull.author.login} made their first contribution in {page}/pull/{pull.number}" for pull in first
            ]
            parts.append("\n".join(("## New Contributors", *lines, "")))
        span = f"compare/{since}...{tag}" if since else f"commits/{tag}"
        return "\n".join((*parts, f"**Full Changelog**: {page}/{span}"))

    def _tag_before(self, repository: Repository, tag: str, head: str) -> str:
        reached = ancestors(repository, head)
        for release in repository.releases:
            sha = repository.tags.get(release.tag, "")
            if release.tag != tag and not release.draft and sha in reached:
                return release.tag
        return ""

    def _notes_configuration(self, repo: str, asked: str) -> tuple[str, Mapping[str, Any]]:
        for path in (asked,) if asked else NOTES_CONFIGURATION:
            try:
                text = self.file_text(repo, path)
            except NotFoundError:
                continue
            try:
                document = yaml.safe_load(text)
            except yaml.YAMLError:
                return path, {}
            return path, document.get("changelog") or {} if isinstance(document, dict) else {}
        if asked:
            raise NotFoundError(f"no file {asked} in {repo}")
        return "", {}


@dataclass(frozen=True, slots=True)
class _Filter:
    """Which pull requests a part of the notes takes, and which of them it leaves out."""

    labels: frozenset[str]
    without_labels: frozenset[str]
    without_authors: frozenset[str]

    def takes(self, pull: Pull) -> bool:
        wanted = _EVERYTHING in self.labels or not self.labels.isdisjoint(pull.labels)
        names = {pull.author.login, pull.author.login.removesuffix("[bot]")}
        return wanted and self.without_labels.isdisjoint(pull.labels) and self.without_authors.isdisjoint(names)


def _filter(rule: Mapping[str, Any], labels: Iterable[str]) -> _Filter:
    exclude = rule.get("exclude") or {}
    return _Filter(
        frozenset(labels), frozenset(exclude.get("labels") or ()), frozenset(exclude.get("authors") or ())
    )  # fmt: skip


def _changes(rules: Mapping[str, Any], merged: list[Pull], page: str) -> list[str]:
    """Return the section of the changes, by category where the repository has some; the first that takes one has it."""
    left = [pull for pull in merged if _filter(rules, (_EVERYTHING,)).takes(pull)]
    if not left:
        return []
    categories = rules.get("categories") or ()
    lines = ["## What's Changed"]
    for category in categories:
        rule = _filter(category, category.get("labels") or ())
        taken = [pull for pull in left if rule.takes(pull)]
        left = [pull for pull in left if pull not in taken]
        lines += _category(str(category.get("title")), taken, page)
    lines += _category("Other Changes" if categories else "", left, page)
    return ["\n".join((*lines, ""))]


def _category(title: str, pulls: list[Pull], page: str) -> list[str]:
    if not pulls:
        return []
    heading = [f"### {title}"] if title else []
    return [*heading, *(f"* {pull.title} by @{pull.author.login} in {page}/pull/{pull.number}" for pull in pulls)]


def _first_contributions(repository: Repository, merged: list[Pull]) -> list[Pull]:
    """Return those of the pull requests that are the first of their authors to be merged."""
    firsts: dict[str, Pull] = {}
    for pull in sorted(repository.pulls.values(), key=lambda pull: (pull.merged_at or pull.created_at, pull.number)):
        if pull.merged_at and not pull.author.is_bot:
            firsts.setdefault(pull.author.login, pull)
    return [pull for pull in merged if firsts.get(pull.author.login) is pull]
