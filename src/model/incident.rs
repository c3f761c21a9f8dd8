//! The record of a severe refusal: what was seen, on which machine, and what the files looked like that it is about.

use serde::{Deserialize, Serialize};

use super::timestamp::Timestamp;

/// The first line of a record.
pub const FIRST_LINE: &str = "# git-vault incident 1\n";

/// The file name of a record in the directory of its incident.
pub const FILE_NAME: &str = "incident.toml";

/// One refusal of severity 1, as it was noted. Texts and paths are escaped: none of them steers a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The code of the refusal.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its severity.
    pub severity: u8,
    /// Its exit status.
    pub exit: u8,
    /// When.
    pub when: Timestamp,
    /// What was wrong.
    pub what: String,
    /// The facts.
    pub why: Vec<String>,
    /// What was changed.
    pub state: String,
    /// What was untouched.
    pub kept: String,
    /// The words of the command, without texts that people wrote.
    pub command: Vec<String>,
    /// Program and version.
    pub tool: String,
    /// Where it happened.
    pub environment: Surroundings,
    /// The files that it is about.
    #[serde(default)]
    pub evidence: Vec<Exhibit>,
}

/// Where a refusal happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// Name of the system.
    pub system: String,
    /// Release, version and architecture of its kernel.
    pub kernel: String,
    /// The user's number.
    pub user: u32,
    /// The current directory.
    pub directory: String,
    /// The vault, where one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The kind of file system it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<String>,
    /// Bytes that are free there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Variables that were set and matter, most of them without their values.
    pub variables: Vec<String>,
}

/// A file as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhibit {
    /// Where it lies.
    pub path: String,
    /// `file`, `directory`, `link`, `fifo` and so on; `absent`, or `unknown` if it could not be looked at.
    pub kind: String,
    /// What was expected of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was found instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its permissions, in octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Its owner's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// When its content changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtime: Option<String>,
    /// When anything about it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctime: Option<String>,
    /// The BLAKE3 of what was read from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// The file beside the record that holds a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
    /// Why it was not read, or not copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The name of the directory of an incident; `number` is 1 unless others of the same second and code are there.
#[must_use]
pub fn directory_name(when: Timestamp, code: &str, number: u32) -> String {
    let digits: String = when
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let (day, time) = digits
        .split_at_checked(digits.len().saturating_sub(6))
        .unwrap_or((&digits, ""));
    if number == 1 {
        format!("{day}-{time}-{code}")
    } else {
        format!("{day}-{time}-{code}-{number}")
    }
}

/// Whether a name is one of the directory of an incident.
#[must_use]
pub fn is_directory_name(name: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = name.split('-').collect();
    match parts.as_slice() {
        [day, time, "GV", code, rest @ ..] => {
            rest.len() <= 1
                && [day, time, code]
                    .into_iter()
                    .chain(rest)
                    .all(|part| is_number(part))
        }
        _ => false,
    }
}

impl Incident {
    /// The record as it is written.
    ///
    /// # Errors
    /// What the record cannot say.
    pub fn to_text(&self) -> Result<String, String> {
        let body = toml::to_string(self).map_err(|error| error.to_string())?;
        Ok(format!("{FIRST_LINE}{body}"))
    }

    /// A record that was read.
    ///
    /// # Errors
    /// What in it cannot be understood.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let body = text
            .strip_prefix(FIRST_LINE)
            .ok_or("its first line is not that of an incident record")?;
        toml::from_str(body).map_err(|error| error.message().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_by_time_and_code() {
        let when = Timestamp::from_seconds(1_787_407_391);
        assert_eq!(
            directory_name(when, "GV-3101", 1),
            "20260822-140311-GV-3101"
        );
        assert_eq!(
            directory_name(when, "GV-3101", 2),
            "20260822-140311-GV-3101-2"
        );
        for seconds in [i64::MIN, 0, i64::MAX] {
            let name = directory_name(Timestamp::from_seconds(seconds), "GV-3101", 3);
            assert!(is_directory_name(&name), "{name}");
        }
        for name in [
            "",
            "20260822-140311-GV-3101-",
            "..",
            "a-b-GV-c",
            "1-2-GV-3-4-5",
        ] {
            assert!(!is_directory_name(name), "{name}");
        }
    }

    #[test]
    fn a_record_comes_back() {
        let incident = Incident {
            code: "GV-3101".to_owned(),
            name: "signature-wrong".to_owned(),
            severity: 1,
            exit: 31,
            when: Timestamp::from_seconds(0),
            what: "a \"text\"\nof two lines".to_owned(),
            why: Vec::new(),
            state: String::new(),
            kept: String::new(),
            command: vec!["list".to_owned()],
            tool: "git-vault 0".to_owned(),
            environment: Surroundings {
                system: "Linux".to_owned(),
                kernel: "6".to_owned(),
                user: 0,
                directory: "/".to_owned(),
                vault: None,
                file_system: None,
                free_bytes: Some(1),
                variables: Vec::new(),
            },
            evidence: vec![Exhibit::default()],
        };
        let text = incident.to_text().unwrap();
        assert_eq!(Incident::from_text(&text), Ok(incident));
        assert!(Incident::from_text("code = 1").is_err());
    }
}
