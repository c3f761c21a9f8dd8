//! The disk under a vault is given back as it was at every flush, and with any part of what was written since: a snapshot
//! that was sealed by then is there, whole, and nothing is there by half.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use crate::block_log::{Asked, BlockLog};
use crate::crash::can_trace;
use crate::laboratory::{effort, run};
use crate::loop_disk::{FileSystem, try_run};
use crate::power_cut::{Rig, Which};
use crate::support::Said;

/// The unit that a disk writes whole.
const SECTOR_BYTES: usize = 4096;
/// How many random parts of what is not flushed are tried at each flush.
const PARTS: usize = 8;
/// How many images are tried at effort 1.
const IMAGES: usize = 6;
/// Where the random numbers begin.
const SEED: u64 = 0x6769_742d_7661_756c;

/// Random numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What was asked of the disk while a snapshot was made, sector by sector, and how much of it came before the word.
struct Recording {
    asked: Vec<Asked>,
    sealed_at: usize,
    said: Said,
}

/// An image to be judged: which of the writes are on it.
struct Image {
    label: String,
    writes: BTreeSet<usize>,
    /// Whether the word had been said by then.
    is_said: bool,
    /// Whether it had been said just then.
    is_word: bool,
}

/// Makes a snapshot on a disk that remembers.
fn record(rig: &Rig, are_lies: bool) -> Result<Recording, String> {
    rig.disk.take_back();
    let image = rig.disk.image();
    let log = BlockLog::serve(&image)?;
    let mount = rig.disk.mount_point().to_str().expect("a UTF-8 path");
    let file = log.file().to_str().expect("a UTF-8 path");
    try_run(&[
        "mount",
        "-o",
        &format!("loop,{}", rig.disk.file_system.options()),
        file,
        mount,
    ])?;
    let said = if are_lies {
        rig.snapshot(&["trace=fsync", "inject=fsync:retval=0"])
    } else {
        run(&rig.sandbox, &rig.source, &["snapshot"])
    };
    let said = said.succeeded();
    let sealed_at = log.count();
    rig.disk.unmount();
    let mut recording = Recording {
        asked: Vec::new(),
        sealed_at: usize::MAX,
        said,
    };
    for (place, asked) in log.asked().into_iter().enumerate() {
        if place == sealed_at {
            recording.sealed_at = recording.asked.len();
        }
        match asked {
            Asked::Flush => recording.asked.push(Asked::Flush),
            Asked::Write { offset, bytes } => {
                let sectors = bytes.chunks(SECTOR_BYTES).enumerate();
                recording
                    .asked
                    .extend(sectors.map(|(sector, bytes)| Asked::Write {
                        offset: offset + (sector * SECTOR_BYTES) as u64,
                        bytes: bytes.to_vec(),
                    }));
            }
        }
    }
    assert!(
        recording.sealed_at < recording.asked.len(),
        "the unmount is in the log"
    );
    drop(log);
    rig.disk.mount();
    Ok(recording)
}

/// At each flush, and at the word: all that was flushed by then, with all, nothing or random parts of what came since.
fn images(recording: &Recording, random: &mut Random) -> Vec<Image> {
    let mut images = Vec::new();
    let (mut durable, mut unsure) = (BTreeSet::new(), Vec::new());
    let mut flushes = 0;
    for (place, asked) in recording.asked.iter().enumerate() {
        let is_word = place == recording.sealed_at;
        let is_flush = matches!(asked, Asked::Flush);
        let label = format!(
            "{flushes} flushes{}",
            if is_word { ", at the word" } else { "" }
        );
        let mut add = |kept: Vec<usize>| {
            images.push(Image {
                label: format!("{label}, and {} of {} sectors", kept.len(), unsure.len()),
                writes: durable.iter().copied().chain(kept).collect(),
                is_said: place >= recording.sealed_at,
                is_word,
            });
        };
        if is_word || is_flush {
            add(unsure.clone());
            add(Vec::new());
            for _ in 0..PARTS {
                let kept = unsure.iter().copied();
                add(kept.filter(|_| random.next().is_multiple_of(2)).collect());
            }
        }
        if is_flush {
            durable.extend(unsure.drain(..));
            flushes += 1;
        } else {
            unsure.push(place);
        }
    }
    images.dedup_by(|left, right| left.writes == right.writes && left.is_said == right.is_said);
    images
}

#[test]
fn a_disk_given_back_as_it_was_at_any_flush_holds_every_sealed_snapshot() {
    let file_systems: &[FileSystem] = match effort() {
        10.. => &[FileSystem::Ext4, FileSystem::Xfs],
        _ => &[FileSystem::Ext4],
    };
    for file_system in file_systems {
        for which in [Which::First, Which::Later] {
            let Some(rig) = Rig::new(*file_system, which, "block replay") else {
                continue;
            };
            match record(&rig, false) {
                Ok(recording) => {
                    let wrong = replay(&rig, &recording, |_image| true);
                    assert!(
                        wrong.is_empty(),
                        "{} complaints:\n{}",
                        wrong.len(),
                        wrong.join("\n")
                    );
                }
                Err(reason) => eprintln!("SKIPPED: block replay: {reason}"),
            }
        }
    }
}

#[test]
fn a_disk_given_back_as_it_was_after_lied_fsyncs_lacks_the_snapshot() {
    if !can_trace("block replay after lies") {
        return;
    }
    let Some(rig) = Rig::new(FileSystem::Ext4, Which::Later, "block replay after lies") else {
        return;
    };
    match record(&rig, true) {
        Ok(recording) => {
            let wrong = replay(&rig, &recording, |image| image.is_word);
            assert!(!wrong.is_empty(), "the replay proves nothing");
        }
        Err(reason) => eprintln!("SKIPPED: block replay after lies: {reason}"),
    }
}

/// Gives the disk back as it was, again and again, and collects the complaints.
fn replay(rig: &Rig, recording: &Recording, is_wanted: fn(&Image) -> bool) -> Vec<String> {
    let mut random = Random(SEED);
    let mut all = images(recording, &mut random);
    all.retain(is_wanted);
    let count = all.len();
    if effort() < 10 {
        let step = count.div_ceil(IMAGES * effort()).max(1);
        let is_chosen = |(place, image): &(usize, Image)| image.is_word || place % step == 0;
        let chosen = all.into_iter().enumerate().filter(is_chosen);
        all = chosen.map(|(_, image)| image).collect();
    }
    let flushes = recording
        .asked
        .iter()
        .filter(|asked| matches!(asked, Asked::Flush))
        .count();
    eprintln!(
        "{}: {flushes} flushes, {} sectors, {} of {count} images, seed {SEED:#x}",
        rig.label(),
        recording.asked.len() - flushes,
        all.len()
    );
    let quiet = Said {
        stdout: Vec::new(),
        ..recording.said.clone()
    };
    let mut wrong = Vec::new();
    for image in &all {
        rig.disk.replace(|path| {
            let file = OpenOptions::new()
                .write(true)
                .open(path)
                .expect("the image");
            for place in &image.writes {
                if let Asked::Write { offset, bytes } = &recording.asked[*place] {
                    file.write_all_at(bytes, *offset).expect("a sector");
                }
            }
        });
        let said = if image.is_said {
            &recording.said
        } else {
            &quiet
        };
        let complaints = rig.complaints(said);
        let label = format!("=== {}, {}", rig.label(), image.label);
        wrong.extend(complaints.iter().map(|what| format!("{label}: {what}")));
    }
    wrong
}
