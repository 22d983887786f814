//! A compact LLM inference worker. See `ARCHITECTURE.md` for the token path.

pub mod chat;
pub mod cli;
pub mod error;
pub mod loader;
pub mod profile;
pub mod quant;
pub mod tokenizer;
