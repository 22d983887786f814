//! Reads a header, well-formed or not. Knows the words a header may hold; does not know where it
//! came from or what follows.

use super::{Channel, Marker};

/// What a header says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Who speaks: `assistant`, or a tool's full name.
    pub role: String,
    /// Which channel; `None` if it names none that exists.
    pub channel: Option<Channel>,
    /// Whom it addresses: `functions.NAME` is a tool call.
    pub recipient: Option<String>,
    /// `json` or `code`, mostly.
    pub content_type: Option<String>,
    /// The header's text without markers, exactly as it came.
    pub raw: String,
    /// What about it is not as the format wants it, in words; empty when all is well.
    pub malformed: Vec<String>,
}

/// A header as it arrives: text, split at the markers within.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// Text before any marker: the role's place.
    pub(super) before: String,
    /// Each marker with the text behind it.
    pub(super) marked: Vec<(Marker, String)>,
    /// Whether `<|start|>` was seen.
    pub(super) started: bool,
    /// Whether the prompt has named the role already.
    pub(super) role_given: bool,
    /// What went wrong so far.
    pub(super) malformed: Vec<String>,
    /// Text of abandoned headers; kept so that nothing is lost.
    pub(super) carried: String,
}

/// The roles that a header may name outright; anything else is a tool's name.
const ROLES: [&str; 5] = ["assistant", "user", "system", "developer", "tool"];
/// Content types that are recognised even where they might be content.
const CONTENT_TYPES: [&str; 2] = ["json", "code"];

impl Draft {
    /// A header of which the prompt already said `<|start|>assistant`.
    pub(super) fn of_assistant() -> Self {
        Draft { started: true, role_given: true, ..Draft::default() }
    }

    /// A header that `<|start|>` has just begun.
    pub(super) fn begun() -> Self {
        Draft { started: true, ..Draft::default() }
    }

    pub(super) fn push(&mut self, text: &str) {
        match self.marked.last_mut() {
            Some((_, tail)) => tail.push_str(text),
            None => self.before.push_str(text),
        }
    }

    /// Text so far, markers not counted.
    pub(super) fn text_bytes(&self) -> usize {
        self.before.len() + self.marked.iter().map(|(_, text)| text.len()).sum::<usize>()
    }

    pub(super) fn is_blank(&self) -> bool {
        let blank = |text: &String| text.trim().is_empty();
        blank(&self.before) && self.marked.iter().all(|(_, text)| blank(text))
    }

    /// Reads the draft. With `complete`, `<|message|>` follows and all of the text is header; else
    /// the marker never came, and from the first word that cannot be header the text is content.
    pub(super) fn read(mut self, complete: bool) -> (Header, String) {
        let mut reading = Reading { complete, started: self.started, ..Reading::default() };
        if self.role_given {
            reading.header.role = ROLES[0].into();
        }
        reading.header.malformed = std::mem::take(&mut self.malformed);
        if !self.started && !self.is_blank() {
            reading.note("no <|start|>");
        }
        reading.segment(None, &self.before);
        for (marker, text) in &self.marked {
            reading.segment(Some(*marker), text);
        }
        let mut header = reading.header;
        if header.role.is_empty() {
            header.role = ROLES[0].into();
        }
        header.raw.insert_str(0, &self.carried);
        if !complete {
            header.malformed.push("no <|message|>".into());
        }
        let thinks = header.role == ROLES[0];
        if thinks && header.channel.is_none() && header.malformed.is_empty() {
            header.malformed.push("no channel".into());
        }
        (header, reading.content)
    }
}

#[derive(Default)]
struct Reading {
    complete: bool,
    started: bool,
    header: Header,
    content: String,
    // The marker never came and content has begun: nothing after it is header.
    ended: bool,
}

impl Reading {
    fn note(&mut self, what: impl Into<String>) {
        self.header.malformed.push(what.into());
    }

