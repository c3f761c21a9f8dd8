//! The test bench: one binary, modules only.
#![cfg(unix)]
#![allow(
    clippy::pedantic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may stop at the first surprise, and touches files and processes directly to judge the program"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the support modules serve test files that come and go"
)]

mod acknowledged;
mod answers;
mod architecture;
mod capture;
mod concurrency;
mod continuation;
mod crash;
mod crash_edges;
mod damage;
mod documents;
mod finding;
mod fuzz;
mod fuzz_git;
mod hostile;
mod hostile_kit;
mod ignore_rules;
mod keys;
mod keys_and_modes;
mod kit;
mod laboratory;
mod naming;
mod oracle;
mod places;
mod plain_git;
mod progress;
mod refusals;
mod review;
mod review_trust;
mod roundtrip;
mod source_access;
mod source_refusals;
mod status;
mod support;
mod terminal;
