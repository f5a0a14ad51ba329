"""Where the project lives, from one place, and the addresses that follow from it.

The repository is the configuration value ``ganlib_repository``, else (more telling, so it wins) the git remote "origin"
of the book's folder if that is a public forge, else (wins over both) the environment variable GANLIB_REPOSITORY; "none"
there means none. Credentials and ports of a remote are dropped, local paths and other machines are ignored.

Colab opens notebooks of GitHub repositories only, by
``https://colab.research.google.com/github/OWNER/REPOSITORY/blob/BRANCH/PATH``. The chapters of the repository are
Markdown, so the exported notebooks are published on a branch of their own, ``ganlib_notebooks_branch``, under the path
they have in the built book: ``_notebooks/NAME.ipynb``. The workflow that publishes the book pushes that branch. With
them goes ganlib as a wheel, in a folder named by its hash, so that a notebook that somebody kept finds the one it was
made with. Committed results are read from the branch or commit of the sources. Only GitHub serves files this way.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from sphinx.errors import ExtensionError

FOLDER = "_notebooks"
GITHUB = "https://github.com/"
# A remote elsewhere is likely a mirror or a machine of one's own, which no reader can reach.
FORGES = ("github.com", "gitlab.com", "codeberg.org", "bitbucket.org")
# With a scheme, or (as scp has it) with a colon before the first slash.
REMOTE = re.compile(
    r"(?:(?:https?|ssh|git)://|(?=[^/]*:))(?:[^@/\s]+@)?(?P<host>[\w-]+(?:\.[\w-]+)+)(?::\d+)?[:/]"
    r"(?P<path>[\w.-]+(?:/[\w.-]+)*/[\w.-]+?)(?:\.git)?/*(?:[?#].*)?"
)


def normalise(remote: str) -> str:
    """``https://HOST/OWNER/REPOSITORY`` for any spelling of a remote; "" for a path, another protocol or no owner."""
    found = REMOTE.fullmatch(remote.strip())
    return f"https://{found['host'].lower()}/{found['path']}" if found else ""


def of_git(folder: Path) -> str:
    """The remote "origin" of the git repository whose top is ``folder``; "" if it has none a reader could reach."""

    def git(*arguments: str) -> str:
        try:
            # The configured text: `git remote get-url` would put in a local mirror where one is set.
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return "none"
        return done.stdout.strip()

    if git("rev-parse", "--show-prefix"):  # no repository, or a folder within another one
        return ""
    address = normalise(git("config", "--get", "remote.origin.url"))
    return address if urlsplit(address).hostname in FORGES else ""


def repository(configured: str, folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The repository's address, without a slash at its end; "" where none is known.

    Raises
    ------
    ExtensionError
        If what the configuration or the environment says is no address of a repository.
    """
    sources = {
        "GANLIB_REPOSITORY": environment.get("GANLIB_REPOSITORY", ""),
        "git": of_git(folder),
        "ganlib_repository": configured,
    }
    source, value = next(((source, value.strip()) for source, value in sources.items() if value.strip()), ("", "none"))
    address = normalise(value)
    if not address and value.lower() != "none":
        shown = "an address with a user in it" if "@" in value else repr(value)
        raise ExtensionError(f"{source} is {shown}: give https://github.com/OWNER/REPOSITORY, or none")
    return address


def branch(source: str, value: str) -> str:
    """``value`` if it can be the name of a branch.

    Raises
    ------
    ExtensionError
        If it cannot.
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", value):
        raise ExtensionError(f"{source} is {value!r}: give the name of a branch, such as main")
    return value


def book(configured: str, environment: Mapping[str, str] = os.environ) -> str:
    """The published book's address with a slash at its end: GANLIB_BOOK_URL, else ``html_baseurl``; "" for neither.

    Raises
    ------
    ExtensionError
        If it is not an http(s) address.
    """
    value = environment.get("GANLIB_BOOK_URL", "").strip() or configured.strip()
    if value and not re.match(r"https?://[^\s/]+", value):
        raise ExtensionError(f"the book's address is {value!r}: GANLIB_BOOK_URL or html_baseurl takes https://...")
    return value.rstrip("/") + "/" if value else ""


def colab(repository: str, branch: str, name: str) -> str:
    """The address at which Colab opens the exported notebook ``name``; "" for a repository Colab cannot read."""
    path = repository.removeprefix(GITHUB)
    served = repository.startswith(GITHUB) and path.count("/") == 1
    return f"https://colab.research.google.com/github/{path}/blob/{branch}/{FOLDER}/{name}.ipynb" if served else ""


def page(book: str, path: str) -> str:
    """A link from a notebook to a page: absolute, or within the built book where that has no address."""
    return (book or "../") + path


def raw(repository: str, ref: str) -> str:
    """The address below which the repository's files are as they were at a branch or commit; "" if it is not known."""
    path = repository.removeprefix(GITHUB)
    return f"https://raw.githubusercontent.com/{path}/{ref}" if repository.startswith(GITHUB) else ""
