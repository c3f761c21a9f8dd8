//! Keys and their copies are durable before anything relies on them, judged by the model of `durability_model.rs`.

use crate::crash::can_trace;
use crate::durability_model::{homes, recorded};
use crate::laboratory::Laboratory;
use crate::support::files::{mkdir, write};

#[test]
fn a_new_key_is_durable_before_the_log_lets_it_sign() {
    if !can_trace("durability of a new key") {
        return;
    }
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    let arguments = ["key", "rotate"];
    recorded(sandbox, source, &arguments, "ROTATED", &homes(sandbox)).judge("key rotate", &[]);
}

#[test]
fn a_wrapped_key_is_durable_before_the_log_names_it() {
    if !can_trace("durability of a wrapped key") {
        return;
    }
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    let passphrase = write(
        &sandbox.path(""),
        "passphrase",
        "correct horse battery staple\n",
    );
    let passphrase = passphrase.to_str().expect("a UTF-8 path").to_owned();
    let arguments = ["key", "escrow", "--passphrase-file", &passphrase];
    recorded(sandbox, source, &arguments, "WRAPPED", &homes(sandbox)).judge("key escrow", &[]);
}

#[test]
fn a_kit_is_durable_when_it_is_said_to_be_written() {
    if !can_trace("durability of a kit") {
        return;
    }
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    let kit = mkdir(&sandbox.path(""), "place").join("kit.txt");
    let text = kit.to_str().expect("a UTF-8 path").to_owned();
    let arguments = ["key", "export", &text];
    recorded(sandbox, source, &arguments, "KIT", &[kit]).judge("key export", &[]);
}
