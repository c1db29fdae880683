"""What is wrong with a file of a study's results."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from emoscale.runtime.errors import DamagedFileError

Kind = Literal["missing", "damaged", "foreign", "not fitting", "left over"]


@dataclass(frozen=True)
class Finding:
    """One file, what is wrong with it, and the way out."""

    kind: Kind
    path: Path
    sentence: str
    damage: DamagedFileError | None = None
    """Where moving the file aside helps (see `emoscale.runtime.damage.set_aside`)."""

    @property
    def is_wrong(self) -> bool:
        """Whether results may not be trusted for it; what is left over harms nothing."""
        return self.kind != "left over"


@dataclass
class Verification:
    """What was checked, and what was found."""

    checked: dict[str, int] = field(default_factory=dict)
    """Files by the part of the results that they belong to."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.is_wrong for finding in self.findings)

    def count(self, part: str) -> None:
        """One more file of a part was checked."""
        self.checked[part] = self.checked.get(part, 0) + 1

    def add(
        self, kind: Kind, path: Path, sentence: str, damage: DamagedFileError | None = None
    ) -> None:
        """Keep a finding; whatever a name holds, its sentence is a line."""
        line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in sentence)
        self.findings.append(Finding(kind, path, line, damage))


def way_to_make(path: Path) -> str:
    """How a file that is missing is made again."""
    return f"make it again with: snakemake {path}"
