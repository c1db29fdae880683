"""Exceptions for errors that a user can fix; each message names the place and the remedy."""

from __future__ import annotations

import unicodedata
from pathlib import Path

MAX_MESSAGE_CHARACTERS = 1_500
"""Maximum length of a displayed message; a longer one keeps its first two and its last third."""


class UserError(Exception):
    """Error that the user can fix; programs show its message without a traceback.

    Messages quote the content of files. `str` therefore returns a single line that is safe to show
    in a terminal: control characters are escaped and long messages are shortened in the middle.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


def one_line(text: str) -> str:
    r"""Return a text as one printable line of limited length.

    Parameters
    ----------
    text : str
        Any text, possibly with control characters.

    Returns
    -------
    str
        The text with control characters escaped, cut to about `MAX_MESSAGE_CHARACTERS` characters.

    Examples
    --------
    >>> one_line("a\nb")
    'a\\nb'
    """
    text = text.strip()
    if len(text) > MAX_MESSAGE_CHARACTERS:
        head, tail = text[: MAX_MESSAGE_CHARACTERS * 2 // 3], text[-MAX_MESSAGE_CHARACTERS // 3 :]
        text = f"{head} … {tail}"
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or character in _BIDIRECTIONAL_CONTROLS
        else character
        for character in text
    )


def error_summary(error: BaseException) -> str:
    r"""Return the first line of an error's message, for use inside a sentence.

    Parameters
    ----------
    error : BaseException
        An error that a library raised.

    Returns
    -------
    str
        The first line without a final full stop, at most 200 characters; the name of the error's
        class if it has no message.

    Examples
    --------
    >>> error_summary(ValueError("no such page\nat 0x7f: ..."))
    'no such page'
    """
    lines = str(error).strip().splitlines()
    return one_line(lines[0].rstrip(" .")[:200]) if lines else type(error).__name__


_BIDIRECTIONAL_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the writing direction of the text that follows them."""


class ConfigurationError(UserError):
    """The study's configuration is contradictory or refers to something that does not exist."""


class CorpusError(UserError):
    """The corpus, or a table that the user wrote, does not have the expected structure."""


class AudioError(UserError):
    """A recording cannot be used.

    Parameters
    ----------
    reason : str
        Short code of the reason, as in the table of rejected recordings.
    detail : str
        The message.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class CheckpointError(UserError):
    """A checkpoint is missing, damaged, refused, or of another architecture."""


class StoreError(UserError):
    """A feature shard or a table is damaged, incomplete, or not the one that was requested."""


class DamagedFileError(StoreError):
    """A file of a study's results does not have the content that was written.

    Parameters
    ----------
    path : Path or str
        The damaged file.
    detail : str
        What is wrong with it.
    companion : Path or str or None
        Another file that must be removed as well, so that the workflow computes both again.
    """

    def __init__(self, path: Path | str, detail: str, companion: Path | str | None = None) -> None:
        files = "the file" if companion is None else f"the file and {companion}"
        super().__init__(f"{path}: {detail}; remove {files} and run again")
        self.path, self.detail = Path(path), detail


class DiskError(UserError):
    """The disk cannot store a file; no partial file remains."""


class MemoryLimitError(UserError):
    """A step needs more memory than is available; the message names the setting to change."""


class ProtocolError(UserError):
    """Folds, roles or training sizes cannot be made as requested, or would leak test data."""
