"""GitHub's REST payloads of accounts, repositories, commits and what hangs on them, with URLs of this very server."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from mlops_tui.demo.github.evidence import annotations_of
from mlops_tui.demo.github.model import (
    Check,
    Commit,
    Environment,
    Job,
    Pull,
    Repository,
    Status,
    User,
    Workflow,
)

Payload = dict[str, Any]

_USER_URLS = {
    "url": "",
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_URLS = {
    "url": "",
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


class BasePayloads:
    """Payloads under one base URL.

    Args:
        api: Where REST is mounted, as the client sees it: `http://127.0.0.1:8080/api/v3`.
        web: The host itself, under which the pages for people are.
    """

    def __init__(self, api: str, web: str) -> None:
        self.api = api
        self.web = web
        self._nested_repositories: dict[str, tuple[Payload, Payload]] = {}

    def repository_url(self, repository: Repository) -> str:
        return f"{self.api}/repos/{repository.full_name}"

    def page(self, repository: Repository, *parts: object) -> str:
        """Return the address of a page for people."""
        return "/".join((self.web, repository.full_name, *(quote(str(part), safe="/#?=%") for part in parts)))

    def user(self, user: User) -> Payload:
        url = f"{self.api}/users/{quote(user.login)}"
        payload: Payload = {key: url + tail for key, tail in _USER_URLS.items()}
        payload |= {
            "login": user.login,
            "id": user.id,
            "node_id": f"U_{user.id}",
            "avatar_url": f"{self.web}/avatars/u/{user.id}",
            "gravatar_id": "",
            "html_url": f"{self.web}/{'apps/' + user.login[:-5] if user.is_bot else user.login}",
            "type": "Bot" if user.is_bot else "User",
            "site_admin": False,
        }
        return payload

    def viewer(self, user: User, since: datetime) -> Payload:
        """Return the payload of `/user`."""
        return self.user(user) | {
            "name": user.login,
            "company": None,
            "blog": "",
            "location": None,
            "email": None,
            "hireable": None,
            "bio": None,
            "public_repos": 0,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "created_at": since,
            "updated_at": since,
        }

    def nested_repository(self, repository: Repository) -> tuple[Payload, Payload]:
        """Return a repository as it stands inside other payloads: in its minimal and its whole form.

        Its counters and times are those of its beginning: if they moved with every change anywhere in the repository,
        no list of runs or pull requests would ever be unchanged.
        """
        if repository.node_id not in self._nested_repositories:
            minimal = self._minimal_repository(repository)
            whole = minimal | self._repository_facts(repository)
            self._nested_repositories[repository.node_id] = (minimal, whole)
        return self._nested_repositories[repository.node_id]

    def repository(self, repository: Repository) -> Payload:
        """Return the payload of the repository itself, with today's counters."""
        open_pulls = sum(pull.state == "OPEN" for pull in repository.pulls.values())
        dates = [commit.date for commit in repository.commits.values()]
        return self.nested_repository(repository)[1] | {
            "open_issues": open_pulls,
            "open_issues_count": open_pulls,
            "pushed_at": max(dates),
            "updated_at": max(dates),
            "network_count": 0,
            "subscribers_count": 0,
            "permissions": {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True},
        }

    def _minimal_repository(self, repository: Repository) -> Payload:
        url = self.repository_url(repository)
        payload: Payload = {key: url + tail for key, tail in _REPOSITORY_URLS.items()}
        return payload | {
            "id": repository.id,
            "node_id": repository.node_id,
            "name": repository.name,
            "full_name": repository.full_name,
            "owner": self.user(repository.owner),
            "private": True,
            "html_url": self.page(repository),
            "description": None,
            "fork": False,
        }

    def _repository_facts(self, repository: Repository) -> Payload:
        page = self.page(repository)
        return {
            "clone_url": f"{page}.git",
            "git_url": f"git:{page.partition(':')[2]}.git",
            "ssh_url": f"ssh:{page.partition(':')[2]}.git",
            "svn_url": page,
            "mirror_url": None,
            "homepage": None,
            "language": "Python",
            "license": None,
            "default_branch": repository.default_branch,
            "visibility": "private",
            "topics": [],
            "archived": False,
            "disabled": False,
            "has_issues": True,
            "has_projects": False,
            "has_downloads": True,
            "has_wiki": False,
            "has_pages": False,
            "has_discussions": False,
            "size": 0,
            "forks": 0,
            "forks_count": 0,
            "stargazers_count": 0,
            "watchers": 0,
            "watchers_count": 0,
            "open_issues": 0,
            "open_issues_count": 0,
            "created_at": repository.created_at,
            "updated_at": repository.created_at,
            "pushed_at": repository.created_at,
        }

    def commit(self, commit: Commit) -> Payload:
        url = f"{self.repository_url(commit.repository)}/commits/{commit.sha}"
        git = f"{self.repository_url(commit.repository)}/git"
        person = git_person(commit.author) | {"date": commit.date}
        author = self.user(commit.author)
        return {
            "sha": commit.sha,
            "node_id": commit.node_id,
            "url": url,
            "html_url": self.page(commit.repository, "commit", commit.sha),
            "comments_url": f"{url}/comments",
            "commit": {
                "url": f"{git}/commits/{commit.sha}",
                "message": commit.message,
                "author": person,
                "committer": person,
                "tree": {"sha": commit.tree, "url": f"{git}/trees/{commit.tree}"},
                "comment_count": 0,
                "verification": {
                    "verified": False,
                    "reason": "unsigned",
                    "signature": None,
                    "payload": None,
                    "verified_at": None,
                },
            },
            "author": author,
            "committer": author,
            "parents": [
                {
                    "sha": sha,
                    "url": f"{self.repository_url(commit.repository)}/commits/{sha}",
                    "html_url": self.page(commit.repository, "commit", sha),
                }
                for sha in commit.parents
            ],
        }

    def branch(self, repository: Repository, name: str, *, whole: bool) -> Payload:
        sha = repository.branches[name]
        url = f"{self.repository_url(repository)}/branches/{quote(name, safe='')}"
        protected = name == repository.default_branch
        if not whole:
            commit = {"sha": sha, "url": f"{self.repository_url(repository)}/commits/{sha}"}
            return {"name": name, "commit": commit, "protected": protected}
        return {
            "name": name,
            "commit": self.commit(repository.commits[sha]),
            "protected": protected,
            "protection": {"enabled": protected},
            "protection_url": f"{url}/protection",
            "_links": {"self": url, "html": self.page(repository, "tree", name)},
        }

    def tag(self, repository: Repository, name: str, sha: str) -> Payload:
        url = self.repository_url(repository)
        return {
            "name": name,
            "node_id": f"REF_{repository.id}_{name}",
            "commit": {"sha": sha, "url": f"{url}/commits/{sha}"},
            "zipball_url": f"{url}/zipball/refs/tags/{quote(name)}",
            "tarball_url": f"{url}/tarball/refs/tags/{quote(name)}",
        }

    def workflow(self, repository: Repository, workflow: Workflow) -> Payload:
        return {
            "id": workflow.id,
            "node_id": workflow.node_id,
            "name": workflow.name,
            "path": workflow.path,
            "state": "active",
            "created_at": workflow.created_at,
            "updated_at": workflow.created_at,
            "url": f"{self.repository_url(repository)}/actions/workflows/{workflow.id}",
            "html_url": self.page(repository, "blob", repository.default_branch, workflow.path),
            "badge_url": self.page(repository, "workflows", workflow.name, "badge.svg"),
        }

    def environment(self, repository: Repository, environment: Environment) -> Payload:
        rules: list[Payload] = []
        if environment.wait_timer:
            rules.append(
                {
                    "id": environment.rule_id,
                    "node_id": f"GA_{environment.rule_id}",
                    "type": "wait_timer",
                    "wait_timer": environment.wait_timer,
                }
            )
        if environment.reviewers:
            rules.append(
                {
                    "id": environment.rule_id + 1,
                    "node_id": f"GA_{environment.rule_id + 1}",
                    "type": "required_reviewers",
                    "prevent_self_review": False,
                    "reviewers": [{"type": "User", "reviewer": self.user(user)} for user in environment.reviewers],
                }
            )
        return self.short_environment(repository, environment) | {
            "created_at": environment.created_at,
            "updated_at": environment.created_at,
            "protection_rules": rules,
            "deployment_branch_policy": None,
        }

    def short_environment(self, repository: Repository, environment: Environment) -> Payload:
        name = quote(environment.name, safe="")
        return {
            "id": environment.id,
            "node_id": environment.node_id,
            "name": environment.name,
            "url": f"{self.repository_url(repository)}/environments/{name}",
            "html_url": self.page(repository, "deployments", f"activity_log?environments_filter={name}"),
        }

    def check(self, repository: Repository, check: Check | Job) -> Payload:
        """Return a check run, whoever made it."""
        url = f"{self.repository_url(repository)}/check-runs/{check.id}"
        job = check if isinstance(check, Job) else None
        if job:
            page = self.page(repository, "actions", "runs", job.run.id, "job", job.id)
            suite, sha, pulls, title, summary = job.run.check_suite_id, job.run.head_sha, job.run.pull_numbers, "", ""
        else:
            assert isinstance(check, Check)
            page = self.page(repository, "runs", check.id)
            suite, sha, pulls, title, summary = check.id, check.head_sha, (), check.title, check.summary
        return {
            "id": check.id,
            "node_id": check.node_id,
            "head_sha": sha,
            "external_id": "",
            "name": check.name,
            "url": url,
            "html_url": page,
            "details_url": page,
            "status": check.status,
            "conclusion": check.conclusion,
            "started_at": check.started_at,
            "completed_at": check.completed_at,
            "output": {
                "title": title or None,
                "summary": summary or None,
                "text": None,
                "annotations_count": len(annotations_of(job)) if job else 0,
                "annotations_url": f"{url}/annotations",
            },
            "check_suite": {"id": suite},
            "app": self.actions_app(repository),
            "pull_requests": [self.minimal_pull(repository.pulls[number]) for number in pulls],
        }

    def actions_app(self, repository: Repository) -> Payload:
        return {
            "id": 15368,
            "slug": "github-actions",
            "node_id": "A_15368",
            "client_id": "Iv1.05c79e9ad1f6bdfa",
            "owner": self.user(User(id=9919, login="github")),
            "name": "GitHub Actions",
            "description": "Automate your workflow from idea to production",
            "external_url": f"{self.web}/features/actions",
            "html_url": f"{self.web}/apps/github-actions",
            "created_at": repository.created_at,
            "updated_at": repository.created_at,
            "permissions": {"checks": "write", "contents": "read", "metadata": "read"},
            "events": [],
        }

    def status(self, repository: Repository, status: Status) -> Payload:
        """Return a commit status as the combined status lists it."""
        return {
            "id": status.id,
            "node_id": status.node_id,
            "url": f"{self.repository_url(repository)}/statuses/{status.sha}",
            "avatar_url": f"{self.web}/avatars/u/{status.creator.id}",
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": status.created_at,
            "updated_at": status.updated_at,
        }

    def minimal_pull(self, pull: Pull) -> Payload:
        """Return a pull request as runs and checks name it."""
        repository = pull.repository
        url = self.repository_url(repository)
        repo = {"id": repository.id, "url": url, "name": repository.name}
        return {
            "id": pull.id,
            "number": pull.number,
            "url": f"{url}/pulls/{pull.number}",
            "head": {"ref": pull.head_branch, "sha": pull.head_sha, "repo": repo},
            "base": {"ref": pull.base_branch, "sha": pull.base_sha, "repo": repo},
        }


def git_person(user: User) -> Payload:
    """Return an account as git names it."""
    return {"name": user.login, "email": f"{user.login.removesuffix('[bot]')}@users.noreply.example.com"}
