//! Colours for people: on a terminal, unless `NO_COLOR` is set. Text from a file or a model is made
//! harmless before it is shown, so that it cannot steer the terminal.

use std::io::IsTerminal;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Whether to colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

/// Backgrounds of neighbouring tokens, from the 256-colour palette: dark enough for white letters.
const BACKGROUNDS: [u8; 5] = [24, 58, 53, 22, 88];

impl Paint {
    /// What `when` means for this process's standard output.
    pub(super) fn new(when: When) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Paint(match when {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                let dumb = set("TERM").is_some_and(|terminal| terminal == "dumb");
                set("NO_COLOR").is_none() && !dumb && std::io::stdout().is_terminal()
            }
        })
    }

    pub(super) fn is_on(self) -> bool {
        self.0
    }

    /// The text of the `place`-th token among its neighbours.
    pub(super) fn token(self, place: usize, text: &str) -> String {
        let background = BACKGROUNDS[place % BACKGROUNDS.len()];
        self.code(&format!("97;48;5;{background}"), text)
    }

    /// What is no text: a control token.
    pub(super) fn structure(self, text: &str) -> String {
        self.code("1;35", text)
    }

    /// What is beside the point.
    pub(super) fn aside(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        match self.0 {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}
