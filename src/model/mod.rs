//! Plain types and rules: no input or output, no clock, no gix.

pub mod danger;
mod danger_git;
mod danger_programs;
mod danger_sed;
mod danger_tests;
pub mod escape;
pub mod event;
pub mod hook_event;
pub mod ids;
pub mod incident;
pub mod inventory;
pub mod json_edit;
pub mod json_text;
pub mod kit;
mod kit_symbols;
pub mod listing;
pub mod log_entry;
pub mod manifest;
pub mod moment;
pub mod place;
pub mod refusal;
pub mod refusal_code;
pub mod shell;
pub mod signed;
pub mod timestamp;
