//! A progress bar on standard error, if that is a terminal. Work that is over at once shows none.

use crate::error::shown;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How far a command is with so many bytes, or steps.
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    pub(super) fn new(bytes: u64) -> Self {
        Self::shown_as(bytes, "{bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta} {wide_msg}")
    }

    /// For work that is counted in steps.
    pub(super) fn steps(count: usize) -> Self {
        Self::shown_as(count as u64, "{bar:32} {pos}/{len} {eta} {wide_msg}")
    }

    /// For work of which nobody knows how far it is.
    pub(super) fn waiting(text: String) -> Self {
        let progress = Self::shown_as(0, "{spinner} {elapsed} {wide_msg}");
        progress.bar.set_message(text);
        if std::io::stderr().is_terminal() {
            progress.bar.set_draw_target(ProgressDrawTarget::stderr());
            progress.bar.enable_steady_tick(Duration::from_millis(200));
        }
        progress
    }

    fn shown_as(length: u64, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, started: Instant::now() }
    }

    /// Shows a text beside the bar.
    pub(super) fn say(&mut self, text: String) {
        self.bar.set_message(text);
    }

    /// Names what is being worked on.
    pub(super) fn tensor(&mut self, name: &str) {
        self.bar.set_message(shown(name));
    }

    pub(super) fn add(&mut self, bytes: u64) {
        let due = self.started.elapsed() > Duration::from_millis(500);
        if due && self.bar.is_hidden() && std::io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
