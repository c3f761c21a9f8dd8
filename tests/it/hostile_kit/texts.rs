//! Records that say the same, or nearly, in another way: each has one form, and what is signed in another one is refused.

use super::{Case, NOTHING, case, harmless};
use crate::support::forge::Draft;

/// The same change to the newest entry, the newest manifest and the description.
macro_rules! each_record {
    ($all:ident, $name:literal, $change:expr, $codes:expr) => {
        $all.push(case(
            concat!("entry-", $name),
            |_, forge| {
                let change: fn(&mut Draft) = $change;
                change(forge.last());
            },
            NOTHING,
            $codes,
        ));
        $all.push(case(
            concat!("manifest-", $name),
            |_, forge| {
                let change: fn(&mut Draft) = $change;
                change(forge.manifest());
            },
            NOTHING,
            $codes,
        ));
        $all.push(case(
            concat!("description-", $name),
            |_, forge| {
                let change: fn(&mut Draft) = $change;
                change(&mut forge.description);
            },
            NOTHING,
            $codes,
        ));
    };
}

fn first_line(draft: &mut Draft, from: &str, to: &str) {
    draft.first_line = draft.first_line.replace(from, to);
}

/// Writes the string value of `tool` in another way.
fn tool(draft: &mut Draft, change: fn(&str) -> String) {
    let value = crate::support::forge::value(&draft.body, "tool");
    draft.set("tool", &change(&value));
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    each_record!(
        all,
        "of-version-2",
        |draft| first_line(draft, " 1\n", " 2\n"),
        &["GV-3301"]
    );
    each_record!(
        all,
        "of-version-10",
        |draft| first_line(draft, " 1\n", " 10\n"),
        &["GV-3301"]
    );
    each_record!(
        all,
        "with-cr-after-its-first-line",
        |draft| first_line(draft, "\n", "\r\n"),
        &["GV-3301"]
    );
    each_record!(
        all,
        "with-a-mark-before",
        |draft| draft.first_line.insert(0, '\u{feff}'),
        &["GV-3001"]
    );
    each_record!(
        all,
        "with-a-line-before",
        |draft| draft.first_line.insert(0, '\n'),
        &["GV-3001"]
    );
    each_record!(
        all,
        "with-its-first-line-twice",
        |draft| draft.first_line = draft.first_line.repeat(2),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-crlf",
        |draft| draft.body = draft.body.replace('\n', "\r\n"),
        &["GV-3302"]
    );
    each_record!(
        all,
        "all-in-crlf",
        |draft| draft.after = |bytes| String::from_utf8(bytes)
            .expect("UTF-8")
            .replace('\n', "\r\n")
            .into_bytes(),
        &["GV-3301", "GV-3001"]
    );
    each_record!(
        all,
        "with-data-behind",
        |draft| draft.after = |bytes| [bytes, b"more\n".to_vec()].concat(),
        &["GV-3001"]
    );
    each_record!(
        all,
        "with-a-zero-behind",
        |draft| draft.after = |bytes| [bytes, vec![0]].concat(),
        &["GV-3001"]
    );
    each_record!(
        all,
        "with-a-line-feed-behind",
        |draft| draft.after = |bytes| [bytes, vec![b'\n']].concat(),
        &["GV-3001"]
    );
    each_record!(
        all,
        "without-its-last-line-feed",
        |draft| draft.after = |bytes| bytes[..bytes.len() - 1].to_vec(),
        &["GV-3001"]
    );
    each_record!(
        all,
        "without-its-signature",
        |draft| draft.after = |bytes| bytes[..bytes.len() - 95].to_vec(),
        &["GV-3001"]
    );
    each_record!(
        all,
        "signed-in-capitals",
        |draft| draft.after = |mut bytes| {
            let from = bytes.len() - 66;
            bytes[from..].make_ascii_uppercase();
            bytes
        },
        &["GV-3001"]
    );
    each_record!(
        all,
        "empty",
        |draft| draft.after = |_| Vec::new(),
        &["GV-3001"]
    );
    each_record!(
        all,
        "with-no-body",
        |draft| draft.body.clear(),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-an-unknown-field",
        |draft| draft.body.insert_str(0, "also = 1\n"),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-an-unknown-table",
        |draft| draft.body.push_str("\n[also]\nmore = 1\n"),
        &["GV-3302"]
    );
    each_record!(
        all,
        "without-a-field",
        |draft| {
            let line = crate::support::forge::line_of(&draft.body, "tool").to_owned();
            draft.replace(&line, "");
        },
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-a-field-twice",
        |draft| {
            let line = crate::support::forge::line_of(&draft.body, "tool").to_owned();
            draft.replace(&line, &line.repeat(2));
        },
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-fields-in-another-order",
        |draft| {
            let line = crate::support::forge::line_of(&draft.body, "tool").to_owned();
            draft.replace(&line, "");
            draft.body.insert_str(0, &line);
        },
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-a-number-for-text",
        |draft| tool(draft, |_| "7".to_owned()),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-a-list-for-text",
        |draft| tool(draft, |value| format!("[\"{value}\"]")),
        &["GV-3302"]
    );
    each_record!(
        all,
        "in-single-quotes",
        |draft| tool(draft, |value| format!("'{value}'")),
        &["GV-3302"]
    );
    each_record!(
        all,
        "in-three-quotes",
        |draft| tool(draft, |value| format!("\"\"\"{value}\"\"\"")),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-escapes",
        |draft| tool(draft, |value| format!("\"\\u0067{}\"", &value[1..])),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-a-space-more",
        |draft| tool(draft, |value| format!(" \"{value}\"")),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-a-remark",
        |draft| tool(draft, |value| format!("\"{value}\" # true")),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-remarks-behind",
        |draft| draft.body.push_str("# nothing\n"),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-an-empty-line",
        |draft| draft.body.insert(0, '\n'),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-an-id-in-capitals",
        |draft| {
            let id = crate::support::forge::value(&draft.body, "repository");
            draft.set("repository", &format!("\"{}\"", id.to_ascii_uppercase()));
        },
        &["GV-3302", "GV-1201"]
    );
    each_record!(
        all,
        "with-a-short-id",
        |draft| draft.set("repository", "\"3333\""),
        &["GV-3302"]
    );
    each_record!(
        all,
        "deeply-nested",
        |draft| draft.body.insert_str(
            0,
            &format!("also = {}{}\n", "[".repeat(20_000), "]".repeat(20_000))
        ),
        &["GV-3302"]
    );
    each_record!(
        all,
        "with-deep-tables",
        |draft| draft
            .body
            .insert_str(0, &format!("{}x = 1\n", "a.".repeat(20_000))),
        &["GV-3302"]
    );
    each_record!(
        all,
        "of-17-mib",
        |draft| tool(draft, |_| format!("\"{}\"", "x".repeat(17 << 20))),
        &["GV-3001", "GV-3003"]
    );
    all.extend(numbers());
    all.extend(large());
    all
}

