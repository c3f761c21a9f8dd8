//! The recovery kit as a person types it: what is right comes back, and every slip is found and named.

use git_vault::host::escrow;
use git_vault::model::ids::{VaultId, to_hex};
use git_vault::model::kit::{self, KitError, KitKey, LINES, Standing};
use git_vault::model::signed::SigningKey;
use git_vault::model::timestamp::Timestamp;
use proptest::prelude::*;

use crate::architecture::read as read_file;

/// The examples of docs/FORMAT.md are about this key.
const EXAMPLE: &str = "8d9009c22da181bfaf71af4bb1d583576c8f37b33a1d09d8645e6f00eb1b1047";

const SYMBOLS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn key(seed: u8) -> SigningKey {
    let secret = std::array::from_fn(|place| seed.wrapping_mul(31).wrapping_add(place as u8 * 7));
    SigningKey::new(secret, VaultId::from_bytes([0xa5; 16]))
}

fn kit_key(key: SigningKey, standing: Standing) -> KitKey {
    KitKey { key, standing }
}

fn written(keys: Vec<SigningKey>) -> String {
    let keys: Vec<KitKey> = keys
        .into_iter()
        .map(|key| kit_key(key, Standing::Active))
        .collect();
    kit::write(
        &keys,
        "/home/ada/hello",
        Timestamp::from_seconds(1_800_000_000),
    )
    .to_string()
}

/// The first line, the keys and the end: what must be typed.
fn typed(keys: Vec<SigningKey>) -> Vec<String> {
    let text = written(keys);
    let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    let start = lines.iter().position(|line| line.starts_with("key "));
    lines.drain(1..start.expect("a key"));
    lines.retain(|line| !line.is_empty());
    lines
}

fn read(lines: &[String]) -> Result<Vec<SigningKey>, KitError> {
    kit::read(&lines.join("\n"))
}

fn secrets(keys: &[SigningKey]) -> Vec<([u8; 32], VaultId)> {
    keys.iter()
        .map(|key| (*key.secret(), key.vault()))
        .collect()
}

/// The numbered lines of the first key stand after the first line and its heading.
fn place_of(line: usize) -> usize {
    line + 1
}

#[test]
fn a_kit_of_several_keys_comes_back_whole() {
    let all = [Standing::Active, Standing::Retired, Standing::Compromised];
    let keys: Vec<KitKey> = all
        .into_iter()
        .zip(1..)
        .map(|(standing, seed)| kit_key(key(seed), standing))
        .collect();
    let path = format!(
        "/home/ada/{}\u{4f60}\n7 end key\u{202e}",
        "long/".repeat(40)
    );
    let text = kit::write(&keys, &path, Timestamp::from_seconds(1_800_000_000));
    let found = kit::read(&text).expect("the kit");
    assert_eq!(secrets(&found), secrets(&[key(1), key(2), key(3)]));
    for line in text.lines() {
        assert!(line.chars().count() <= 72, "{line}");
        assert!(!line.contains('\u{202e}'));
    }
    assert!(text.starts_with("git-vault recovery kit 1\n"));
    for part in [
        &*format!("vault         {}", key(1).vault()),
        "repository    /home/ada/long/",
        "made          2027-01-15T08:00:00Z",
        "THIS IS A SECRET",
        "git vault --vault VAULT key import KIT",
        &*format!("key {} (active)", key(1).id()),
        &*format!("key {} (retired)", key(2).id()),
        &*format!("key {} (compromised)", key(3).id()),
    ] {
        assert!(text.contains(part), "{part}");
    }
    for (place, seed) in (1..=3).enumerate() {
        for line in kit::lines(&key(seed), place + 1) {
            assert!(text.contains(&*line));
        }
    }
}

/// The fenced text of docs/FORMAT.md that begins with a line.
fn example(first_line: &str) -> String {
    let document = read_file("docs/FORMAT.md");
    let mut blocks = document.split("\n```").skip(1).step_by(2);
    let begins = format!("\n{first_line}\n");
    let block = blocks.find(|block| block.starts_with(&begins));
    format!("{}\n", block.expect("the example").trim_start())
}

