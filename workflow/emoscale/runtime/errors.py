"""The errors that a person can mend: each message has the place and the way out."""

from __future__ import annotations

import unicodedata
from pathlib import Path

LONGEST_SENTENCE = 1_500
"""Characters of a message that are shown: the first two thirds and the last third."""


class UserError(Exception):
    """Something that the person at the keyboard can mend; shown without a traceback.

    Messages quote what files hold. As text an error is one line that a terminal only shows: control
    characters are written out, and what is too long is cut in its middle.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


def one_line(text: str) -> str:
    """The text as a terminal may show it, in one line of at most `LONGEST_SENTENCE` characters.

    >>> one_line("a\\nb")
    'a\\\\nb'
    """
    text = text.strip()
    if len(text) > LONGEST_SENTENCE:
        text = f"{text[: LONGEST_SENTENCE * 2 // 3]} … {text[-LONGEST_SENTENCE // 3 :]}"
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNING
        else character
        for character in text
    )


def reason_of(error: BaseException) -> str:
    """What a library says went wrong, for the middle of a sentence: its first line, not too long.

    >>> reason_of(ValueError("no such page\\nat 0x7f: ..."))
    'no such page'
    """
    lines = str(error).strip().splitlines()
    return one_line(lines[0].rstrip(" .")[:200]) if lines else type(error).__name__


_TURNING = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # of writing direction


class ConfigurationError(UserError):
    """The study's configuration asks for something that does not exist or contradicts itself."""


class CorpusError(UserError):
    """The corpus is not what its reader expects."""


class AudioError(UserError):
    """One recording cannot be used; `reason` is the short code that the rejected table shows."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class CheckpointError(UserError):
    """A file of pre-trained weights is missing, damaged, refused, or of another architecture."""


class StoreError(UserError):
    """A feature shard or table is damaged, incomplete or not the one that was asked for."""


class DamagedFileError(StoreError):
    """A file of a study's results is not what was written."""

    def __init__(self, path: Path | str, detail: str, also: Path | str | None = None) -> None:
        """`also`: a file that stands for it in the workflow, and must be removed with it."""
        files = "the file" if also is None else f"the file and {also}"
        super().__init__(f"{path}: {detail}; remove {files} and run again")
        self.path, self.detail = Path(path), detail


class DiskError(UserError):
    """The disk does not take what is to be written; nothing half-written is left."""


class MemoryLimitError(UserError):
    """A step needs more memory than there is; the message says which setting to change."""


class ProtocolError(UserError):
    """Folds, roles or training sizes cannot be made as asked, or would leak."""
