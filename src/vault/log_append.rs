//! Appending to the log: the one moment at which an event has happened, or has not.

use crate::host::disk;
use crate::host::random::random_bytes;
use crate::model::ids::{Digest, to_hex};
use crate::model::log_entry::{Header, LogEntry, LogEvent};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Binding, Purpose};
use crate::model::timestamp::Timestamp;
use crate::vault::inspect::TOOL;
use crate::vault::layout::{INCOMPLETE_PREFIX, Layout};
use crate::vault::log::{LIMIT_BYTES, Log};

/// How often a number that another process took is tried anew.
const ATTEMPTS: usize = 100;

impl Log {
    /// Appends an entry: written beside the log, made durable, then linked under the next free number. The link is the
    /// moment from which the event has happened. The loser of a race reads what the winner wrote and takes the next.
    ///
    /// # Errors
    /// When writing fails, or others keep taking the numbers.
    pub fn append(
        &mut self,
        layout: &Layout,
        binding: Binding,
        event: &LogEvent,
        at: Timestamp,
    ) -> Result<u64> {
        for _ in 0..ATTEMPTS {
            let number = self.head + 1;
            self.check_additions(event)?;
            if let Some(what) = self.contradicted(number, event) {
                return Err(other_writer().because(what));
            }
            let bytes = self.compose(number, binding, event, at)?;
            let random: [u8; 8] = random_bytes().unwrap_or_default();
            let temporary = layout.cache().join(format!("log-{}.toml", to_hex(&random)));
            disk::write_new(&temporary, &bytes).map_err(|error| error.refuse_vault_write())?;
            match disk::link_new(&temporary, &layout.log_entry(number)) {
                Ok(()) => {}
                Err(error) if error.is_already_there() => {
                    remove(&temporary)?;
                    self.catch_up(layout, binding, event)?;
                    continue;
                }
                Err(error) => return Err(error.refuse_vault_write()),
            }
            disk::sync_directory(&layout.log()).map_err(|error| unconfirmed(&error, number))?;
            // A second name in the cache harms nobody.
            drop(remove(&temporary));
            self.read_next(layout, binding)
                .map_err(|refusal| unread(refusal, number))?;
            return Ok(number);
        }
        Err(Refusal::new(
            RefusalCode::AnotherWriter,
            "other processes keep writing to the vault",
        ))
    }

    /// Reads all that others wrote since this log was read, which may be a great deal after a long drill: each entry may be
    /// one behind which the event does not fit.
    fn catch_up(&mut self, layout: &Layout, binding: Binding, event: &LogEvent) -> Result<()> {
        loop {
            self.read_next(layout, binding)?;
            self.check_still_newest(event)?;
            if layout.log_entry(self.head + 1).symlink_metadata().is_err() {
                return Ok(());
            }
        }
    }

    /// A snapshot stands on the one before it: on its holes, its packs and its key, and is not accepted where that one is
    /// not. It may rely on objects that went meanwhile. What is dropped or replaced was chosen from what there was. A countersignature holds for one place.
    /// When something of that kind came first, it must be made anew.
    fn check_still_newest(&self, event: &LogEvent) -> Result<()> {
        let newest_is_snapshot = self
            .snapshots
            .last()
            .is_some_and(|snapshot| snapshot.entry == self.head);
        let key_is_new = self.keyring.signer_of(self.head + 1).first_entry == self.head + 1;
        match event {
            LogEvent::Snapshot(..)
                if newest_is_snapshot
                    || key_is_new
                    || self.has_just_shrunk()
                    || self.first_doubtful().is_some() =>
            {
                Err(other_snapshot())
            }
            LogEvent::Rotate(_)
            | LogEvent::Compromise(_)
            | LogEvent::Acknowledge(_)
            | LogEvent::Drop(_)
            | LogEvent::Optimize(..) => Err(other_writer()),
            LogEvent::Snapshot(..)
            | LogEvent::Genesis(..)
            | LogEvent::Attach(_)
            | LogEvent::Verify(_)
            | LogEvent::Drill(_)
            | LogEvent::Copy(_)
            | LogEvent::SetAside(_) => Ok(()),
        }
    }

