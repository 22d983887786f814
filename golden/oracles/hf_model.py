"""A transformers model that holds exactly what a GGUF file says, in f32.

Knows which metadata key is which option of a configuration; `hf_weights` knows the tensors.
"""

import torch
import transformers

import hf_weights


def load(path, as_llama_cpp=False):
    """The model, ready to be asked; on request with what llama.cpp does otherwise on purpose."""
    file = hf_weights.File(path)
    config, kind = {
        "llama": llama, "qwen2": qwen2, "phi3": phi3, "gpt2": gpt2, "gpt-oss": gpt_oss,
    }[file.arch](file)
    if as_llama_cpp and file.arch == "gpt-oss":
        # Correction dimensions of YaRN are rounded to whole ones.
        config.rope_parameters["truncate"] = True
    if as_llama_cpp and file.arch == "phi3":
        config.sliding_window = None
    # The plain formulas: no fused kernel may reorder a sum.
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    with torch.device("cpu"):
        model = kind(config).to(torch.float32).eval()
    missing, unexpected = model.load_state_dict(hf_weights.state(file), strict=False)
    missing = [name for name in missing if not name.endswith((".attn.bias", ".attn.masked_bias"))]
    if missing or unexpected:
        raise SystemExit(f"{path}: missing {missing}, unexpected {unexpected}")
    if "rope_freqs.weight" in file.tensors:
        # Llama 3 scales its frequencies by numbers that the file keeps and the options do not.
        rotary = model.model.rotary_emb
        rotary.inv_freq = rotary.inv_freq / file.tensor("rope_freqs.weight")
    return model


def common(file):
    """Options that four of the five share."""
    heads = file.get("attention.head_count")
    return {
        "vocab_size": file.n_vocab(),
        "hidden_size": file.get("embedding_length"),
        "intermediate_size": file.get("feed_forward_length"),
        "num_hidden_layers": file.get("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": file.get("attention.head_count_kv", heads),
        "rms_norm_eps": file.get("attention.layer_norm_rms_epsilon"),
        "max_position_embeddings": file.get("context_length"),
        "tie_word_embeddings": False,
        "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
    }


def head_dim(file):
    heads = file.get("attention.head_count")
    return file.get("attention.key_length", file.get("embedding_length") // heads)


def plain_rope(file):
    return {"rope_type": "default", "rope_theta": file.get("rope.freq_base", 10000.0)}


def llama(file):
    config = transformers.LlamaConfig(
        **common(file), head_dim=head_dim(file), rope_parameters=plain_rope(file),
        attention_bias="blk.0.attn_q.bias" in file.tensors)
    return config, transformers.LlamaForCausalLM


def qwen2(file):
    config = transformers.Qwen2Config(
        **common(file), rope_parameters=plain_rope(file), use_sliding_window=False)
    return config, transformers.Qwen2ForCausalLM


def phi3(file):
    rope = plain_rope(file)
    rotated = file.get("rope.dimension_count", head_dim(file)) / head_dim(file)
    if "rope_factors_long.weight" in file.tensors:
        original = file.get("rope.scaling.original_context_length")
        rope |= {
            "rope_type": "longrope",
            "short_factor": file.tensor("rope_factors_short.weight").tolist(),
            "long_factor": file.tensor("rope_factors_long.weight").tolist(),
            "attention_factor": file.get("rope.scaling.attn_factor", 1.0),
            "original_max_position_embeddings": original,
        }
    config = transformers.Phi3Config(
        **common(file), rope_parameters=rope | {"partial_rotary_factor": rotated},
        original_max_position_embeddings=rope.get("original_max_position_embeddings", 4096),
        sliding_window=file.get("attention.sliding_window", 0) or None)
    return config, transformers.Phi3ForCausalLM


def gpt2(file):
    width = file.get("embedding_length")
    config = transformers.GPT2Config(
        vocab_size=file.n_vocab(), n_positions=file.get("context_length"), n_embd=width,
        n_layer=file.get("block_count"), n_head=file.get("attention.head_count"),
        n_inner=file.get("feed_forward_length"), activation_function="gelu_new",
        layer_norm_epsilon=file.get("attention.layer_norm_epsilon"),
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=None)
    return config, transformers.GPT2LMHeadModel


def gpt_oss(file):
    options = common(file)
    options["intermediate_size"] = file.get("expert_feed_forward_length")
    rope = plain_rope(file)
    if file.get("rope.scaling.type", "none") == "yarn":
        rope |= {
            "rope_type": "yarn", "factor": file.get("rope.scaling.factor"),
            "beta_fast": file.get("rope.scaling.yarn_beta_fast", 32.0),
            "beta_slow": file.get("rope.scaling.yarn_beta_slow", 1.0), "truncate": False,
            "original_max_position_embeddings": file.get("rope.scaling.original_context_length"),
        }
    kinds = ["sliding_attention", "full_attention"]
    config = transformers.GptOssConfig(
        **options, head_dim=head_dim(file), rope_parameters=rope, attention_bias=True,
        num_local_experts=file.get("expert_count"),
        num_experts_per_tok=file.get("expert_used_count"),
        sliding_window=file.get("attention.sliding_window"),
        layer_types=[kinds[layer % 2] for layer in range(options["num_hidden_layers"])])
    return config, transformers.GptOssForCausalLM