#[test]
fn the_examples_in_the_format_are_the_key_that_the_format_shows() {
    let kit = kit::read(&example("git-vault recovery kit 1")).expect("the kit");
    let escrow = example("# git-vault escrow 1");
    let passphrase = b"correct horse battery staple";
    let wrapped = escrow::open(escrow.as_bytes(), passphrase).expect("the escrow");
    assert!(read_file("docs/FORMAT.md").contains(&format!("secret = \"{EXAMPLE}\"")));
    for found in [&kit[0], &wrapped] {
        assert_eq!(to_hex(found.secret()), EXAMPLE);
        assert_eq!(found.id().to_string(), "e1f8ffa55cd4027c");
    }
    let at = Timestamp::from_seconds(1_795_409_248);
    let standing = Standing::Active;
    let keys: Vec<KitKey> = kit.into_iter().map(|key| kit_key(key, standing)).collect();
    let written = kit::write(&keys, "/home/ada/hello/.git", at);
    let (head, _) = written
        .split_once("\nTHIS IS A SECRET")
        .expect("the explanation");
    let (_, tail) = written.split_once("\nkey ").expect("a key");
    assert_eq!(
        format!("{head}\nkey {tail}"),
        example("git-vault recovery kit 1")
    );
}

#[test]
fn the_secret_stands_in_the_last_four_lines_only() {
    let other = SigningKey::new([9; 32], key(1).vault());
    let (one, two) = (kit::lines(&key(1), 1), kit::lines(&other, 1));
    let same: Vec<bool> = one.iter().zip(&two).map(|(one, two)| one == two).collect();
    assert_eq!(same, [true, true, false, false, false, false, false]);
}

#[test]
fn how_it_is_typed_does_not_matter() {
    let text = written(vec![key(1), key(2)]);
    let expected = secrets(&[key(1), key(2)]);
    let forms = [
        text.to_lowercase(),
        text.to_uppercase(),
        text.replace('\n', "\r\n"),
        text.replace('\n', "  \n\n\t"),
        typed(vec![key(1), key(2)]).join("\n"),
        format!("Dear all,\n7 days ago\nkey\nend\n{text}\nYours, Ada\n"),
    ];
    for form in forms {
        assert_eq!(
            kit::read(&form).map(|keys| secrets(&keys)),
            Ok(expected.clone()),
            "{form}"
        );
    }
    let mut lines = typed(vec![key(1), key(2)]);
    for line in &mut lines {
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            let (number, symbols) = line.split_once(' ').expect("a number");
            let symbols: Vec<String> = symbols
                .chars()
                .filter(|character| *character != ' ')
                .map(|character| match character {
                    '0' => "o".to_owned(),
                    '1' => "l".to_owned(),
                    other => other.to_lowercase().to_string(),
                })
                .collect();
            *line = format!("{number} {}", symbols.join("- "));
        }
    }
    assert_eq!(read(&lines).map(|keys| secrets(&keys)), Ok(expected));
}

#[test]
fn every_wrong_symbol_in_every_line_is_found_and_its_line_is_named() {
    let lines = typed(vec![key(1)]);
    let mut tried = 0;
    for number in 1..=LINES {
        let line = &lines[place_of(number)];
        for (position, right) in line
            .char_indices()
            .skip(2)
            .filter(|(_, right)| *right != ' ')
        {
            for wrong in SYMBOLS.chars().filter(|wrong| *wrong != right) {
                let mut changed = line.clone();
                changed.replace_range(position..=position, &wrong.to_string());
                assert!(!kit::line_matches(&key(1), 1, number, &changed));
                let mut lines = lines.clone();
                lines[place_of(number)] = changed;
                let error = read(&lines).expect_err("a wrong symbol");
                assert_eq!(
                    error,
                    KitError::Mistyped {
                        key: 1,
                        line: number
                    }
                );
                tried += 1;
            }
        }
    }
    assert_eq!(tried, LINES * 17 * 31);
    let end = lines.last().expect("the end").clone();
    for position in 4..10 {
        for wrong in SYMBOLS
            .chars()
            .filter(|wrong| !end[position..].starts_with(*wrong))
        {
            let mut changed = end.clone();
            changed.replace_range(position..=position, &wrong.to_string());
            let mut lines = lines.clone();
            *lines.last_mut().expect("the end") = changed;
            assert_eq!(read(&lines).err(), Some(KitError::End));
        }
    }
    assert_eq!(
        KitError::Mistyped { key: 1, line: 3 }.to_string(),
        "line 3 of key 1 was mistyped: its checksum does not fit"
    );
}

#[test]
fn neighbours_that_change_places_are_found() {
    let lines = typed(vec![key(1), key(2)]);
    for (place, line) in lines.iter().enumerate().skip(1) {
        let letters: Vec<char> = line.chars().collect();
        for position in 0..letters.len() - 1 {
            let mut swapped = letters.clone();
            swapped.swap(position, position + 1);
            let changed: String = swapped.into_iter().collect();
            let plain = |line: &str| {
                let (head, rest) = line.trim().split_once(' ')?;
                Some((head.to_owned(), rest.replace(' ', "")))
            };
            if plain(&changed) == plain(line) {
                continue;
            }
            let mut lines = lines.clone();
            lines[place] = changed.clone();
            assert!(read(&lines).is_err(), "{line} as {changed}");
        }
    }
}

