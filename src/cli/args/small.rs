//! The options of the commands that keep a vault small.

use clap::Args;

use crate::model::retention::Policy;

/// What `drop` is given.
#[derive(Debug, Args)]
pub struct DropOptions {
    /// Snapshots, named as for show
    #[arg(value_name = "SNAP", required = true)]
    pub snapshots: Vec<String>,

    /// Show the plan, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask: for scripts
    #[arg(long)]
    pub unattended: bool,
}

/// What `prune` is given.
#[derive(Debug, Args)]
pub struct PruneOptions {
    /// Keep the newest N snapshots
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub keep_last: u64,

    /// Keep the newest snapshot of each of the last N hours that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub keep_hourly: u64,

    /// The same of days
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub keep_daily: u64,

    /// The same of weeks
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub keep_weekly: u64,

    /// Keep those with this label, and let others go; any label keeps a snapshot from being pruned
    #[arg(long = "keep-label", value_name = "LABEL")]
    pub keep_labels: Vec<String>,

    /// Of those, keep the newest that fit into so many bytes, history included: 500M, 20G
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub max_size: Option<u64>,

    /// Show the plan, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask: for scripts
    #[arg(long)]
    pub unattended: bool,
}

impl PruneOptions {
    /// As a policy.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            labels: self.keep_labels.clone(),
            max_bytes: self.max_size,
        }
    }
}

/// A whole number of bytes, or of thousands, millions and so on of them, as sizes are shown: `500M`, `20G`.
fn size(text: &str) -> Result<u64, String> {
    let units = [("k", 1), ("M", 2), ("G", 3), ("T", 4), ("", 0)];
    let found = units
        .into_iter()
        .find_map(|(unit, power)| Some((text.strip_suffix(unit)?, power)));
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    found
        .filter(|(digits, _)| is_number(digits))
        .and_then(|(digits, power)| digits.parse::<u64>().ok()?.checked_mul(1000_u64.pow(power)))
        .ok_or_else(|| "a whole number is expected, alone or with k, M, G or T".to_owned())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_is_a_number_with_at_most_one_unit() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("500M"), Ok(500_000_000));
        assert_eq!(size("20G"), Ok(20_000_000_000));
        for text in ["", "M", "1.5G", "-1", "1 G", "1GB", "99999999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
