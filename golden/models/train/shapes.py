"""The five models as the `config.json` of their families spells them, and how each is trained.

Dimensions are awkward on purpose: an engine that mixes two of them up must notice. Knows no text.
"""

CONTEXT = 16384  # so that a prompt of 8,300 tokens fits
LAYERS = 4

GPT_OSS = {
    "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss",
    "hidden_size": 160, "intermediate_size": 64, "num_hidden_layers": LAYERS,
    # A head is wider than hidden_size / heads.
    "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 32, "attention_bias": True,
    "num_local_experts": 7, "num_experts_per_tok": 3, "experts_per_token": 3,
    "layer_types": ["sliding_attention", "full_attention"] * (LAYERS // 2), "sliding_window": 32,
    "max_position_embeddings": CONTEXT, "initial_context_length": 64, "rope_theta": 150000,
    "rope_scaling": {"rope_type": "yarn", "factor": CONTEXT / 64, "beta_fast": 32.0,
                     "beta_slow": 1.0, "original_max_position_embeddings": 64, "truncate": False},
    "swiglu_limit": 7.0, "rms_norm_eps": 1e-5, "router_aux_loss_coef": 0.02,
    "output_router_logits": False, "tie_word_embeddings": False, "hidden_act": "silu",
}

QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
    # Rows of 192 fit no block of 256, rows of 256 do.
    "hidden_size": 192, "intermediate_size": 256, "num_hidden_layers": LAYERS,
    "num_attention_heads": 6, "num_key_value_heads": 3, "max_position_embeddings": CONTEXT,
    "rope_theta": 1000000.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
    "hidden_act": "silu", "use_sliding_window": False,
}

PHI3_HALF_HEAD = 16
PHI3 = {
    "architectures": ["Phi3ForCausalLM"], "model_type": "phi3",
    "hidden_size": 160, "intermediate_size": 288, "num_hidden_layers": LAYERS,
    "num_attention_heads": 5, "num_key_value_heads": 5, "sliding_window": 96,
    "max_position_embeddings": CONTEXT, "original_max_position_embeddings": 256,
    "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    "hidden_act": "silu",
    "rope_scaling": {
        "type": "longrope",
        "short_factor": [1.0 + 0.03 * i for i in range(PHI3_HALF_HEAD)],
        "long_factor": [1.0 + 0.25 * i * i for i in range(PHI3_HALF_HEAD)],
    },
}

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama",
    "hidden_size": 96, "intermediate_size": 352, "num_hidden_layers": LAYERS,
    "num_attention_heads": 12, "num_key_value_heads": 3, "head_dim": 24,
    "max_position_embeddings": CONTEXT, "rope_theta": 10000.0, "rms_norm_eps": 1e-5,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                     "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
    "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
    "hidden_act": "silu",
}

GPT2 = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
    "n_embd": 96, "n_layer": LAYERS, "n_head": 3, "n_inner": 256, "n_positions": 512,
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
    "embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0,
}

# `lengths`: a step trains rows of one of these. Phi-3's lie on both sides of its switch of factors.
# `mxfp4`: parameters that end as MXFP4, and the dimension along which their blocks lie.
TRAINING = {
    "gpt-oss": {"config": GPT_OSS, "lengths": [384], "steps": 2500, "rate": 3e-3,
                "mxfp4": {"experts.gate_up_proj": 1, "experts.down_proj": 1}},
    "qwen2": {"config": QWEN2, "lengths": [256], "steps": 3000, "rate": 3e-3},
    "phi3": {"config": PHI3, "lengths": [256, 384], "steps": 4000, "rate": 3e-3,
             "mxfp4": {"embed_tokens.weight": 1, "qkv_proj.weight": 1, "o_proj.weight": 1,
                       "gate_up_proj.weight": 1, "down_proj.weight": 1, "lm_head.weight": 1}},
    "llama": {"config": LLAMA, "lengths": [256], "steps": 3000, "rate": 3e-3},
    "gpt2": {"config": GPT2, "lengths": [512], "steps": 4000, "rate": 3e-3},
}