fn numbers() -> Vec<Case> {
    vec![
        case(
            "number-with-underscore",
            |_, forge| {
                forge.last().set("manifest_bytes", "1_000");
                forge.last().links = crate::support::forge::Links::AsWritten;
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "number-with-plus",
            |_, forge| {
                let own = forge.entries.len();
                forge.last().set("number", &format!("+{own}"));
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "number-with-zero-before",
            |_, forge| {
                let own = forge.entries.len();
                forge.last().set("number", &format!("0{own}"));
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "number-in-hexadecimal",
            |_, forge| {
                let own = forge.entries.len();
                forge.last().set("number", &format!("0x{own}"));
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "number-as-a-float",
            |_, forge| {
                let own = forge.entries.len();
                forge.last().set("number", &format!("{own}.0"));
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "number-as-text",
            |_, forge| {
                let own = forge.entries.len();
                forge.last().set("number", &format!("\"{own}\""));
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "number-negative",
            |_, forge| forge.last().set("number", "-1"),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "number-of-2-to-the-63",
            |_, forge| forge.last().set("number", "9223372036854775808"),
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "number-of-2-to-the-64",
            |_, forge| forge.last().set("number", "18446744073709551616"),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "pack-of-2-to-the-63-bytes",
            |_, forge| forge.last().set("bytes", "9223372036854775808"),
            NOTHING,
            &["GV-3001"],
        ),
        case(
            "pack-of-the-greatest-size",
            |_, forge| forge.last().set("bytes", "9223372036854775807"),
            NOTHING,
            &["GV-3001"],
        ),
        case(
            "pack-of-a-negative-size",
            |_, forge| forge.last().set("bytes", "-1"),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "pack-in-a-parent-directory",
            |_, forge| {
                forge.last().set(
                    "name",
                    "\"../pack-0123456789012345678901234567890123456789\"",
                )
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "pack-with-a-short-name",
            |_, forge| forge.last().set("name", "\"pack-1\""),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "pack-of-an-unknown-role",
            |_, forge| forge.last().set("role", "\"both\""),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "captures-of-a-promisor",
            |_, forge| {
                let role = "role = \"capture\"\n";
                forge
                    .last()
                    .replace(role, &format!("{role}promisor = true\n"));
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "captures-of-no-promisor",
            |_, forge| {
                let role = "role = \"capture\"\n";
                forge
                    .last()
                    .replace(role, &format!("{role}promisor = false\n"));
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "captures-of-a-repository",
            |_, forge| {
                let role = "role = \"capture\"\n";
                let of = format!("{role}of = \"gitdir/modules/lib\"\n");
                forge.last().replace(role, &of);
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "snapshot-in-a-parent-directory",
            |_, forge| {
                let id = forge.target.clone();
                forge
                    .last()
                    .replace(&format!("id = \"{id}\""), "id = \"../../x\"");
                forge.last().links = crate::support::forge::Links::AsWritten;
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "kind-unknown",
            |_, forge| forge.last().set("kind", "\"drop\""),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "kind-of-another-table",
            |_, forge| forge.last().set("kind", "\"verify\""),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "time-that-is-none",
            |_, forge| forge.last().set("time", "\"2026-02-30T00:00:00Z\""),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "time-in-another-zone",
            |_, forge| forge.last().set("time", "\"2026-02-20T00:00:00+01:00\""),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "time-as-a-date",
            |_, forge| forge.last().set("time", "2026-02-20T00:00:00Z"),
            NOTHING,
            &["GV-3302"],
        ),
        harmless(
            "time-long-past",
            |_, forge| forge.last().set("time", "\"1971-01-01T00:00:00Z\""),
            "order comes from numbers, time is information",
            None,
        ),
        harmless(
            "time-far-ahead",
            |_, forge| forge.last().set("time", "\"9990-01-01T00:00:00Z\""),
            "order comes from numbers, time is information",
            None,
        ),
    ]
}

fn large() -> Vec<Case> {
    vec![
        case(
            "entry-of-more-than-1-mib",
            |_, forge| {
                forge
                    .last()
                    .set("tool", &format!("\"{}\"", "x".repeat(1 << 20)))
            },
            NOTHING,
            &["GV-3001", "GV-3003"],
        ),
        harmless(
            "entry-of-nearly-1-mib",
            |_, forge| {
                forge
                    .last()
                    .set("tool", &format!("\"{}\"", "x".repeat(1_040_000)))
            },
            "it is within the limit, and only long",
            None,
        ),
        case(
            "description-of-more-than-64-kib",
            |_, forge| {
                forge
                    .description
                    .set("tool", &format!("\"{}\"", "x".repeat(1 << 16)))
            },
            NOTHING,
            &["GV-3001", "GV-3003"],
        ),
        harmless(
            "manifest-with-a-message-of-10-mib",
            |_, forge| {
                forge
                    .manifest()
                    .set("message", &format!("\"{}\"", "x".repeat(10 << 20)))
            },
            "it is within the limit, and only long",
            None,
        ),
    ]
}
