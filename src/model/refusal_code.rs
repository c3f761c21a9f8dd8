//! The catalogue of refusals: every reason this program has for not doing what it was asked.
//!
//! One row a code. `RUNBOOK.md` has a checklist for each; a test ties the two together.

/// How much is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Recoverability or authenticity of what is stored is in doubt.
    Sev1,
    /// No new protection is being made.
    Sev2,
    /// This command could not run; nothing is lost.
    Sev3,
}

impl Severity {
    /// 1, 2 or 3.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Sev1 => 1,
            Self::Sev2 => 2,
            Self::Sev3 => 3,
        }
    }
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident $code:literal $name:literal $severity:ident $exit:literal;)*) => {
        /// Why something was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RefusalCode {
            $($(#[$doc])* $variant,)*
        }

        impl RefusalCode {
            /// Every code, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as printed, such as `GV-2101`.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The name as printed, such as `restore-destination-not-empty`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// How much is at stake.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),* }
            }

            /// The exit status of the program.
            #[must_use]
            pub fn exit(self) -> u8 {
                match self { $(Self::$variant => $exit),* }
            }
        }
    };
}

catalogue! {
    /// A defect of this program; nothing was changed.
    Internal "GV-0001" "internal-error" Sev2 1;
    /// There is no git repository here.
    NotARepository "GV-1001" "not-a-repository" Sev3 10;
    /// The repository has no vault, or there is none at the path given.
    VaultNotFound "GV-1002" "vault-not-found" Sev3 10;
    /// The vault found belongs to another repository.
    VaultOfAnotherRepository "GV-1003" "vault-of-another-repository" Sev3 10;
    /// The place for a new vault is taken or unsuitable.
    VaultPlaceUnsuitable "GV-1004" "vault-place-unsuitable" Sev3 10;
    /// A setting has a value that makes no sense.
    SettingInvalid "GV-1005" "setting-invalid" Sev3 10;
    /// What was typed does not agree with what is there.
    StatementDiffers "GV-1006" "statement-differs" Sev3 10;
    /// No snapshot has that name.
    SnapshotNotFound "GV-1101" "snapshot-not-found" Sev3 11;
    /// Several snapshots have that name.
    SnapshotAmbiguous "GV-1102" "snapshot-ambiguous" Sev3 11;
    /// No incident of that name was noted, or its record cannot be read.
    IncidentNotFound "GV-1103" "incident-not-found" Sev3 11;
    /// A snapshot holds no such path.
    PathNotFound "GV-1104" "path-not-found" Sev3 11;
    /// The answer cannot be written where it should go.
    OutputFailed "GV-1105" "output-failed" Sev3 11;
    /// A snapshot that must stay was to be dropped.
    SnapshotNeeded "GV-1106" "snapshot-needed" Sev3 11;
    /// The key of the vault is not on this machine.
    KeyMissing "GV-1201" "key-missing" Sev2 12;
    /// The key file could be read or replaced by others, or is not an ordinary file.
    KeyUnsafe "GV-1202" "key-unsafe" Sev2 12;
    /// The key file is damaged or cannot be read.
    KeyUnreadable "GV-1203" "key-unreadable" Sev2 12;
    /// A copy of a key is mistyped, damaged, or not one of this vault.
    KeyCopyUnusable "GV-1204" "key-copy-unusable" Sev3 12;
    /// The vault does not take and give back what is written.
    VaultProbeFailed "GV-1301" "vault-probe-failed" Sev2 13;
    /// Not enough room for the vault to grow.
    VaultSpace "GV-1302" "vault-space" Sev2 13;
    /// Owner or permissions of the vault are not as they were made.
    VaultPermissions "GV-1303" "vault-permissions" Sev2 13;
    /// Writing to the vault failed midway.
    VaultWriteFailed "GV-1304" "vault-write-failed" Sev2 13;
    /// The vault was not healthy several times in a row, over a while.
    VaultUnhealthy "GV-1305" "vault-unhealthy-persistently" Sev1 13;
    /// Another process changed the vault at the same time.
    AnotherWriter "GV-1401" "another-writer" Sev3 14;
    /// The list of snapshots that is kept as a cache is not what was written.
    IndexDamaged "GV-1501" "index-damaged" Sev2 15;
    /// Something in the source cannot be read.
    SourceUnreadable "GV-2001" "source-unreadable" Sev2 20;
    /// The source would not hold still.
    SourceChanging "GV-2002" "source-changing" Sev2 20;
    /// The repository has a format or an extension that this program does not know.
    SourceFormatUnknown "GV-2003" "source-format-unknown" Sev2 20;
    /// The repository uses something that this version cannot capture whole.
    SourceNotSupported "GV-2004" "source-not-supported" Sev2 20;
    /// Objects that the captured state needs are not in the source.
    SourceObjectMissing "GV-2005" "source-object-missing" Sev2 20;
    /// An object or pack of the source is damaged.
    SourceObjectDamaged "GV-2006" "source-object-damaged" Sev2 20;
    /// The index of the source cannot be understood.
    SourceIndexDamaged "GV-2007" "source-index-damaged" Sev2 20;
    /// The repository belongs to another user.
    SourceOwner "GV-2008" "source-owner" Sev2 20;
    /// The restore destination holds something.
    DestinationNotEmpty "GV-2101" "restore-destination-not-empty" Sev1 21;
    /// The restore destination lies in a place that must not be written.
    DestinationForbidden "GV-2102" "restore-destination-forbidden" Sev1 21;
    /// The restore destination cannot be used.
    DestinationUnusable "GV-2103" "restore-destination-unusable" Sev3 21;
    /// The file system at the destination cannot hold the snapshot as it is.
    DestinationCannotRepresent "GV-2201" "restore-destination-cannot-represent" Sev3 22;
    /// Not enough room at the destination.
    DestinationSpace "GV-2202" "restore-destination-space" Sev3 22;
    /// A restore stopped midway.
    RestoreStopped "GV-2301" "restore-stopped" Sev3 23;
    /// A stored file is not what was written.
    VaultDamaged "GV-3001" "vault-file-damaged" Sev1 30;
    /// A stored file is gone.
    VaultFileMissing "GV-3002" "vault-file-missing" Sev1 30;
    /// A stored file cannot be read.
    VaultUnreadable "GV-3003" "vault-file-unreadable" Sev1 30;
    /// A record was changed by somebody without the key.
    SignatureWrong "GV-3101" "signature-wrong" Sev1 31;
    /// A record is authentic but belongs somewhere else.
    RecordMisplaced "GV-3102" "record-misplaced" Sev1 31;
    /// The vault holds something that this program did not put there.
    VaultForeignFile "GV-3103" "vault-foreign-file" Sev1 31;
    /// Authentic records contradict the stored content.
    RecordContradiction "GV-3104" "record-contradiction" Sev1 31;
    /// Somebody else may have signed a record, as the log itself states.
    KeyCompromised "GV-3105" "key-compromised" Sev1 31;
    /// The vault is older than this machine has seen it.
    VaultRolledBack "GV-3201" "vault-rolled-back" Sev1 32;
    /// The log has a gap or a broken link.
    LogBroken "GV-3202" "log-broken" Sev1 32;
    /// The log tells another story than this machine has seen.
    LogForked "GV-3203" "log-forked" Sev1 32;
    /// A record has a format that this program does not know.
    RecordFormatUnknown "GV-3301" "record-format-unknown" Sev1 33;
    /// A record is not in its one canonical form.
    RecordMalformed "GV-3302" "record-malformed" Sev1 33;
    /// A restored copy is not what was sealed, or git finds fault with it.
    DrillDiffers "GV-3401" "drill-differs" Sev1 30;
    /// Only incomplete material has that name.
    SnapshotIncomplete "GV-4001" "snapshot-incomplete" Sev1 40;
    /// The place where a hook would be installed belongs to somebody else.
    HookPlaceTaken "GV-5001" "hook-place-taken" Sev3 50;
    /// Settings of another program are not as they must be for ours to be put into them or taken out.
    SettingsNotUnderstood "GV-5002" "settings-not-understood" Sev3 50;
    /// The scheduler of the system cannot be told, or what is in its place is not ours.
    SchedulerUnavailable "GV-5003" "scheduler-unavailable" Sev3 50;
}

impl RefusalCode {
    /// The code whose number or name is `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let wanted = text.to_ascii_uppercase();
        Self::ALL.iter().copied().find(|code| {
            code.code() == wanted
                || code.name() == text
                || code.code().strip_prefix("GV-") == Some(&*wanted)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_and_names_are_unique_and_sorted() {
        let codes: Vec<_> = RefusalCode::ALL.iter().map(|code| code.code()).collect();
        assert!(codes.is_sorted());
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        let names: BTreeSet<_> = RefusalCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), codes.len());
    }

    #[test]
    fn a_code_is_found_by_number_and_name() {
        for text in [
            "GV-2101",
            "gv-2101",
            "2101",
            "restore-destination-not-empty",
        ] {
            assert_eq!(
                RefusalCode::parse(text),
                Some(RefusalCode::DestinationNotEmpty),
                "{text}"
            );
        }
        assert_eq!(RefusalCode::parse("GV-9999"), None);
    }
}
