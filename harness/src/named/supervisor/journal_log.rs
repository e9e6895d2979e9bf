//! The journal of a webhook that is served here, as a log like any other: a JSON object each line.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::journal::{Journal, Next};

/// How long it gets, in bytes, before another takes its place: as the apiserver's audit log.
const LONGEST: u64 = 10 << 20;

/// Where it is.
pub(super) fn path(run_folder: &Utf8Path) -> Utf8PathBuf {
    run_folder.join("logs/webhook.log")
}

/// The log, and the one before it: no more, for a lab that stays for weeks.
#[derive(Debug)]
pub(super) struct JournalLog {
    path: Utf8PathBuf,
    file: File,
    length: u64,
    longest: u64,
}

impl JournalLog {
    /// Makes the file, for the user alone.
    pub(super) fn open(run_folder: &Utf8Path) -> io::Result<Self> {
        let path = path(run_folder);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self {
            file: create(&path)?,
            path,
            length: 0,
            longest: LONGEST,
        })
    }

    /// Writes down all that was decided about tokens, and what will be.
    pub(super) async fn write(mut self, journal: Journal) {
        let (past, mut live) = journal.follow_from_start();
        for event in past {
            self.line(serde_json::to_string(&event));
        }
        while let Some(next) = live.next().await {
            self.line(match next {
                Next::Event(event) => serde_json::to_string(&event),
                Next::Missed(missed) => Ok(format!("{{\"missed\":{missed}}}")),
            });
        }
    }

    /// One that cannot be written is lost, as on a full disk; those to come may not be.
    fn line(&mut self, text: serde_json::Result<String>) {
        let Ok(mut text) = text else { return };
        text.push('\n');
        let length = text.len() as u64;
        if self.length + length > self.longest
            && std::fs::rename(&self.path, self.path.with_file_name("webhook-before.log")).is_ok()
            && let Ok(file) = create(&self.path)
        {
            self.file = file;
            self.length = 0;
        }
        self.length += length;
        let _ = self.file.write_all(text.as_bytes());
    }
}

fn create(path: &Utf8Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().expect("must be made");
        let folder = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let mut log = JournalLog::open(folder).expect("must be made");
        log.longest = 10;
        for number in 1..=7 {
            log.line(Ok(format!("{number:04}")));
        }
        let logs = folder.join("logs");
        let read = |name: &str| std::fs::read_to_string(logs.join(name)).expect("must be there");
        assert_eq!(read("webhook.log"), "0007\n");
        assert_eq!(read("webhook-before.log"), "0005\n0006\n");
        assert_eq!(logs.read_dir().expect("must be read").count(), 2);
    }
}
