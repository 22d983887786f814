//! A compact LLM inference worker. See `ARCHITECTURE.md` for the token path.

pub mod adapters;
pub mod backend;
pub mod batch;
pub mod chat;
pub mod cli;
pub mod convert;
pub mod cost;
pub mod demo;
pub mod error;
pub mod forward;
pub mod kv;
pub mod loader;
pub mod memory;
pub mod model;
pub mod perplexity;
pub mod profile;
pub mod quant;
pub mod sampler;
pub mod session;
pub mod synth;
pub mod tokenizer;
