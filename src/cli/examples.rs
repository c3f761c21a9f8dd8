//! Examples: what the long help and the manual page of each command end with.

/// A command, the outer one first, with lines that can be typed as they stand.
pub type Example = (&'static [&'static str], &'static str);

/// One entry for every command that is shown.
pub const EXAMPLES: &[Example] = &[
    (
        &[],
        "git vault snapshot -m 'before the rewrite'\n\
         git vault find notes.txt\n\
         git vault restore @latest:notes.txt ~/found",
    ),
    (&["init"], "git vault init"),
    (
        &["snapshot"],
        "git vault snapshot\ngit vault snapshot -m 'before the rewrite' -l keep",
    ),
    (
        &["list"],
        "git vault list -n 20\ngit vault list --sizes\ngit vault list --since yesterday --path src",
    ),
    (
        &["grep"],
        "git vault grep 'fn main'\ngit vault grep -F a.b before:rebase -- src",
    ),
    (
        &["compare"],
        "git vault compare ~/work-restored\ngit vault compare ~/found @latest:src",
    ),
    (&["show"], "git vault show\ngit vault show @~1"),
    (
        &["verify"],
        "git vault verify\ngit vault verify --deep @latest",
    ),
    (&["ls"], "git vault ls\ngit vault ls -R @latest:src"),
    (
        &["cat"],
        "git vault cat @latest:src/main.rs\ngit vault cat '@{2 hours ago}:notes.txt'",
    ),
    (
        &["find"],
        "git vault find notes\ngit vault find 'src/**/*.rs'",
    ),
    (&["log"], "git vault log src/main.rs"),
    (
        &["diff"],
        "git vault diff\ngit vault diff --stat before:rebase\ngit vault diff -p @~1 @latest -- src",
    ),
    (
        &["restore"],
        "git vault restore @latest ~/work-restored\n\
         git vault restore @latest:notes.txt ~/found",
    ),
    (
        &["drill"],
        "git vault drill\ngit vault drill --all --budget 10m",
    ),
    (
        &["drop"],
        "git vault drop --dry-run @~5\ngit vault drop @~5 @~6",
    ),
    (
        &["prune"],
        "git vault prune --keep-last 20 --keep-daily 14 --keep-weekly 8\n\
         git vault prune --keep-last 50 --max-size 20G --dry-run",
    ),
    (&["optimize"], "git vault optimize"),
    (&["doctor"], "git vault doctor"),
    (&["index", "rebuild"], "git vault index rebuild"),
    (&["set-aside"], "git vault set-aside"),
    (&["incident", "list"], "git vault incident list"),
    (&["incident", "show"], "git vault incident show"),
    (
        &["status"],
        "git vault status\ngit vault status --metrics /var/lib/node_exporter/vault.prom",
    ),
    (&["key", "status"], "git vault key status"),
    (&["key", "export"], "git vault key export ~/vault-kit.txt"),
    (
        &["key", "confirm"],
        "git vault key confirm --kit ~/vault-kit.txt",
    ),
    (
        &["key", "import"],
        "git vault key import ~/vault-kit.txt\ngit vault key import --escrow",
    ),
    (&["key", "escrow"], "git vault key escrow"),
    (&["key", "rotate"], "git vault key rotate"),
    (
        &["key", "compromise"],
        "git vault key compromise e1f8ffa5 --since 41",
    ),
    (&["acknowledge"], "git vault acknowledge 41"),
    (
        &["sweep"],
        "git vault sweep\ngit vault sweep --quiet-for 0s",
    ),
    (
        &["schedule", "install"],
        "git vault schedule install --every 15m",
    ),
    (&["schedule", "status"], "git vault schedule status"),
    (&["schedule", "uninstall"], "git vault schedule uninstall"),
    (
        &["guard"],
        "git vault guard git reset --hard\ngit vault guard rm -r build",
    ),
    (
        &["hooks", "install"],
        "git vault hooks install\ngit vault hooks install --scope global",
    ),
    (&["hooks", "status"], "git vault hooks status"),
    (&["hooks", "uninstall"], "git vault hooks uninstall"),
    (&["shell-init"], "git vault shell-init bash"),
    (
        &["agents", "install"],
        "git vault agents install\ngit vault agents install claude",
    ),
    (&["agents", "status"], "git vault agents status"),
    (
        &["agents", "uninstall"],
        "git vault agents uninstall claude",
    ),
    (&["runbook"], "git vault runbook\ngit vault runbook GV-2101"),
    (
        &["scan"],
        "git vault scan ~/src\ngit vault --json scan --all ~/src ~/work",
    ),
    (
        &["completions"],
        "git vault completions bash > ~/.local/share/bash-completion/completions/git-vault",
    ),
    (
        &["man"],
        "git vault man\ngit vault man ~/.local/share/man/man1",
    ),
    (&["help"], "git vault help lost\ngit vault help restore"),
];

/// The example of a command.
#[must_use]
pub fn of(command: &[&str]) -> Option<&'static str> {
    let found = EXAMPLES.iter().find(|(names, _)| *names == command);
    found.map(|(_, text)| *text)
}
