//! Random numbers by position: any block of any tensor can be made on its own, so what comes out
//! depends on no thread and on no other block. Knows no format. Not for secrets.

/// The odd constant nearest 2^64 divided by the golden ratio: steps of it never repeat a state.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): each bit of `x` moves half the bits.
fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// What all blocks of one tensor have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// Of the tensor `name` under a seed.
    pub fn new(seed: u64, name: &str) -> Self {
        let fold = |hash: u64, byte: &u8| mix(hash ^ u64::from(*byte)).wrapping_add(STEP);
        Key(name.as_bytes().iter().fold(mix(seed.wrapping_add(STEP)), fold))
    }

    /// The numbers of one block.
    pub fn block(self, index: u64) -> Random {
        Random { state: mix(self.0.wrapping_add(index.wrapping_mul(STEP))) }
    }
}

/// The numbers of one block.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// The next number of [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Random bytes all over `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            *word = self.bits().to_le_bytes();
        }
        if !rest.is_empty() {
            rest.copy_from_slice(&self.bits().to_le_bytes()[..rest.len()]);
        }
    }
}
