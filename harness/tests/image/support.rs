//! Stand-ins, and how a test says that it does not run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokenlab_harness::{Poll, Probe, until};

use crate::skipped::skip;
use crate::stand_in::stand_in;

/// A folder of a test's own, which goes with it.
pub(crate) struct Folder {
    _temporary: tempfile::TempDir,
    pub(crate) path: Utf8PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().expect("must make a folder");
        let path = fs::canonicalize(temporary.path()).expect("must be there");
        Self {
            _temporary: temporary,
            path: Utf8PathBuf::from_path_buf(path).expect("must be UTF-8"),
        }
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Utf8PathBuf {
        let path = self.path.join(name);
        let parent = path.parent().expect("must have one");
        fs::create_dir_all(parent).expect("must make the folders");
        fs::write(&path, contents).expect("must write");
        path
    }

    /// Writes a shell script.
    pub(crate) fn script(&self, name: &str, lines: &str) -> Utf8PathBuf {
        stand_in(&self.path.join(name), lines)
    }

    /// The names of what is in it.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).expect("must be read");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("must be read").file_name())
            .map(|name| name.into_string().expect("must be UTF-8"))
            .collect();
        names.sort();
        names
    }
}

/// A static program that does nothing: the header of an ELF file for this processor (`elf(5)`).
pub(crate) fn elf(machine: u16) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(64, 0);
    file[16] = 2; // an executable
    file[18..20].copy_from_slice(&machine.to_le_bytes());
    file
}

/// The number of x86-64.
pub(crate) const AMD64: u16 = 62;

/// Waits until a file is there and complete, which its last line break tells; gives its text.
pub(crate) async fn text_of(path: &Utf8Path) -> String {
    let poll = Poll {
        every: Duration::from_millis(20),
        within: Duration::from_secs(30),
    };
    let look = async || match fs::read_to_string(path) {
        Ok(text) if text.ends_with('\n') => Probe::Ready(text),
        Ok(_) => Probe::NotYet("is not complete".into()),
        Err(error) => Probe::<_, std::convert::Infallible>::NotYet(error.to_string().into()),
    };
    until("the file", poll, look).await.expect("must be there")
}

/// Waits until a process is gone.
pub(crate) async fn gone(pid: &str) {
    let poll = Poll {
        every: Duration::from_millis(20),
        within: Duration::from_secs(30),
    };
    let stat = Path::new("/proc").join(pid.trim()).join("stat");
    let look = async || match fs::read_to_string(&stat) {
        // A zombie only waits for a parent that looks at it.
        Ok(stat) if !stat.contains(") Z ") => {
            Probe::<_, std::convert::Infallible>::NotYet(stat.into())
        }
        _ => Probe::Ready(()),
    };
    until("its end", poll, look).await.expect("must be gone");
}

/// Whether a container engine may be used. If not, the test is skipped, and it says so.
pub(crate) fn engine_is_off(test: &str) -> bool {
    match std::env::var("LAB_BACKEND").as_deref() {
        Ok("" | "bare") | Err(_) => {
            skip(test, "LAB_BACKEND names no backend that has containers");
            true
        }
        Ok(_) => false,
    }
}
