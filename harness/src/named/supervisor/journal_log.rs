//! The journal of a webhook that is served here, as a log like any other: a JSON object each line.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::journal::{Journal, Next};

/// Where it is.
pub(super) fn path(run_folder: &Utf8Path) -> Utf8PathBuf {
    run_folder.join("logs/webhook.log")
}

/// Makes the file, for the user alone.
pub(super) fn open(run_folder: &Utf8Path) -> io::Result<File> {
    let path = path(run_folder);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = File::options();
    options.create(true).append(true).mode(0o600).open(path)
}

/// Writes down all that was decided about tokens, and what will be.
pub(super) async fn write(journal: Journal, mut log: File) {
    let (past, mut live) = journal.follow_from_start();
    for event in past {
        line(&mut log, serde_json::to_string(&event));
    }
    while let Some(next) = live.next().await {
        let text = match next {
            Next::Event(event) => serde_json::to_string(&event),
            Next::Missed(missed) => Ok(format!("{{\"missed\":{missed}}}")),
        };
        line(&mut log, text);
    }
}

/// One that cannot be written is lost, as on a full disk; those to come may not be.
fn line(log: &mut File, text: serde_json::Result<String>) {
    if let Ok(text) = text {
        let _ = log.write_all(format!("{text}\n").as_bytes());
    }
}
