"""Token ids to text, with the vocabulary that a GGUF file carries: byte-level BPE decodes exactly, without the model.

The file format is described in llama.cpp's docs (gguf.md): a header, then typed key-value pairs, then tensors.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from loadgen_harness.errors import BadInput

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
TOKENS, KINDS = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
CONTROL = 3
VERSIONS = (2, 3)


def decoder(gguf: Path) -> Callable[[Sequence[int]], str]:
    """A function from token ids to text, control tokens left out; raises BadInput for a file without vocabulary."""
    try:
        with gguf.open("rb") as file:
            fields = read_fields(file, {TOKENS, KINDS})
        both = zip(fields[TOKENS], fields[KINDS], strict=True)
        pieces = [b"" if kind == CONTROL else _bytes(piece) for piece, kind in both]
    except (OSError, ValueError, KeyError, struct.error, TypeError) as error:
        raise BadInput(f"{gguf.name} holds no readable vocabulary ({error}): fetch the file anew.") from error

    def decode(ids: Sequence[int]) -> str:
        known = (pieces[id_] for id_ in ids if 0 <= id_ < len(pieces))
        return b"".join(known).decode("utf-8", errors="replace")

    return decode


def read_fields(file: BinaryIO, wanted: set[str]) -> dict[str, Any]:
    """Values of the `wanted` keys; reading stops at the last of them."""
    if file.read(4) != b"GGUF":
        raise ValueError("not a GGUF file")
    version, _, pairs = _unpack(file, "IQQ")
    if version not in VERSIONS:
        raise ValueError(f"GGUF version {version} is not known")
    found: dict[str, Any] = {}
    for _ in range(pairs):
        key, (kind,) = _string(file).decode(), _unpack(file, "I")
        value = _value(file, kind)
        if key in wanted:
            found[key] = value
        if len(found) == len(wanted):
            return found
    raise ValueError(f"it lacks one of {', '.join(sorted(wanted))}")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _string(file)
    if kind == ARRAY:
        inner, count = _unpack(file, "IQ")
        if inner in SCALARS:
            return _unpack(file, f"{count}{SCALARS[inner]}")
        return [_value(file, inner) for _ in range(count)]
    return _unpack(file, SCALARS[kind])[0]


def _string(file: BinaryIO) -> bytes:
    (size,) = _unpack(file, "Q")
    data = file.read(size)
    if len(data) != size:
        raise ValueError("the file is cut short")
    return data


def _unpack(file: BinaryIO, form: str) -> tuple[Any, ...]:
    form = f"<{form}"
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _byte_alphabet() -> dict[str, int]:
    """The printable characters that byte-level BPE (GPT-2's) writes for the 256 bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}


ALPHABET = _byte_alphabet()


def _bytes(piece: bytes) -> bytes:
    return bytes(ALPHABET[character] for character in piece.decode("utf-8"))