#[test]
fn lines_that_are_missing_repeated_swapped_or_unknown_are_named() {
    let lines = typed(vec![key(1), key(2)]);
    for number in 1..=LINES {
        let mut missing = lines.clone();
        missing.remove(place_of(number));
        assert_eq!(
            read(&missing).err(),
            Some(KitError::MissingLine {
                key: 1,
                line: number
            })
        );
        let mut twice = lines.clone();
        twice.insert(place_of(number), lines[place_of(number)].clone());
        assert_eq!(
            read(&twice).err(),
            Some(KitError::RepeatedLine {
                key: 1,
                line: number
            })
        );
        for other in number + 1..=LINES {
            let mut swapped = lines.clone();
            swapped.swap(place_of(number), place_of(other));
            assert_eq!(
                read(&swapped).err(),
                Some(KitError::MissingLine {
                    key: 1,
                    line: number
                })
            );
            // The symbols change places and the numbers stay.
            let symbols = |number: usize| lines[place_of(number)][2..].to_owned();
            let mut exchanged = lines.clone();
            exchanged[place_of(number)] = format!("{number} {}", symbols(other));
            exchanged[place_of(other)] = format!("{other} {}", symbols(number));
            assert_eq!(
                read(&exchanged).err(),
                Some(KitError::Mistyped {
                    key: 1,
                    line: number
                })
            );
        }
    }
    for unknown in [0, 8, 77] {
        let mut more = lines.clone();
        more.insert(
            place_of(8),
            lines[place_of(7)].replacen('7', &unknown.to_string(), 1),
        );
        assert_eq!(
            read(&more).err(),
            Some(KitError::UnknownLine {
                key: 1,
                line: unknown
            })
        );
    }
    let mut short = lines.clone();
    short[place_of(4)].pop();
    assert_eq!(
        read(&short).err(),
        Some(KitError::Length {
            key: 1,
            line: 4,
            found: 16
        })
    );
    let mut long = lines.clone();
    long[place_of(4)].push('0');
    assert_eq!(
        read(&long).err(),
        Some(KitError::Length {
            key: 1,
            line: 4,
            found: 18
        })
    );
    let mut strange = lines.clone();
    strange[place_of(4)] = strange[place_of(4)].replacen("  ", " U ", 1);
    assert_eq!(
        read(&strange).err(),
        Some(KitError::Symbol {
            key: 1,
            line: 4,
            place: 1
        })
    );
    let mut remark = lines.clone();
    remark.insert(place_of(4), "here the coffee was".to_owned());
    assert_eq!(
        read(&remark).err(),
        Some(KitError::NotUnderstood {
            text_line: place_of(4) + 1
        })
    );
}

#[test]
fn a_key_that_is_missing_or_not_in_its_place_is_found() {
    let lines = typed(vec![key(1), key(2)]);
    let (first, second, end) = (&lines[1..9], &lines[9..17], &lines[17..]);
    let head = &lines[..1];
    let swapped = [head, second, first, end].concat();
    assert_eq!(
        read(&swapped).err(),
        Some(KitError::Mistyped { key: 1, line: 1 })
    );
    let without_second = [head, first, end].concat();
    assert_eq!(read(&without_second).err(), Some(KitError::End));
    assert_eq!(
        read(&[head, second, end].concat()).err(),
        Some(KitError::Mistyped { key: 1, line: 1 })
    );
    assert_eq!(read(&[head, end].concat()).err(), Some(KitError::NoKeys));
    assert_eq!(read(&lines[..17]).err(), Some(KitError::NoEnd));
    assert_eq!(
        read(&lines[..12]).err(),
        Some(KitError::MissingLine { key: 2, line: 3 })
    );
    assert_eq!(read(head).err(), Some(KitError::NoEnd));
    assert_eq!(read(&lines[1..]).err(), Some(KitError::NotAKit));
}

