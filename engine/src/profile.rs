//! Whose reading of a model file the engine follows where the sources disagree. Knows no place
//! where they do: each such place names its deviation itself.

/// The source that wins where oracles disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// The model's own definition: the maker's code, tokenizer.json, the paper.
    #[default]
    Reference,
    /// llama.cpp, approximations included, so that its recorded answers can be compared exactly.
    LlamaCpp,
}

impl std::str::FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "reference" => Ok(Profile::Reference),
            "llama.cpp" => Ok(Profile::LlamaCpp),
            _ => Err(format!("profile '{name}' is neither 'reference' nor 'llama.cpp'")),
        }
    }
}
