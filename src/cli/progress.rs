//! Draws events as progress bars on a terminal, and nothing anywhere else.

use std::collections::BTreeMap;
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::event::{Event, Monitor, Phase};

/// Progress bars, one for each phase that is under way.
pub struct Bars {
    all: MultiProgress,
    current: Mutex<BTreeMap<Phase, ProgressBar>>,
}

impl Bars {
    /// Makes bars on standard error, if somebody watches.
    #[must_use]
    pub fn new(is_watched: bool) -> Self {
        let target = if is_watched {
            ProgressDrawTarget::stderr_with_hz(15)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            all: MultiProgress::with_draw_target(target),
            current: Mutex::default(),
        }
    }

    /// Removes what is left on the terminal.
    pub fn clear(&self) {
        if let Ok(mut current) = self.current.lock() {
            for bar in std::mem::take(&mut *current).into_values() {
                bar.finish_and_clear();
            }
        }
    }

    fn start(&self, phase: Phase, total: Option<u64>) -> ProgressBar {
        let bar = self
            .all
            .add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
        let (word, unit) = match phase {
            Phase::Scan => ("scan", "{human_pos} files"),
            Phase::History => ("history", "{human_pos}/{human_len} objects"),
            Phase::Verify => ("verify", "{bytes}/{total_bytes}"),
            Phase::Optimize => ("optimize", "{human_pos}/{human_len} objects"),
            Phase::Restore => ("restore", "{bytes}/{total_bytes}"),
        };
        let drawn = if total.is_some() {
            "{wide_bar:.dim}"
        } else {
            "{spinner}"
        };
        // A template that cannot be read would only cost its looks.
        if let Ok(style) = ProgressStyle::with_template(&format!("{word:<8} {drawn} {unit}")) {
            bar.set_style(style);
        }
        bar
    }
}

impl Monitor for Bars {
    fn event(&self, event: Event) {
        if self.all.is_hidden() {
            return;
        }
        let Ok(mut current) = self.current.lock() else {
            return;
        };
        match event {
            Event::Started { phase, total } => {
                let bar = self.start(phase, total);
                if let Some(old) = current.insert(phase, bar) {
                    old.finish_and_clear();
                }
            }
            Event::Advanced { phase, units } => {
                if let Some(bar) = current.get(&phase) {
                    bar.inc(units);
                }
            }
            Event::Finished { phase } => {
                if let Some(bar) = current.remove(&phase) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}
