//! Progress on standard error, where that is a terminal.

use std::cell::Cell;
use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::train::{Progress, Step};

const COUNTED: &str = "{spinner} {msg} {wide_bar} {human_pos} of {human_len}, {eta} left";
const UNCOUNTED: &str = "{spinner} {msg} {human_pos}";
/// How many tickets go by before the bar is told.
const TOLD: u64 = 256;

/// One step after the other, each with the time that it has left where its end is known.
pub(super) struct Steps {
    bar: ProgressBar,
    step: Cell<Option<(Step, bool)>>,
}

impl Steps {
    pub(super) fn new() -> Self {
        let target = if stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, step: Cell::new(None) }
    }

    pub(super) fn show(&self, progress: Progress) {
        let step = Some((progress.step, progress.total.is_some()));
        if self.step.replace(step) != step {
            // The pace of the step before says nothing of this one.
            self.bar.reset();
            self.bar.set_message(progress.step.as_str());
            let template = if progress.total.is_some() { COUNTED } else { UNCOUNTED };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
        }
        match progress.total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        self.bar.set_position(progress.done);
    }

    /// To be called after each of `total` tickets that a model is asked about.
    pub(super) fn judging(&self, total: usize) -> impl FnMut() {
        let mut done = 0;
        let total = Some(total as u64);
        move || {
            done += 1;
            if done % TOLD == 0 || Some(done) == total {
                self.show(Progress { step: Step::Judge, done, total });
            }
        }
    }

    /// Does something with the terminal as it is without the bar.
    pub(super) fn suspend<T>(&self, f: impl FnOnce() -> T) -> T {
        self.bar.suspend(f)
    }

    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}
