//! Cuts a stream into pieces at places that its content decides, so that an insertion changes only the pieces around it.

use std::io::Read;

use fastcdc::v2020::StreamCDC;

/// How a stream is cut: sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Streams up to this size are kept whole.
    pub whole_up_to_bytes: u64,
    minimum: usize,
    average: usize,
    maximum: usize,
}

/// For files of the working tree.
pub const BULK: Profile = Profile {
    whole_up_to_bytes: 16 << 20,
    minimum: 256 << 10,
    average: 1 << 20,
    maximum: 4 << 20,
};

/// For files of the git directory, whose index changes a little with every command.
pub const FINE: Profile = Profile {
    whole_up_to_bytes: 128 << 10,
    minimum: 4 << 10,
    average: 16 << 10,
    maximum: 64 << 10,
};

/// For listings of directories with many entries.
pub const LISTING: Profile = Profile {
    whole_up_to_bytes: 32 << 10,
    minimum: 2 << 10,
    average: 8 << 10,
    maximum: 32 << 10,
};

/// Calls `each` with every piece of `source` in order; gives the number of bytes seen.
///
/// # Errors
/// When reading fails, or what `each` gives.
pub fn cut<E: From<std::io::Error>>(
    source: impl Read,
    profile: Profile,
    mut each: impl FnMut(Vec<u8>) -> Result<(), E>,
) -> Result<u64, E> {
    let mut total_bytes = 0;
    for chunk in StreamCDC::new(source, profile.minimum, profile.average, profile.maximum) {
        let chunk = chunk.map_err(std::io::Error::from)?;
        total_bytes += chunk.data.len() as u64;
        each(chunk.data)?;
    }
    Ok(total_bytes)
}

/// The name of piece `number` in the tree that stands for the whole: fixed width, so that trees sort as numbers do.
#[must_use]
pub fn piece_name(number: usize) -> String {
    format!("{number:010}")
}
