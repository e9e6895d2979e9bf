//! Who owns what lies about: a process, told from every other that had or will have its number.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, Uid};
use serde::{Deserialize, Serialize};

use crate::digest::sha256;

/// What is not known, because there is no `/proc` here.
const UNKNOWN: &str = "-";

/// A process: one that owns a run folder, a lab's name, or something in the container engine; or one
/// that a lab has started.
///
/// Read and written as `uid:pid:started:boot:namespace:machine`. An earlier version wrote no machine,
/// and a later one may write more.
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
    /// The machine, so that one that shares a container engine or a folder is not taken for this one
    /// before its last boot.
    machine: String,
}

/// What is known of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It runs.
    Lives,
    /// Nobody here can tell: another container counts its processes on its own.
    Elsewhere,
    /// Nobody here can tell: it is, or may be, of another machine.
    OtherMachine,
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
        Self::of(std::process::id())
    }

    /// The process of this number, of the user who asks.
    pub(crate) fn of(pid: u32) -> Self {
        Self {
            uid: Uid::effective().as_raw(),
            pid,
            started: start_time(pid),
            boot: boot(),
            namespace: namespace(),
            machine: machine(),
        }
    }

    /// Whether it lives.
    pub(crate) fn life(&self) -> Life {
        // No two machines have the same boot.
        if self.boot != boot() {
            let here = self.machine != UNKNOWN && self.machine == machine();
            return if here {
                Life::BeforeBoot
            } else {
                Life::OtherMachine
            };
        }
        if self.namespace != namespace() {
            return Life::Elsewhere;
        }
        if self.started == UNKNOWN {
            return if exists(self.pid) {
                Life::Lives
            } else {
                Life::Ended
            };
        }
        match look(self.pid) {
            // A zombie only waits to be reaped.
            Some(seen) if seen.state != "Z" && seen.started == self.started => Life::Lives,
            _ => Life::Ended,
        }
    }

    /// Whether it lives. One that nobody here can look at counts as living.
    pub fn lives(&self) -> bool {
        !matches!(self.life(), Life::Ended | Life::BeforeBoot)
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
            machine,
        } = self;
        write!(f, "{uid}:{pid}:{started}:{boot}:{namespace}:{machine}")
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
        let [uid, pid, started, boot, namespace, ref more @ ..] = *words else {
            return Err(error());
        };
        Ok(Self {
            uid: uid.parse().map_err(|_| error())?,
            pid: pid.parse().map_err(|_| error())?,
            started: started.to_owned(),
            boot: boot.to_owned(),
            namespace: namespace.to_owned(),
            machine: more.first().copied().unwrap_or(UNKNOWN).to_owned(),
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

/// What tells this machine from others. The host's name as well, for a disk that is copied takes its
/// `machine-id(5)` along; and a digest, for that number is nobody else's business.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let words = ["/etc/machine-id", "/proc/sys/kernel/hostname"].map(read);
    if words.iter().all(|word| word.trim().is_empty()) {
        return UNKNOWN.to_owned();
    }
    sha256(format!("tokenlab {words:?}").as_bytes())[..16].to_owned()
}

/// Whether there is a process of this number.
fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).map(Pid::from_raw);
    pid.is_ok_and(|pid| kill(pid, None) != Err(Errno::ESRCH))
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
    fn an_owner_of_another_version_is_read_as_far_as_it_is_known() {
        let owner = Owner::current();
        let later = format!("{owner}:more").parse::<Owner>();
        assert_eq!(later.ok(), Some(owner.clone()));
        let text = owner.to_string();
        let (earlier, _machine) = text.rsplit_once(':').expect("must have a machine");
        let earlier: Owner = earlier.parse().expect("must be read");
        assert_eq!(earlier.life(), Life::Lives);
        let of_another_boot = Owner {
            boot: "c0ffee".to_owned(),
            ..earlier
        };
        assert_eq!(of_another_boot.life(), Life::OtherMachine);
    }

    #[test]
    fn another_machine_is_not_this_one_before_its_boot() {
        let owner = Owner {
            boot: "c0ffee".to_owned(),
            machine: "another".to_owned(),
            ..Owner::current()
        };
        assert_eq!(owner.life(), Life::OtherMachine);
        assert!(owner.lives());
    }

    #[test]
    fn where_no_start_is_known_the_number_must_do() {
        let started = UNKNOWN.to_owned();
        let owner = Owner {
            started,
            ..Owner::current()
        };
        assert_eq!(owner.life(), Life::Lives);
        // Above what a number can be (`proc_sys_kernel(5)`, pid_max).
        let nobody = Owner {
            pid: 1 << 23,
            ..owner
        };
        assert_eq!(nobody.life(), Life::Ended);
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
