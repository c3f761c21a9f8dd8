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
mod agents;
mod agents_elsewhere;
mod agents_ends;
mod agents_keeping;
mod agents_settings;
mod agents_shapes;
mod agents_status;
mod agents_trouble;
mod answers;
mod architecture;
mod block_log;
mod block_replay;
mod capture;
mod concurrency;
mod content;
mod continuation;
mod continuation_rare;
mod crafted_tables;
mod crash;
mod crash_edges;
mod damage;
mod damage_everywhere;
mod damaged_sources;
mod destinations;
mod destroying_commands;
mod differences;
mod doctor;
mod documents;
mod drill;
mod drill_compare;
mod drop;
mod durability_keys;
mod durability_kills;
mod durability_model;
mod faithful_copies;
mod fidelity;
mod finding;
mod fuzz;
mod fuzz_git;
mod golden;
mod gone;
mod guard;
mod guard_losses;
mod habits;
mod health;
mod history_formats;
mod hook_managers;
mod hook_worker;
mod hooks;
mod hooks_install;
mod hooks_moved;
mod hooks_unfound;
mod hostile;
mod hostile_kit;
mod ignore_rules;
mod incident_secrets;
mod incidents;
mod index;
mod index_reading;
mod keys;
mod keys_and_modes;
mod kit;
mod known_state;
mod laboratory;
mod last_second;
mod limits;
mod listing;
mod long_logs;
mod looking;
mod loop_disk;
mod lost_trees;
mod lying_kernel;
mod misplaced_trees;
mod naming;
mod narrow_destinations;
mod nested_repositories;
mod optimize;
mod oracle;
mod ownership;
mod packaging;
mod partial_clones;
mod pause;
mod places;
mod plain_git;
mod posix_model;
mod power_cut;
mod process;
mod progress;
mod races;
mod read_errors;
mod reftable;
mod refusals;
mod release_gate;
mod restore_attacks;
mod retention;
mod review;
mod review_evidence;
mod review_keys;
mod review_trust;
mod roundtrip;
mod runbook_drills;
mod scan;
mod schedule;
mod sequences;
mod set_aside;
mod several_trees;
mod shell_init;
mod source_access;
mod source_refusals;
mod status;
mod support;
mod support_log;
mod sweep;
mod system_calls;
mod terminal;
mod thin_disk;
mod triggers_audit;
