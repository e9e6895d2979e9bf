//! Who owns what lies about: a process, told from every other that had or will have its number.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::str::FromStr;

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

/// What is not known, because there is no `/proc` here.
const UNKNOWN: &str = "-";

/// A process that owns a run folder, a lab's name, or something in the container engine.
///
/// Read and written as `uid:pid:started:boot:namespace`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The process number.
    pub pid: u32,
    /// When it began, in clock ticks since boot; `-` where that is not known.
    started: String,
    /// The boot that it belongs to (`/proc/sys/kernel/random/boot_id`).
    boot: String,
    /// The namespace of its number: containers count on their own (`pid_namespaces(7)`).
    namespace: String,
}

/// What is known of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It runs.
    Lives,
    /// Nobody here can tell: another container counts its processes on its own.
    Elsewhere,
    /// It has ended.
    Ended,
    /// The machine was started anew since.
    BeforeBoot,
}

/// A text that names no owner.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` names no owner")]
pub struct OwnerError {
    text: String,
}

impl Owner {
    /// This process.
    pub(crate) fn current() -> Self {
        let pid = std::process::id();
        Self {
            uid: Uid::effective().as_raw(),
            pid,
            started: start_time(pid),
            boot: boot(),
            namespace: namespace(),
        }
    }

    /// Whether it lives.
    pub(crate) fn life(&self) -> Life {
        if self.boot != boot() {
            return Life::BeforeBoot;
        }
        if self.namespace != namespace() {
            return Life::Elsewhere;
        }
        match look(self.pid) {
            // A zombie only waits to be reaped.
            Some(seen) if seen.state != "Z" && seen.started == self.started => Life::Lives,
            _ => Life::Ended,
        }
    }

    /// Whether it lives. One that nobody here can look at counts as living.
    pub fn lives(&self) -> bool {
        matches!(self.life(), Life::Lives | Life::Elsewhere)
    }

    /// Whether it is of the user who asks.
    pub(crate) fn is_ours(&self) -> bool {
        self.uid == Uid::effective().as_raw()
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            uid,
            pid,
            started,
            boot,
            namespace,
        } = self;
        write!(f, "{uid}:{pid}:{started}:{boot}:{namespace}")
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.to_string()
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, OwnerError> {
        let error = || OwnerError {
            text: text.to_owned(),
        };
        let words: Vec<_> = text.trim().split(':').collect();
        let [uid, pid, started, boot, namespace] = *words else {
            return Err(error());
        };
        Ok(Self {
            uid: uid.parse().map_err(|_| error())?,
            pid: pid.parse().map_err(|_| error())?,
            started: started.to_owned(),
            boot: boot.to_owned(),
            namespace: namespace.to_owned(),
        })
    }
}

impl TryFrom<String> for Owner {
    type Error = OwnerError;

    fn try_from(text: String) -> Result<Self, OwnerError> {
        text.parse()
    }
}

/// What `/proc/PID/stat` says of a process (`proc_pid_stat(5)`).
pub(crate) struct Seen {
    /// Field 3.
    pub(crate) state: String,
    /// Field 4: the number of its parent.
    pub(crate) parent: String,
    /// Field 22.
    started: String,
}

/// Looks at a process of this machine; a zombie is one, too.
pub(crate) fn look(pid: u32) -> Option<Seen> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold blanks.
    let behind_name = stat.rsplit_once(") ")?.1;
    let mut fields = behind_name.split(' ');
    Some(Seen {
        state: fields.next()?.to_owned(),
        parent: fields.next()?.to_owned(),
        started: fields.nth(17)?.to_owned(),
    })
}

/// When the process began, in clock ticks since boot; `-` where that is not known: then the number
/// alone must do.
pub(crate) fn start_time(pid: u32) -> String {
    look(pid).map_or_else(|| UNKNOWN.to_owned(), |seen| seen.started)
}

fn boot() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map_or_else(|_| UNKNOWN.to_owned(), |id| id.trim().to_owned())
}

fn namespace() -> String {
    let found = std::fs::metadata("/proc/self/ns/pid");
    found.map_or_else(|_| UNKNOWN.to_owned(), |data| data.ino().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_as_it_is_written() {
        let owner = Owner::current();
        assert_eq!(owner.to_string().parse::<Owner>().ok(), Some(owner));
        let error = "1:2:3".parse::<Owner>().expect_err("must be refused");
        assert_eq!(error.to_string(), "`1:2:3` names no owner");
    }

    #[test]
    fn a_process_lives_until_it_has_ended() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("must start");
        let owner = Owner {
            pid: child.id(),
            started: start_time(child.id()),
            ..Owner::current()
        };
        assert_eq!(owner.life(), Life::Lives);
        drop(child.stdin.take());
        child.wait().expect("must end");
        assert_eq!(owner.life(), Life::Ended);
    }

    #[test]
    fn a_number_that_is_another_process_now_is_not_the_owner() {
        let owner = Owner {
            started: "1".to_owned(),
            ..Owner::current()
        };
        assert_eq!(owner.life(), Life::Ended);
    }

    #[test]
    fn what_was_before_the_last_boot_is_known_as_such() {
        let owner = Owner {
            boot: "c0ffee".to_owned(),
            ..Owner::current()
        };
        assert_eq!(owner.life(), Life::BeforeBoot);
    }

    #[test]
    fn of_another_container_nobody_can_tell() {
        let owner = Owner {
            started: "1".to_owned(),
            namespace: "1".to_owned(),
            ..Owner::current()
        };
        assert!(owner.lives());
    }
}
