//! A disk that remembers every write and every flush, so that it can be given back as it was at any of them.
//!
//! It is one file, served to the kernel through FUSE by this process, with a loop device on top.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tempfile::TempDir;

/// One thing that the kernel asked of the disk.
#[derive(Debug, Clone)]
pub enum Asked {
    Write {
        offset: u64,
        bytes: Vec<u8>,
    },
    /// All writes before it are durable.
    Flush,
}

/// The file that is a disk. Dropping it ends the service.
pub struct BlockLog {
    disk: Arc<Disk>,
    file: PathBuf,
    server: Option<JoinHandle<()>>,
    _directory: TempDir,
}

/// What the disk holds, and how it came to it.
struct Disk {
    image: File,
    bytes: u64,
    asked: Mutex<Vec<Asked>>,
    is_given_up: AtomicBool,
}

/// Operations of FUSE that a lone file needs; others are answered with "no such operation".
mod operation {
    pub const FORGET: u32 = 2;
    pub const GET_ATTRIBUTES: u32 = 3;
    pub const SET_ATTRIBUTES: u32 = 4;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const INTERRUPT: u32 = 36;
    pub const FORGET_MANY: u32 = 42;
}

const NO_SUCH_OPERATION: i32 = -38;
const LARGEST_WRITE_BYTES: u32 = 1 << 17;
const HEADER_BYTES: usize = 40;
/// What comes before the data of a write.
const WRITE_BYTES: usize = 40;

impl BlockLog {
    /// Serves an image, which is written to; says what is missing where that cannot be done.
    pub fn serve(image: &Path) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let directory = TempDir::with_prefix("git-vault-block-log-").map_err(text)?;
        let file = directory.path().join("disk");
        fs::write(&file, "").map_err(text)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true);
        let kernel = options
            .open("/dev/fuse")
            .map_err(|error| format!("/dev/fuse: {error}"))?;
        let for_mount = kernel.try_clone().map_err(text)?;
        let image = options.open(image).map_err(text)?;
        let disk = Arc::new(Disk {
            bytes: image.metadata().map_err(text)?.len(),
            image,
            asked: Mutex::default(),
            is_given_up: AtomicBool::new(false),
        });
        let served = Arc::clone(&disk);
        let server = std::thread::spawn(move || served.serve(&kernel));
        // The descriptor is handed over as standard input, which a child keeps.
        let mounted = Command::new("mount")
            .args([
                "-i",
                "-t",
                "fuse",
                "-o",
                "fd=0,rootmode=100600,user_id=0,group_id=0",
                "disk",
            ])
            .arg(&file)
            .stdin(Stdio::from(for_mount))
            .output();
        let failure = match mounted {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        disk.is_given_up.store(failure.is_some(), Ordering::Relaxed);
        let log = Self {
            disk,
            file,
            server: Some(server),
            _directory: directory,
        };
        failure.map_or(Ok(log), |reason| Err(format!("no FUSE: {reason}")))
    }

    /// The file to put a loop device on.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// How much was asked so far.
    pub fn count(&self) -> usize {
        self.disk.asked.lock().expect("the log").len()
    }

    /// All that was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.disk.asked.lock().expect("the log").clone()
    }
}

impl Drop for BlockLog {
    fn drop(&mut self) {
        // Lazily: a loop device may hold it for a moment longer. The service ends when the kernel lets go of the file.
        let _output = Command::new("umount").arg("-l").arg(&self.file).output();
        if let Some(server) = self.server.take().filter(|_| !std::thread::panicking()) {
            let _ended = server.join();
        }
    }
}

impl Disk {
    fn serve(&self, mut kernel: &File) {
        let mut request = vec![0; 1 << 18];
        loop {
            match kernel
                .read(&mut request)
                .map_err(|error| error.raw_os_error())
            {
                Ok(count) => {
                    let answer = self.answer(&request[..count]);
                    // An answer to a question that was taken back is refused; the next one is as good.
                    let _written = answer.map(|answer| kernel.write(&answer));
                }
                // Not mounted yet.
                Err(Some(1)) if !self.is_given_up.load(Ordering::Relaxed) => {
                    std::thread::yield_now()
                }
                // Interrupted, or taken back.
                Err(Some(2 | 4 | 11)) => {}
                Err(_) => return,
            }
        }
    }

    /// The answer to a request, header included; some have none.
    fn answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        let body = &request[HEADER_BYTES..];
        let (error, answer) = match number(request, 4, 4) as u32 {
            operation::FORGET | operation::FORGET_MANY | operation::INTERRUPT => return None,
            operation::INIT => (0, introduction()),
            operation::GET_ATTRIBUTES | operation::SET_ATTRIBUTES => (0, self.attributes()),
            // Handle 0, no cache between us and the loop device.
            operation::OPEN => (
                0,
                [[0_u32; 2], [1, 0]]
                    .concat()
                    .iter()
                    .flat_map(|word| word.to_le_bytes())
                    .collect(),
            ),
            operation::READ => {
                let (offset, count) = (number(body, 8, 8), number(body, 16, 4));
                let mut bytes = vec![0; count.min(self.bytes.saturating_sub(offset)) as usize];
                self.image
                    .read_exact_at(&mut bytes, offset)
                    .expect("the image is read");
                (0, bytes)
            }
            operation::WRITE => {
                let (offset, count) = (number(body, 8, 8), number(body, 16, 4));
                let bytes = body[WRITE_BYTES..][..count as usize].to_vec();
                self.image
                    .write_all_at(&bytes, offset)
                    .expect("the image is written");
                self.note(Asked::Write { offset, bytes });
                (0, count.to_le_bytes().to_vec())
            }
            operation::FSYNC => {
                self.note(Asked::Flush);
                (0, Vec::new())
            }
            operation::RELEASE | operation::FLUSH => (0, Vec::new()),
            _ => (NO_SUCH_OPERATION, Vec::new()),
        };
        let length = 16 + answer.len() as u32;
        let mut whole = length.to_le_bytes().to_vec();
        whole.extend(i32::to_le_bytes(error));
        whole.extend(&request[8..16]);
        whole.extend(answer);
        Some(whole)
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().expect("the log").push(asked);
    }

    /// How long the attributes hold, then the attributes of an ordinary file.
    fn attributes(&self) -> Vec<u8> {
        let long = [3600, 0, 1, self.bytes, self.bytes / 512, 0, 0, 0];
        let words = [0, 0, 0, 0o100_600, 1, 0, 0, 0, 4096, 0_u32];
        let mut bytes: Vec<u8> = long
            .iter()
            .flat_map(|word: &u64| word.to_le_bytes())
            .collect();
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }
}

/// Version 7.31, writes of up to 32 pages.
fn introduction() -> Vec<u8> {
    const BIG_WRITES: u32 = 1 << 5;
    const MAX_PAGES: u32 = 1 << 22;
    let pages = LARGEST_WRITE_BYTES / 4096;
    let mut words = [0_u32; 16];
    words[..8].copy_from_slice(&[
        7,
        31,
        LARGEST_WRITE_BYTES,
        BIG_WRITES | MAX_PAGES,
        0,
        LARGEST_WRITE_BYTES,
        1,
        pages,
    ]);
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A number of so many bytes at a place.
fn number(bytes: &[u8], place: usize, count: usize) -> u64 {
    let mut whole = [0; 8];
    whole[..count].copy_from_slice(&bytes[place..place + count]);
    u64::from_le_bytes(whole)
}
