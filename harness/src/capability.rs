//! What a machine may lack. Knows how to ask the machine, not who needs the answer.

/// Whether this machine has `capability`; the error says what is missing.
pub fn probe(capability: &str) -> Result<(), String> {
    match capability {
        "llama-cpp-models" => match std::env::var_os("ORCD_LLAMA_CPP_MODELS") {
            Some(_) => Ok(()),
            None => Err("ORCD_LLAMA_CPP_MODELS is not set".into()),
        },
        other => Err(format!("unknown capability '{other}'")),
    }
}
