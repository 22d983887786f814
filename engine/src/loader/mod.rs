//! Containers: GGUF and safetensors files, mapped and proven before anything reads them.
//! Knows bytes, shapes and types; knows no model.
