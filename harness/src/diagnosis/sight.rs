//! What can be seen of a lab, or of a cluster from outside.

use std::fmt;
use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::probe::Unanswered;
use super::{Cause, LogMark, Shown, Unauthenticated};
use crate::assets::chain;
use crate::cluster::Cluster;
use crate::existing::{Existing, ExistingError, Operator, Outside};
use crate::journal::Journal;
use crate::kubeconfig::Kubeconfig;
use crate::kubectl::{Kubectl, KubectlError};
use crate::lab::{CONFIG_FILE_FLAG, Lab};
use crate::run_folder::RunFolder;
use crate::webhook::{Answer, PATIENCE, Seen, post_seeing};

/// What was looked for, or why it was not to be seen.
pub(super) type Sight<T> = Result<T, String>;

/// Who looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Eyes<'a> {
    Bare(&'a Lab),
    Cluster(&'a Cluster),
    Existing(&'a Existing, &'a Operator),
    Outside(&'a Outside),
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is not there, where the apiserver looks for it.
    Missing(String),
    /// That could not be seen.
    Unseen(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Missing(why) | Self::Unseen(why)) = self;
        f.write_str(why)
    }
}

/// A place in the apiserver's log.
pub(super) enum Mark {
    /// In a file.
    File(LogMark),
    /// In a log that is printed: so many requests it has told of.
    Count(usize),
}

impl Mark {
    /// How often it is worth a look what came since. A log that is printed is printed whole.
    pub(super) fn every(&self) -> Duration {
        match self {
            Self::File(_) => Duration::from_millis(50),
            Self::Count(_) => Duration::from_secs(1),
        }
    }
}

/// By the file's URL, which may lead elsewhere from here.
pub(super) const FROM_HERE: &str = "from here: ";

const NOT_OURS: &str = "the cluster is somebody else's";
const DOWN: &str = "kube-apiserver does not run";

impl Eyes<'_> {
    fn folder(&self) -> &RunFolder {
        match self {
            Self::Bare(lab) => lab.folder(),
            Self::Cluster(cluster) => cluster.plan().folder(),
            Self::Existing(existing, _) => existing.folder(),
            Self::Outside(outside) => outside.folder(),
        }
    }

    /// kubectl as the admin.
    pub(super) fn admin(&self) -> Sight<Kubectl> {
        match self {
            Self::Bare(lab) => lab.kubectl().map_err(|error| chain(&error)),
            Self::Cluster(cluster) => cluster.kubectl().map_err(|error| chain(&error)),
            Self::Existing(existing, _) => existing.kubectl().map_err(|error| chain(&error)),
            Self::Outside(outside) => outside.kubectl().map_err(|error| chain(&error)),
        }
    }

    /// kubectl as who shows this.
    pub(super) fn user(&self, shown: &Shown) -> Sight<Kubectl> {
        if let Some(token) = shown.token() {
            self.folder().know(&token);
        }
        let kubectl = match self {
            Self::Bare(lab) => {
                let kubeconfig = shown.kubeconfig(lab.control_plane().admin());
                let program = &lab.assets().kubectl;
                Kubectl::of_file(program, lab.folder(), "doctor", &kubeconfig)
            }
            Self::Cluster(cluster) => {
                let kubeconfig = shown.kubeconfig(cluster.admin());
                let plan = cluster.plan();
                Kubectl::of_file(&plan.assets.kubectl, plan.folder(), "doctor", &kubeconfig)
            }
            Self::Existing(existing, _) => return of(existing.kubectl_of(shown)),
            Self::Outside(outside) => return of(outside.kubectl_of(shown)),
        };
        kubectl.map_err(|error: KubectlError| chain(&error))
    }

    /// The flags of the running apiserver.
    pub(super) async fn flags(&self) -> Sight<Vec<String>> {
        match self {
            Self::Bare(lab) => match lab.running_flags() {
                Ok(flags) if flags.is_empty() => Err(DOWN.to_owned()),
                Ok(flags) => Ok(flags),
                Err(error) => Err(chain(&error)),
            },
            Self::Cluster(cluster) => match cluster.running_flags().await {
                Ok(flags) if flags.is_empty() => Err(DOWN.to_owned()),
                Ok(flags) => Ok(flags),
                Err(error) => Err(chain(&error)),
            },
            Self::Existing(..) | Self::Outside(_) => Err(NOT_OURS.to_owned()),
        }
    }

    /// Whether the flag is where the apiserver is started from, and what runs does not have it.
    pub(super) async fn is_only_told(&self, flags: &Sight<Vec<String>>) -> bool {
        let names = |flags: &[String]| !values(flags, CONFIG_FILE_FLAG).is_empty();
        match (self, flags) {
            (Self::Cluster(cluster), Ok(flags)) if !names(flags) => {
                let told = cluster.told_flags().await;
                told.is_ok_and(|told| names(&told))
            }
            _ => false,
        }
    }

    /// Where the webhook's file is, by the flags; by those that it is started with where it does not
    /// run.
    pub(super) async fn config_path(&self, flags: &Sight<Vec<String>>) -> Sight<Utf8PathBuf> {
        let named = |flags: &[String]| match &*values(flags, CONFIG_FILE_FLAG) {
            [.., path] if !path.is_empty() => Ok((*path).into()),
            _ => Err("no flag names it".to_owned()),
        };
        match (self, flags) {
            (_, Ok(flags)) => named(flags),
            (Self::Bare(lab), Err(_)) => named(&lab.control_plane().flags().args()),
            (Self::Cluster(cluster), Err(_)) => match cluster.told_flags().await {
                Ok(told) => named(&told),
                Err(error) => Err(chain(&error)),
            },
            (Self::Existing(_, operator), Err(_)) => Ok(operator.file.clone()),
            (Self::Outside(outside), Err(_)) => {
                let path = outside.webhook_config();
                path.cloned()
                    .ok_or_else(|| "`--webhook-config` names it".to_owned())
            }
        }
    }

    /// A file, where the apiserver reads it.
    pub(super) async fn file(&self, path: &Utf8Path) -> Result<String, Unread> {
        match self {
            Self::Cluster(cluster) => match cluster.seen(path.as_str()).await {
                Ok(Ok(text)) => Ok(text),
                Ok(Err(why)) => Err(Unread::Missing(why.to_owned())),
                Err(error) => Err(Unread::Unseen(chain(&error))),
            },
            Self::Bare(lab) => {
                let text = std::fs::read_to_string(lab.folder().path().join(path));
                text.map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => Unread::Missing(error.to_string()),
                    _ => Unread::Unseen(error.to_string()),
                })
            }
            // A copy of it: the apiserver's is elsewhere.
            Self::Existing(..) | Self::Outside(_) => read(path).map_err(Unread::Unseen),
        }
    }

    /// Whether the file that is read is the apiserver's own, and no copy.
    pub(super) fn see_the_file_itself(&self) -> bool {
        matches!(self, Self::Bare(_) | Self::Cluster(_))
    }

    /// The end that the apiserver's log has now.
    pub(super) async fn mark(&self) -> Sight<Mark> {
        if let Self::Bare(lab) = self {
            let log = lab.control_plane().logs().join("kube-apiserver.log");
            let mark = LogMark::end_of(&log).map_err(|error| error.to_string());
            return Ok(Mark::File(mark?));
        }
        let log = self.log().await?;
        Ok(Mark::Count(Unauthenticated::in_log(&log).len()))
    }

    /// The requests that could not be authenticated since.
    pub(super) async fn since(&self, mark: &Mark) -> Sight<Vec<Unauthenticated>> {
        match mark {
            Mark::File(mark) => {
                let log = mark.since().map_err(|error| error.to_string())?;
                Ok(Unauthenticated::in_log(&log))
            }
            Mark::Count(count) => {
                let log = self.log().await?;
                Ok(later(Unauthenticated::in_log(&log), *count))
            }
        }
    }

    /// The apiserver's log: of the one that runs, or ran last.
    pub(super) async fn log(&self) -> Sight<String> {
        match self {
            Self::Bare(lab) => read(&lab.control_plane().logs().join("kube-apiserver.log")),
            Self::Cluster(cluster) => cluster.apiserver_log().await.map_err(|it| chain(&it)),
            Self::Existing(..) | Self::Outside(_) => Err(NOT_OURS.to_owned()),
        }
    }

    /// The webhook's own record.
    pub(super) fn journal(&self) -> Sight<&Journal> {
        match self {
            Self::Bare(lab) if lab.webhook().is_served_here() => Ok(lab.webhook().journal()),
            Self::Bare(_) | Self::Cluster(_) => {
                Err("the webhook is a program of its own".to_owned())
            }
            Self::Existing(..) | Self::Outside(_) => Err(NOT_OURS.to_owned()),
        }
    }

    /// The way by which the webhook is asked, where it is not the apiserver's.
    pub(super) fn way(&self) -> &'static str {
        match self {
            Self::Bare(_) | Self::Cluster(_) => "",
            Self::Existing(..) => "from here, by a port-forward to its Pod: ",
            Self::Outside(_) => FROM_HERE,
        }
    }

    /// Posts a body to the webhook: from the apiserver's machine, as far as that can be.
    pub(super) async fn post(
        &self,
        config: &Kubeconfig,
        body: String,
        seen: &Seen,
    ) -> Result<Answer, Unanswered> {
        match self {
            Self::Cluster(cluster) => {
                match cluster.post_once(config, &body, seen, PATIENCE).await {
                    Ok(Ok(answer)) => Ok(answer),
                    Ok(Err(unanswered)) => Err(match unanswered.error {
                        Some(error) => error.into(),
                        None => unanswered.said.into(),
                    }),
                    Err(error) => Err(chain(&error).into()),
                }
            }
            Self::Existing(existing, _) => {
                let answer = existing.post_seeing(config, body, seen).await;
                answer.map_err(|error| match error {
                    ExistingError::Post(error) => error.into(),
                    ExistingError::NoPod => Unanswered {
                        cause: Some(Cause::NothingListens),
                        ..chain(&error).into()
                    },
                    error => error.in_a_line().into(),
                })
            }
            Self::Bare(_) | Self::Outside(_) => {
                Ok(Box::pin(post_seeing(config, body, seen)).await?)
            }
        }
    }
}

