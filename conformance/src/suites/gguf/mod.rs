//! `gguf::` attacks the GGUF reader beyond what one vector can spell: mutations, sizes, and what
//! all attack files together leave behind. The vectors themselves are of suite `gguf-file`; their
//! judge and the language that spells them live here too.

pub mod attempt;
pub mod construct;
pub mod corpus;
pub mod damage;
pub mod draft;
pub mod fuzz;
pub mod mutate;
pub mod number;
pub mod oracle;
pub mod roundtrip;
pub mod scale;
pub mod selfcheck;
pub mod vector;

pub use vector::FileVector;

use harness::Case;

/// All cases but the vectors.
pub fn cases() -> Vec<Case> {
    let all = [
        corpus::cases(),
        fuzz::cases(),
        mutate::cases(),
        roundtrip::cases(),
        scale::cases(),
        selfcheck::cases(),
    ];
    all.into_iter().flatten().collect()
}
