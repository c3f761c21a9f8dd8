//! The hooks of git that this program answers to.

/// An event of git for which a hook is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookEvent {
    /// A commit was made.
    PostCommit,
    /// Another branch or commit was checked out.
    PostCheckout,
    /// A merge was made.
    PostMerge,
    /// Commits were replaced by others: an amended commit, or the end of a rebase.
    PostRewrite,
    /// Git is about to tidy up by itself.
    PreAutoGc,
    /// A rebase is about to begin; nothing was changed yet.
    PreRebase,
}

impl HookEvent {
    /// Every event, in the order in which hooks are installed and listed.
    pub const ALL: [Self; 6] = [
        Self::PostCommit,
        Self::PostCheckout,
        Self::PostMerge,
        Self::PostRewrite,
        Self::PreAutoGc,
        Self::PreRebase,
    ];

    /// Its name, as git has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PostCommit => "post-commit",
            Self::PostCheckout => "post-checkout",
            Self::PostMerge => "post-merge",
            Self::PostRewrite => "post-rewrite",
            Self::PreAutoGc => "pre-auto-gc",
            Self::PreRebase => "pre-rebase",
        }
    }

    /// The event of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// What the manifest of a snapshot says that it made.
    #[must_use]
    pub fn trigger(self) -> String {
        format!("hook/{}", self.name())
    }
}