#[test]
fn lines_of_another_key_or_vault_do_not_mix() {
    let stranger = || SigningKey::new(*key(1).secret(), VaultId::from_bytes([0xa6; 16]));
    for other in [key(2), stranger()] {
        let theirs = kit::lines(&other, 1);
        for number in 1..=LINES {
            let mut mixed = typed(vec![key(1)]);
            if mixed[place_of(number)] == *theirs[number - 1] {
                continue;
            }
            mixed[place_of(number)] = theirs[number - 1].to_string();
            assert_eq!(read(&mixed).err(), Some(KitError::End), "line {number}");
        }
    }
    let two_vaults = typed(vec![key(1), stranger()]);
    assert_eq!(
        read(&two_vaults).err(),
        Some(KitError::OtherVault { key: 2 })
    );
    let mut heading = typed(vec![key(1)]);
    heading[1] = format!("key {} (active)", key(2).id());
    assert_eq!(
        read(&heading).err(),
        Some(KitError::HeadingOfAnother { key: 1 })
    );
    for bad in [
        "key",
        "key 0 (active)",
        "key 0011223344556677",
        "key 0011223344556677 (lost)",
    ] {
        heading[1] = bad.to_owned();
        assert_eq!(
            read(&heading).err(),
            Some(KitError::Heading { key: 1 }),
            "{bad}"
        );
    }
}

#[test]
fn two_kits_in_one_text_other_versions_and_endless_texts_are_refused() {
    let text = written(vec![key(1)]);
    let lines = text.lines().count();
    assert_eq!(
        kit::read(&format!("{text}{text}")).err(),
        Some(KitError::NotUnderstood {
            text_line: lines + 1
        })
    );
    assert_eq!(
        kit::read(&text.replace("kit 1", "kit 2")).err(),
        Some(KitError::UnknownVersion)
    );
    assert_eq!(kit::read("").err(), Some(KitError::NotAKit));
    assert_eq!(
        kit::read(&format!("{text}{}", " ".repeat(64 << 10))).err(),
        Some(KitError::TooLarge)
    );
    let most: Vec<SigningKey> = (0..64).map(key).collect();
    assert_eq!(kit::read(&written(most)).map(|keys| keys.len()), Ok(64));
    let too_many: Vec<SigningKey> = (0..65).map(key).collect();
    assert_eq!(
        kit::read(&written(too_many)).err(),
        Some(KitError::TooManyKeys)
    );
}

#[test]
fn a_line_that_is_typed_back_is_compared_as_tolerantly_as_a_kit_is_read() {
    let key = key(1);
    for (place, line) in kit::lines(&key, 2).iter().enumerate() {
        let number = place + 1;
        let symbols = line[2..].to_owned();
        for right in [
            line.to_string(),
            symbols.clone(),
            symbols.replace(' ', ""),
            symbols.to_lowercase().replace('0', "O").replace('1', "l"),
            format!("  {}\n", &**line),
        ] {
            assert!(kit::line_matches(&key, 2, number, &right), "line {number}");
        }
        for wrong in [
            String::new(),
            number.to_string(),
            format!("{} {symbols}", number + 1),
            symbols[..symbols.len() - 4].to_owned(),
            format!("{symbols}0"),
        ] {
            assert!(!kit::line_matches(&key, 2, number, &wrong), "line {number}");
        }
        assert!(
            !kit::line_matches(&key, 1, number, line),
            "another position"
        );
        assert!(!kit::line_matches(&key, 2, number % LINES + 1, &symbols));
    }
    assert!(!kit::line_matches(&key, 2, 0, "") && !kit::line_matches(&key, 2, 8, ""));
}

#[test]
fn no_message_holds_a_part_of_the_secret() {
    let lines = typed(vec![key(1)]);
    for number in 1..=LINES {
        for change in ["", "U", "00"] {
            let mut changed = lines.clone();
            changed[place_of(number)].push_str(change);
            changed[place_of(number)] = changed[place_of(number)].replacen("  ", " 0 ", 1);
            let said = read(&changed).expect_err("a slip").to_string();
            for group in lines[place_of(number)].split_whitespace().skip(1) {
                assert!(!said.contains(group), "{said}");
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        secrets_in in proptest::collection::vec(any::<[u8; 32]>(), 1..5),
        vault in any::<[u8; 16]>(),
        path in any::<String>(),
    ) {
        let make = || secrets_in.iter().map(|secret| SigningKey::new(*secret, VaultId::from_bytes(vault)));
        let keys: Vec<KitKey> = make().map(|key| kit_key(key, Standing::Retired)).collect();
        let text = kit::write(&keys, &path, Timestamp::from_seconds(0));
        prop_assert!(text.lines().all(|line| line.chars().count() <= 72));
        let found = kit::read(&text).expect("the kit");
        prop_assert_eq!(secrets(&found), secrets(&make().collect::<Vec<_>>()));
    }

    #[test]
    fn no_text_stops_the_program(text in any::<String>()) {
        prop_assert!(kit::read(&text).is_err());
        let lines = format!("git-vault recovery kit 1\nkey 0011223344556677 (active)\n1 {text}\n{text}");
        prop_assert!(kit::read(&lines).is_err());
        prop_assert!(!kit::line_matches(&key(1), 1, 4, &text));
    }
}
