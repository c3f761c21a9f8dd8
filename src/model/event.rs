//! What an operation tells the outside while it runs: an observer is passed in, nothing prints below `cli`.

/// A stretch of work that a person may watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Looking at the working tree and reading what changed; counted in files.
    Scan,
    /// Copying history into the vault; counted in objects.
    History,
    /// Reading back and checking; counted in bytes.
    Verify,
    /// Writing a workspace; counted in bytes.
    Restore,
    /// Copying what is needed into new packs; counted in objects.
    Optimize,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A phase begins; `total` is how many units it will count, when that is known.
    Started {
        /// The phase.
        phase: Phase,
        /// Units to come, or `None` when not known beforehand.
        total: Option<u64>,
    },
    /// So many more units are done.
    Advanced {
        /// The phase.
        phase: Phase,
        /// Units done since the last event of this phase.
        units: u64,
    },
    /// The phase is over.
    Finished {
        /// The phase.
        phase: Phase,
    },
}

/// Watches an operation. Must be cheap, and callable from several threads.
pub trait Monitor: Sync {
    /// Is told one event.
    fn event(&self, event: Event);
}

/// A monitor that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn event(&self, _event: Event) {}
}
