"""Keeps what has the same words out of training, where the protocol says so."""

from __future__ import annotations

import polars as pl

from emoscale.runtime.errors import ProtocolError

HAS_WORDS = pl.col("text_key").fill_null("") != ""
"""An utterance without a transcript, or without a word in it, repeats nothing."""

_LOSERS = {"test": ["train", "dev"], "dev": ["train"]}


def apart_from(role: str, dealt: pl.DataFrame) -> pl.DataFrame:
    """The fold without those utterances of other roles that have a text of `role` (test or dev).

    Text of test utterances leaves training and development; that of development utterances leaves
    training. Raises `ProtocolError` where no utterance has words, or a role is left without any
    utterance.
    """
    worded = dealt.filter(HAS_WORDS)
    if not len(worded):
        raise ProtocolError(
            "protocol.text_disjoint is true and no utterance has a transcript; give the corpus's "
            "transcripts, or remove it"
        )
    texts = worded.filter(pl.col("role") == role)["text_key"].unique()
    repeats = HAS_WORDS & pl.col("text_key").is_in(texts.implode())
    kept = dealt.filter(~(repeats & pl.col("role").is_in(_LOSERS[role])))
    for loser in _LOSERS[role]:
        if loser in dealt["role"] and loser not in kept["role"]:
            raise ProtocolError(
                f"protocol.text_disjoint leaves no utterance in the role {loser}: each has the "
                f"words of one in the role {role}; use folds that differ in what is said, or "
                "remove it"
            )
    return kept