fn of<E: std::error::Error>(made: Result<Kubectl, E>) -> Sight<Kubectl> {
    made.map_err(|error| chain(&error))
}

/// What came after so many. A log that has fewer is another one, of a container that was started since.
fn later<T>(mut all: Vec<T>, count: usize) -> Vec<T> {
    if all.len() < count {
        return all;
    }
    all.split_off(count)
}

fn read(path: &Utf8Path) -> Sight<String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What the flags say, `--name=value` each: the values of one, the last of which counts. `_` is as good
/// as `-` (`component-base/cli/flag/flags.go`, `WordSepNormalizeFunc`, v0.37.2).
pub(super) fn values<'a>(flags: &'a [String], name: &str) -> Vec<&'a str> {
    let values = flags.iter().filter_map(|flag| {
        let (given, value) = flag.trim_start_matches('-').split_once('=')?;
        (given.replace('_', "-") == name).then_some(value)
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_the_same_with_underscores() {
        let flags = ["--a-b=1", "--a_b=2", "--a-b-c=3", "--a-b"].map(str::to_owned);
        assert_eq!(values(&flags, "a-b"), ["1", "2"]);
    }

    #[test]
    fn of_a_log_that_began_anew_all_is_later() {
        assert_eq!(later(vec![1, 2, 3], 2), [3]);
        assert!(later(vec![1, 2], 2).is_empty());
        assert_eq!(later(vec![1], 2), [1]);
    }
}