    fn segment(&mut self, marker: Option<Marker>, text: &str) {
        let mut rest = text;
        let mut expected = marker;
        while !self.ended {
            let word_at = rest.len() - rest.trim_start().len();
            let word = rest[word_at..].split(char::is_whitespace).next().unwrap_or_default();
            if word.is_empty() {
                break;
            }
            let after = rest[word_at + word.len()..].trim_start();
            let addressed = after.starts_with("to=");
            let Some(taken) = self.word(expected.take(), marker, word, addressed) else {
                if self.complete {
                    self.note(format!("stray word '{word}' in the header"));
                    self.take(&mut rest, word_at + word.len());
                    continue;
                }
                self.ended = true;
                break;
            };
            self.take(&mut rest, word_at + taken);
        }
        if self.ended {
            let content_at = match self.content.is_empty() {
                true => rest.len() - rest.trim_start().len(),
                false => 0,
            };
            self.take(&mut rest, content_at);
            self.content += rest;
        } else {
            self.header.raw += rest;
        }
    }

    fn take(&mut self, rest: &mut &str, bytes: usize) {
        let (taken, left) = rest.split_at(bytes);
        self.header.raw += taken;
        *rest = left;
    }

    /// How many bytes of the word belong to the header. `expected` is the marker right before it,
    /// `addressed` says that a recipient follows.
    fn word(
        &mut self,
        expected: Option<Marker>,
        place: Option<Marker>,
        word: &str,
        addressed: bool,
    ) -> Option<usize> {
        if let Some(name) = word.strip_prefix("to=") {
            // A tool answers `to=assistant`; the model itself addresses tools.
            if self.header.recipient.is_some() {
                self.note("two recipients");
            }
            self.header.recipient = Some(name.to_owned());
            return Some(word.len());
        }
        match expected {
            Some(Marker::Channel) => return self.channel(word),
            Some(Marker::Constrain) => return self.content_type(word),
            _ => {}
        }
        match place {
            None if self.header.role.is_empty() => self.role(word, addressed),
            None if ROLES.contains(&word) => {
                self.note(format!("role '{word}' after role '{}'", self.header.role));
                Some(word.len())
            }
            // `commentary json`: a content type without its marker.
            Some(Marker::Channel) if self.header.content_type.is_none() => {
                let known = CONTENT_TYPES.contains(&word);
                (known || self.complete && is_name(word)).then(|| {
                    self.header.content_type = Some(word.to_owned());
                    word.len()
                })
            }
            _ => None,
        }
    }

    fn role(&mut self, word: &str, addressed: bool) -> Option<usize> {
        // A tool speaks under its full name, `functions.NAME`, or says to whom.
        let tool = self.started && is_name(word) && (word.contains('.') || addressed);
        if ROLES.contains(&word) || tool {
            self.header.role = word.to_owned();
            return Some(word.len());
        }
        // `assistantassistant`: the prompt had said it once already.
        let doubled = |role: &&&str| word.strip_prefix(**role) == Some(**role);
        let role = ROLES.iter().find(doubled)?;
        self.note(format!("role '{word}'"));
        self.header.role = (*role).to_owned();
        Some(word.len())
    }

    fn channel(&mut self, word: &str) -> Option<usize> {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let known = |name: &str| Channel::ALL.into_iter().find(|channel| channel.as_str() == name);
        let begins = || Channel::ALL.into_iter().find(|channel| bare.starts_with(channel.as_str()));
        let Some(channel) = known(bare).or_else(begins) else {
            self.note(format!("unknown channel '{word}'"));
            // A name that is no channel is still the channel's name if the header is complete.
            return (self.complete).then_some(word.len());
        };
        if self.header.channel.is_some_and(|earlier| earlier != channel) {
            self.note("two channels");
        }
        self.header.channel.get_or_insert(channel);
        if known(word).is_none() {
            self.note(format!("channel '{word}'"));
        }
        // `analysisWe should`: what is glued to the name is content where there may be content.
        let name_end = word.find(channel.as_str()).unwrap_or(0) + channel.as_str().len();
        let glued = !self.complete && word[name_end..].starts_with(char::is_alphanumeric);
        Some(if glued { name_end } else { word.len() })
    }

    fn content_type(&mut self, word: &str) -> Option<usize> {
        let name_end = word.find(|c: char| !is_name_char(c)).unwrap_or(word.len());
        let name = &word[..name_end];
        let known = CONTENT_TYPES.contains(&name);
        if !known && !self.complete {
            return None;
        }
        let taken = if self.complete { word } else { name };
        self.header.content_type = Some(taken.to_owned());
        if !known {
            self.note(format!("content type '{taken}'"));
        }
        Some(taken.len())
    }
}

fn is_name(word: &str) -> bool {
    word.chars().all(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || "._-".contains(c)
}
