//! Progress on standard error, where that is a terminal.

use std::cell::Cell;
use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::train::{Progress, Step};

const BEGUN: &str = "{spinner} {msg} {wide_bar} {human_pos} of {human_len}";
const COUNTED: &str = "{spinner} {msg} {wide_bar} {human_pos} of {human_len}, {eta} left";
const UNCOUNTED: &str = "{spinner} {msg} {human_pos}";
/// How many tickets go by before the bar is told.
const TOLD: u64 = 256;

/// One step after the other, each with the time that it has left where its end is known and its pace
/// has been seen.
pub(super) struct Steps {
    bar: ProgressBar,
    shown: Cell<Option<(Step, &'static str)>>,
}

/// What is shown of a step. Before anything of it is done there is no pace to tell an end by.
fn template(progress: Progress) -> &'static str {
    match progress.total {
        None => UNCOUNTED,
        Some(_) if progress.done == 0 => BEGUN,
        Some(_) => COUNTED,
    }
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
        Self { bar, shown: Cell::new(None) }
    }

    pub(super) fn show(&self, progress: Progress) {
        let template = template(progress);
        let before = self.shown.replace(Some((progress.step, template)));
        if before.is_none_or(|(step, _)| step != progress.step) {
            // The pace of the step before says nothing of this one.
            self.bar.reset();
            self.bar.set_message(progress.step.as_str());
        }
        if before != Some((progress.step, template))
            && let Ok(style) = ProgressStyle::with_template(template)
        {
            self.bar.set_style(style);
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
        self.show(Progress { step: Step::Judge, done, total });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_left_before_anything_is_done() {
        let of = |done, total| template(Progress { step: Step::Fit, done, total });
        assert!(!of(0, Some(20)).contains("left") && !of(7, None).contains("left"));
        assert!(of(1, Some(20)).contains("left"));
    }
}
