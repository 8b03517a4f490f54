"""Sentences of English text, one a line, with NLTK's Punkt (Kiss and Strunk 2006), whose model NLTK does not carry."""

from __future__ import annotations

from pathlib import Path

import nltk

from loadgen_harness.errors import BadInput


def one_a_line(text: str, folder: Path) -> str:
    """The text with a line per sentence, blanks between them dropped; `folder` may hold the model in `nltk_data`.

    Raises BadInput where NLTK finds no model.
    """
    own = str(folder / "nltk_data")
    if own not in nltk.data.path:
        nltk.data.path.insert(0, own)
    try:
        return "\n".join(nltk.sent_tokenize(text))
    except LookupError as error:
        raise BadInput(
            "the sentence model of NLTK is missing: run `python -m nltk.downloader punkt_tab`, "
            f"or put tokenizers/punkt_tab into {own}."
        ) from error
