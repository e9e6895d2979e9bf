//! A file, and what is written to it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use anyhow::Context as _;
use camino::Utf8Path;
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::UNWRITABLE;
use crate::cli::unread::unread;

/// How often the file is looked at: nobody reads faster.
const EVERY: Duration = Duration::from_millis(100);

/// Prints what is in the file; and, to follow it, what is written to it, and to the one that takes its
/// place, until it is deleted, which is at the end of the lab.
pub(super) async fn print(path: &Utf8Path, follow: bool) -> anyhow::Result<()> {
    let mut file = File::open(path).with_context(|| format!("`{path}` could not be read"))?;
    let mut look = interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unread = std::pin::pin!(unread());
    loop {
        // Asked first: what was written before the end is printed.
        let current = File::open(path);
        let mut stdout = io::stdout().lock();
        io::copy(&mut file, &mut stdout)
            .and_then(|_| stdout.flush())
            .context(UNWRITABLE)?;
        drop(stdout);
        let Ok(current) = current else { return Ok(()) };
        if !follow {
            return Ok(());
        }
        if number(&current)? != number(&file)? {
            file = current;
            continue;
        }
        tokio::select! {
            _ = look.tick() => {}
            error = &mut unread => return Err(error).context(UNWRITABLE),
        }
    }
}

/// What tells a file from another of the same name.
fn number(file: &File) -> anyhow::Result<u64> {
    let data = file.metadata();
    Ok(data.context("the log's file is not known any more")?.ino())
}
