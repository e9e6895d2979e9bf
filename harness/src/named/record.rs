//! What is written down of a named lab.

use std::fmt;
use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::name::LabName;
use crate::backend::Backend;
use crate::owner::Owner;

/// What is written down of a named lab, so that it is found again, and so that what is left of it
/// is, too.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Record {
    /// What it is called.
    pub name: LabName,
    /// Its supervisor.
    pub owner: Owner,
    /// The version of tokenlab that it is of.
    pub tokenlab: String,
    /// What it runs on.
    pub backend: Backend,
    /// When it was begun, in seconds since 1970.
    pub created: u64,
    /// The version of Kubernetes, once it is known.
    #[serde(default)]
    pub kubernetes: Option<Version>,
    /// The run folder, once there is one.
    #[serde(default)]
    pub folder: Option<Utf8PathBuf>,
    /// The name of the cluster, which is that of its network in the container engine, and begins
    /// those of its containers.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Whether it can be used.
    #[serde(default)]
    pub ready: bool,
}

impl Record {
    /// Of a lab that this process is about to start.
    pub(super) fn new(name: LabName, backend: Backend) -> Self {
        Self {
            name,
            owner: Owner::current(),
            tokenlab: super::VERSION.to_owned(),
            backend,
            created: now().as_secs(),
            kubernetes: None,
            folder: None,
            cluster: None,
            ready: false,
        }
    }

    /// How long ago it was begun.
    pub fn age(&self) -> Age {
        Age(now().saturating_sub(Duration::from_secs(self.created)))
    }
}

/// What every version must know of a lab to end it, as far as it can be read: whatever else an other
/// version has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remains {
    pub(super) owner: Option<Owner>,
    pub(super) folder: Option<Utf8PathBuf>,
    pub(super) cluster: Option<String>,
    pub(super) ready: bool,
}

impl Remains {
    pub(super) fn read(record: &str) -> Self {
        let record: serde_json::Value = serde_json::from_str(record).unwrap_or_default();
        let text = |name| record.get(name)?.as_str();
        let ready = record.get("ready").and_then(serde_json::Value::as_bool);
        Self {
            owner: text("owner").and_then(|owner| owner.parse().ok()),
            folder: text("folder").map(Utf8PathBuf::from),
            cluster: text("cluster").map(str::to_owned),
            ready: ready.unwrap_or_default(),
        }
    }
}

/// How long something has been there; its `Display` is for people: `12 s`, `3 min`, `2 h`, `5 d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self.0.as_secs() {
            seconds @ 0..60 => format!("{seconds} s"),
            seconds @ 60..3600 => format!("{} min", seconds / 60),
            seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
            seconds => format!("{} d", seconds / 86_400),
        })
    }
}

fn now() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_lab_is_read_whatever_else_there_is() {
        let mut record = Record::new("mine".parse().expect("must be a name"), Backend::Bare);
        record.folder = Some("/tmp/tokenlab-0123456789ab".into());
        record.ready = true;
        let mut later = serde_json::to_value(&record).expect("must be JSON");
        later["backend"] = "future".into();
        later["owner"] = format!("{}:more", record.owner).into();
        let later = later.to_string();
        assert!(serde_json::from_str::<Record>(&later).is_err());
        let remains = Remains {
            owner: Some(record.owner),
            folder: record.folder,
            cluster: None,
            ready: true,
        };
        assert_eq!(Remains::read(&later), remains);
        assert_eq!(Remains::read("no JSON"), Remains::default());
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let text = |seconds| Age(Duration::from_secs(seconds)).to_string();
        let ages = [0, 59, 60, 3599, 3600, 172_799, 172_800].map(text);
        assert_eq!(
            ages,
            ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d"]
        );
    }
}
