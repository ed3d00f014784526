"""The reading rule for folders of encoders: what their files say, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.provider.encoding.folders.folder import read_encoder_settings
from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.errors import ModelNotLoadable
from tests.encoders.checkpoints import FAMILIES, write_checkpoint
from tests.provider.encoder_folders import (
    BERT,
    LAYOUTS,
    POOLED,
    modules,
    write_encoder,
    write_json,
)
from tests.provider.model_files import write_safetensors

CLASSIFIER = {**BERT, "architectures": ["BertForSequenceClassification"]}
QWEN = {
    "model_type": "qwen3",
    "architectures": ["Qwen3ForCausalLM"],
    "hidden_size": 32,
    "max_position_embeddings": 40_960,
}


def read(
    tmp_path: Path, config: Any = BERT, name: str = "m", /, **files: object
) -> EncoderSettings:
    """Write and read a folder; ``files`` with two underscores for a slash, without ``.json``."""
    named = {f"{path.replace('__', '/')}.json": value for path, value in files.items()}
    return read_encoder_settings(write_encoder(tmp_path / name, config, {**POOLED, **named}))


def refusal(tmp_path: Path, config: Any = BERT, name: str = "m", /, **files: object) -> str:
    with pytest.raises(ModelNotLoadable) as caught:
        read(tmp_path, config, name, **files)
    return str(caught.value)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_layout_of_each_family_is_read(tmp_path: Path, name: str) -> None:
    family = FAMILIES[name]
    settings = read_encoder_settings(write_checkpoint(name, tmp_path / name))
    assert settings.kind == family.kind
    assert [layer.weights.parent.name for layer in settings.dense] == list(family.dense)
    assert (settings.image is not None) == (family.kind in {"vision", "multimodal"})
    assert (settings.text is not None) == (family.kind != "vision")
    assert (settings.pooling is not None) == (family.kind == "embedding")
    assert set(family.prompts) <= dict(settings.prompts).keys()


# ------------------------------------------------------------------ pooling


@pytest.mark.parametrize("layout", LAYOUTS)
def test_modules_are_known_by_the_last_name_of_their_class(tmp_path: Path, layout: str) -> None:
    listed = modules(["Transformer", "Pooling", "Normalize"], layout)
    files = {"modules": listed, "1_Pooling__config": {"pooling_mode": "cls"}}
    settings = read(tmp_path, **files)
    assert settings.pooling is not None
    assert (settings.pooling.modes, settings.normalize) == (("cls",), True)
    assert not settings.foreign_code


@pytest.mark.parametrize(
    ("stated", "modes"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ("cls",)),
        ({"pooling_mode_lasttoken": True}, ("lasttoken",)),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": False}, ("mean",)),
        ({"pooling_mode": "weightedmean"}, ("weightedmean",)),
        ({"pooling_mode": ["max", "cls"]}, ("max", "cls")),
        ({"pooling_mode": "cls", "pooling_mode_mean_tokens": True}, ("cls",)),
        (
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            ("cls", "mean"),
        ),
    ],
)
def test_both_spellings_of_pooling_are_read(
    tmp_path: Path, stated: dict[str, object], modes: tuple[str, ...]
) -> None:
    settings = read(tmp_path, **{"1_P__config": stated})
    assert settings.pooling is not None
    assert settings.pooling.modes == modes
    assert settings.dimensions == 32 * len(modes)


@pytest.mark.parametrize("stated", [{}, {"pooling_mode": "splade"}, {"pooling_mode": 1}])
def test_a_pooling_that_is_not_known_is_refused(tmp_path: Path, stated: dict[str, object]) -> None:
    assert "names no pooling that is known here" in refusal(tmp_path, **{"1_P__config": stated})


def test_without_a_pooling_nothing_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoadable, match="do not say how the vectors of its tokens"):
        read_encoder_settings(write_encoder(tmp_path / "somebert"))
    lonely = modules(["Transformer"])
    assert "do not say how" in refusal(tmp_path, modules=lonely)


@pytest.mark.parametrize(
    ("name", "path", "mode", "query"),
    [
        ("Xenova/bge-small-en-v1.5", "x", "cls", "Represent this sentence for searching"),
        ("", "multilingual-e5-small", "mean", "query: "),
        ("", "all-MiniLM-L6-v2-onnx", "mean", None),
        ("nlpai-lab/KURE-v1", "x", "cls", None),
    ],
)
def test_a_pooling_may_be_known_by_name(
    tmp_path: Path, name: str, path: str, mode: str, query: str | None
) -> None:
    folder = write_encoder(tmp_path / path, {**BERT, "_name_or_path": name})
    settings = read_encoder_settings(folder)
    assert settings.pooling is not None
    assert settings.pooling.modes == (mode,)
    assert dict(settings.prompts).get("query", "").startswith(query or "")


def test_a_copy_without_the_folder_of_the_pooling_is_known_by_name_only(tmp_path: Path) -> None:
    files = {"modules.json": modules(["Transformer", "Pooling"])}
    assert read_encoder_settings(write_encoder(tmp_path / "all-MiniLM-L6-v2", BERT, files))
    with pytest.raises(ModelNotLoadable, match=r"1_Pooling/config\.json is missing"):
        read_encoder_settings(write_encoder(tmp_path / "mine", BERT, files))
    with pytest.raises(ModelNotLoadable, match=r"1_Pooling/config\.json is missing"):
        read_encoder_settings(write_encoder(tmp_path / "embeddinggemma-300m", BERT, files))


# -------------------------------------------------------------------- dense


def test_dense_layers_are_read_in_order(tmp_path: Path) -> None:
    listed = modules(["Transformer", "Pooling", "Dense", "Dense", "Normalize"])
    first = {"in_features": 32, "out_features": 96, "bias": False}
    second = {
        "in_features": 96,
        "out_features": 8,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    for name in ("2_Dense", "3_Dense"):
        (tmp_path / "m" / name).mkdir(parents=True)
        write_safetensors(tmp_path / "m" / name / "model.safetensors", {"a": ("F32", (1,))})
    settings = read(
        tmp_path,
        **{
            "modules": listed,
            "1_Pooling__config": {"pooling_mode": "mean"},
            "2_Dense__config": first,
            "3_Dense__config": second,
        },
    )
    assert [(one.activation, one.bias) for one in settings.dense] == [
        ("tanh", False),  # the default of sentence-transformers
        ("identity", True),
    ]
    assert settings.dimensions == 8


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"activation_function": "mine.Swish"}, "a layer that is not computed here: mine.Swish"),
        ({"module_input_name": "token_embeddings"}, "not computed here: one of tokens"),
        ({"in_features": "many"}, "not computed here"),
        ({}, "2_Dense/model.safetensors is missing"),
    ],
)
def test_a_dense_layer_that_cannot_be_computed_is_refused(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    files = {
        "modules": modules(["Transformer", "Pooling", "Dense"]),
        "1_Pooling__config": {"pooling_mode": "mean"},
        "2_Dense__config": {"in_features": 32, "out_features": 8, **change},
    }
    assert why in refusal(tmp_path, **files)


def test_pickled_layers_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "m" / "2_Dense").mkdir(parents=True)
    (tmp_path / "m" / "2_Dense" / "pytorch_model.bin").write_bytes(b"pickle")
    files = {
        "modules": modules(["Transformer", "Pooling", "Dense"]),
        "1_Pooling__config": {"pooling_mode": "mean"},
        "2_Dense__config": {"in_features": 32, "out_features": 8},
    }
    assert "2_Dense are pickled" in refusal(tmp_path, **files)


@pytest.mark.parametrize(
    "kinds",
    [
        ["Transformer", "WordWeights", "Pooling"],
        ["Transformer", "SpladePooling"],
        ["StaticEmbedding", "Normalize"],
        ["Transformer", "Dense", "Pooling"],
        ["Transformer", "Pooling", "Normalize", "Dense"],
        ["Pooling"],
        [],
    ],
)
def test_modules_that_are_not_computed_here_are_refused(tmp_path: Path, kinds: list[str]) -> None:
    assert "not computed here" in refusal(tmp_path, modules=modules(kinds))


def test_a_class_of_the_repository_counts_as_foreign_code(tmp_path: Path) -> None:
    listed = modules(["Transformer", "Pooling"])
    listed[0]["type"] = "custom_st.Transformer"
    files = {"modules": listed, "1_Pooling__config": {"pooling_mode": "mean"}}
    assert read(tmp_path, **files).foreign_code
    assert read(tmp_path, {**BERT, "auto_map": {"AutoModel": "a.B"}}).foreign_code


# -------------------------------------------------- limits, prompts, places


@pytest.mark.parametrize(
    ("config", "files", "limit"),
    [
        (BERT, {"sentence_bert_config": {"max_seq_length": 16}}, 16),
        (BERT, {"sentence_bert_config": {"max_seq_length": 512}}, 64),
        (BERT, {"sentence_bert_config": {"max_seq_length": None}}, 64),
        (BERT, {"sentence_roberta_config": {"max_seq_length": 20}}, 20),
        (BERT, {"tokenizer_config": {"model_max_length": 32}}, 32),
        (BERT, {"tokenizer_config": {"model_max_length": 1e30}}, 64),
        ({**BERT, "model_type": "xlm-roberta", "pad_token_id": 1}, {}, 62),
        ({**BERT, "model_type": "mpnet", "pad_token_id": None}, {}, 62),
        ({**QWEN, "architectures": ["Qwen3Model"]}, {}, 40_960),
        (
            {"model_type": "nomic_bert", "architectures": ["NomicBertModel"], "n_positions": 2048},
            {"sentence_bert_config": {"max_seq_length": 8192}},
            8192,
        ),
        ({"model_type": "bert", "architectures": ["BertModel"]}, {}, 512),
    ],
)
def test_the_limit_is_that_of_sentences_within_that_of_positions(
    tmp_path: Path, config: dict[str, Any], files: dict[str, object], limit: int
) -> None:
    assert read(tmp_path, config, **files).max_tokens == limit


def test_prompts_are_those_of_the_file_and_else_of_the_name(tmp_path: Path) -> None:
    stated: dict[str, object] = {
        "prompts": {"query": "q: ", "document": "", "odd": 3, "long": "x" * 5000},
        "default_prompt_name": "query",
    }
    settings = read(tmp_path, BERT, "e5-small", config_sentence_transformers=stated)
    assert settings.prompts == (("query", "q: "), ("document", ""))
    assert settings.default_prompt == "query"
    stated |= {"default_prompt_name": "other"}
    settings = read(tmp_path, BERT, "e5-large", config_sentence_transformers=stated)
    assert (len(settings.prompts), settings.default_prompt) == (2, "")
    empty = {"prompts": {"query": "", "document": ""}, "default_prompt_name": "other"}
    settings = read(tmp_path, BERT, "e5-base", config_sentence_transformers=empty)
    assert dict(settings.prompts) == {"query": "query: ", "document": "passage: "}
    assert settings.default_prompt == ""


def test_the_transformer_may_lie_in_a_folder_of_its_own(tmp_path: Path) -> None:
    write_encoder(tmp_path / "m" / "0_Transformer")
    listed = modules(["Transformer", "Pooling"])
    listed[0]["path"] = "0_Transformer"
    write_json(tmp_path / "m" / "modules.json", listed)
    write_json(tmp_path / "m" / "1_Pooling" / "config.json", {"pooling_mode": "mean"})
    settings = read_encoder_settings(tmp_path / "m")
    assert (settings.folder.name, settings.dimensions) == ("0_Transformer", 32)


# ---------------------------------------------------------------- rerankers


@pytest.mark.parametrize(
    ("change", "activation"),
    [
        ({}, "sigmoid"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "identity"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.Identity"}}, "identity"),
    ],
)
def test_the_activation_of_a_cross_encoder_is_read(
    tmp_path: Path, change: dict[str, object], activation: str
) -> None:
    config = {**CLASSIFIER, "id2label": {"0": "LABEL_0"}, **change}
    settings = read_encoder_settings(write_encoder(tmp_path / "m", config))
    assert (settings.kind, settings.dimensions, settings.activation) == ("rerank", 1, activation)
    assert settings.rerank_prompt is None


def test_a_score_that_is_made_otherwise_is_refused(tmp_path: Path) -> None:
    config = {
        **CLASSIFIER,
        "id2label": {"0": "LABEL_0"},
        "sentence_transformers": {"activation_fn": "torch.nn.Tanh"},
    }
    with pytest.raises(ModelNotLoadable, match=r"made by torch\.nn\.Tanh"):
        read_encoder_settings(write_encoder(tmp_path / "m", config))


@pytest.mark.parametrize("labels", [{}, {"id2label": {"0": "no", "1": "yes"}}, {"num_labels": 3}])
def test_a_classifier_is_no_encoder(tmp_path: Path, labels: dict[str, object]) -> None:
    with pytest.raises(ModelNotLoadable, match="makes no vectors"):
        read(tmp_path, {**CLASSIFIER, **labels})


def test_a_language_model_ranks_by_its_name_its_readme_or_its_template(tmp_path: Path) -> None:
    named = write_encoder(tmp_path / "Qwen3-Reranker-0.6B", QWEN)
    tagged = write_encoder(tmp_path / "a", QWEN)
    (tagged / "README.md").write_text("---\nlicense: mit\npipeline_tag: text-ranking\n---\n")
    asks = {"chat_template": "... Judge whether the Document meets the requirements ..."}
    judges = write_encoder(tmp_path / "b", QWEN, {"tokenizer_config.json": asks})
    for folder in (named, tagged, judges):
        settings = read_encoder_settings(folder)
        assert settings.kind == "rerank"
        assert settings.rerank_prompt is not None
        assert not settings.rerank_prompt.has_head
    with pytest.raises(ModelNotLoadable, match="makes no vectors"):
        read_encoder_settings(write_encoder(tmp_path / "c", QWEN))


def test_a_score_of_two_tokens_is_read(tmp_path: Path) -> None:
    files = {
        "modules": modules(["Transformer", "LogitScore"], "6"),
        "1_LogitScore__config": {"true_token_id": 9693, "false_token_id": 2152},
    }
    settings = read(tmp_path, QWEN, "x", **files)
    prompt = settings.rerank_prompt
    assert prompt is not None
    assert (prompt.yes, prompt.no, prompt.yes_only) == (9693, 2152, False)


def test_a_reranker_with_another_question_is_refused(tmp_path: Path) -> None:
    gemma = {**QWEN, "model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"]}
    with pytest.raises(ModelNotLoadable, match="only Qwen3-Reranker"):
        read_encoder_settings(write_encoder(tmp_path / "bge-reranker-v2-gemma", gemma))


# ------------------------------------------------------------------ hostile


@pytest.mark.parametrize("path", ["../other", "/etc", "a/../../b"])
def test_a_module_outside_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    listed = modules(["Transformer", "Pooling"])
    listed[1]["path"] = path
    assert "outside of the model" in refusal(tmp_path, modules=listed)


@pytest.mark.parametrize("content", ["", "{}", "[[", "[1]", '{"a": ' * 100, "\0" * 64])
@pytest.mark.parametrize("name", ["modules.json", "1_P/config.json", "config.json"])
def test_a_damaged_file_is_a_refusal(tmp_path: Path, name: str, content: str) -> None:
    folder = write_encoder(tmp_path / "m", BERT, POOLED)
    (folder / name).write_text(content)
    with pytest.raises(ModelNotLoadable):
        read_encoder_settings(folder)


@pytest.mark.parametrize(
    "name",
    ["sentence_bert_config", "config_sentence_transformers", "tokenizer_config"],
)
@pytest.mark.parametrize(
    "value", [[], {"prompts": [], "max_seq_length": -1}, {"prompts": {"a": {}}}]
)
def test_odd_values_in_optional_files_are_left_out(
    tmp_path: Path, name: str, value: object
) -> None:
    settings = read(tmp_path, **{name: value})
    assert (settings.max_tokens, settings.prompts) == (64, ())