    /// What another process added meanwhile must not be added again: the entry would contradict the log for ever.
    fn check_additions(&self, event: &LogEvent) -> Result<()> {
        let LogEvent::Snapshot(record, packs) = event else {
            return Ok(());
        };
        let is_moved = |name: &str| {
            let id = name.strip_prefix(INCOMPLETE_PREFIX).unwrap_or(name);
            id == record.id.as_str()
        };
        let mut set_aside = self.set_aside.iter();
        if set_aside.any(|one| is_moved(&one.record.name)) {
            return Err(other_writer().because(
                "what had been written of this snapshot was taken for a leftover and set aside",
            ));
        }
        let is_known = |name: &String| self.inventory.get(name).is_some();
        if packs.iter().any(|pack| is_known(&pack.name)) || self.find(&record.id).is_some() {
            return Err(other_snapshot());
        }
        Ok(())
    }

    fn compose(
        &self,
        number: u64,
        binding: Binding,
        event: &LogEvent,
        at: Timestamp,
    ) -> Result<Vec<u8>> {
        let header = Header {
            number,
            previous: self.head_blake3.unwrap_or(Digest::from_bytes([0; 32])),
            vault: binding.vault,
            repository: binding.repository,
            time: at,
            tool: TOOL.to_owned(),
        };
        let entry = LogEntry::new(header, event);
        let key = self.keyring.active();
        let internal = |reason: String| {
            Refusal::new(RefusalCode::Internal, "a log entry cannot be written").because(reason)
        };
        let body = toml::to_string(&entry).map_err(|error| internal(error.to_string()))?;
        let bytes = signed::sign(&body, Purpose::Log, binding, key)
            .map_err(|error| internal(error.to_string()))?;
        // What could not be read again would make the vault unreadable for ever.
        let read = signed::open(&bytes, Purpose::Log, binding, key)
            .map_err(|error| internal(error.to_string()))?;
        let again: LogEntry = toml::from_str(read).map_err(|error| internal(error.to_string()))?;
        if again != entry
            || again.event().as_ref() != Some(event)
            || bytes.len() as u64 > LIMIT_BYTES
        {
            return Err(internal(
                "it would read differently than it was meant".to_owned(),
            ));
        }
        if toml::to_string(&again).ok().as_deref() != Some(read) {
            return Err(internal("it would not be in canonical form".to_owned()));
        }
        Ok(bytes)
    }
}

fn other_writer() -> Refusal {
    Refusal::new(
        RefusalCode::AnotherWriter,
        "another process wrote to the vault at the same time",
    )
    .because("its log entry came first, and this one would not fit behind it")
    .next("git vault status", "shows the vault as it is now")
}

fn other_snapshot() -> Refusal {
    Refusal::new(
        RefusalCode::AnotherWriter,
        "another process wrote to the vault at the same time",
    )
    .because("its log entry came first")
    .next(
        "git vault snapshot",
        "makes a snapshot of what is new since then",
    )
}

/// The entry has its name, and the system would not say that the name is durable.
fn unconfirmed(error: &disk::Error, number: u64) -> Refusal {
    error
        .refuse_vault_write()
        .having_changed(format!(
            "log entry {number} was written, and may or may not survive a power cut: do not rely on what it says"
        ))
        .keeping("the source repository and all earlier snapshots are untouched")
        .next("git vault verify", "says whether the vault is whole")
}

/// The entry has its name, durably, and cannot be read again: what it says has happened all the same.
fn unread(refusal: Refusal, number: u64) -> Refusal {
    refusal
        .having_changed(format!(
            "log entry {number} was written and made durable, but could not be read again: what it says has happened"
        ))
        .keeping("the source repository and all earlier snapshots are untouched")
        .next("git vault verify", "says whether the vault is whole")
}

fn remove(path: &std::path::Path) -> Result<()> {
    use crate::host::disk::Context as _;
    std::fs::remove_file(path)
        .context("remove", path)
        .map_err(|error| error.refuse_vault_write())
}
