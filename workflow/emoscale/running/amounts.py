"""Seconds, bytes and memory as a person reads them."""

from __future__ import annotations


def duration_words(seconds: float) -> str:
    """Seconds in the two largest units that say something; the rest is cut off.

    >>> duration_words(0.4), duration_words(75), duration_words(7300), duration_words(200_000)
    ('under 1 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)]
    parts: list[str] = []
    for name, size in units:
        if whole >= size or parts:
            parts.append(f"{whole // size} {name}")
            whole %= size
    return " ".join(part for part in parts[:2] if not part.startswith("0 "))


def bytes_words(count: float) -> str:
    """Bytes in the unit that needs the fewest digits, 1 kB being 1,000 bytes.

    >>> bytes_words(0), bytes_words(1_234), bytes_words(5_600_000_000)
    ('0 B', '1.2 kB', '5.6 GB')
    """
    for name, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {name}"
    return f"{count:.0f} B"
