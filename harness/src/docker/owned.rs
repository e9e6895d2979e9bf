//! Something in Docker that goes with its owner.

use std::io;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use camino::Utf8Path;

use super::DockerError;
use crate::group::{Group, gated_tool};
use crate::guardian::{EngineObject, Guardian};

/// How long a removal may hold up its owner. What takes longer is the guardian's.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something in Docker that goes with its owner.
#[derive(Debug)]
pub(crate) struct Owned {
    object: EngineObject,
    name: String,
    guardian: &'static Guardian,
}

impl Owned {
    /// Tells the guardian of what is about to be made.
    pub(crate) fn announce(object: EngineObject, name: String) -> Result<Self, DockerError> {
        let told = Guardian::get().and_then(|guardian| {
            guardian.remove(object, &name)?;
            Ok(guardian)
        });
        let guardian = told.map_err(DockerError::Guardian)?;
        Ok(Self {
            object,
            name,
            guardian,
        })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Removes it, without holding up the other tasks of this thread.
    pub(crate) async fn remove(self) {
        // Dropping is what removes it.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let removed = remove("docker".into(), self.object, &self.name, PATIENCE);
        // What was not removed is the guardian's: the engine may still be about to make it, for a
        // client that was killed.
        if removed.unwrap_or(false) {
            let _ = self.guardian.gone(self.object, &self.name);
        }
    }
}

/// Whether it was there and is gone: docker prints the name of what it removed, and takes it for
/// a success when nothing of that name is there.
fn remove(
    docker: &Utf8Path,
    object: EngineObject,
    name: &str,
    within: Duration,
) -> io::Result<bool> {
    let mut command = gated_tool("docker", docker);
    match object {
        EngineObject::Container => command.args(["rm", "--force", "--volumes", "--", name]),
        EngineObject::Network => command.args(["network", "rm", "--", name]),
        EngineObject::Image => command.args(["image", "rm", "--", name]),
    };
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // Dropped at the end, it kills a docker that hangs.
    let _group = Group::of(&mut child)?;
    let (tell, told) = mpsc::channel();
    // Not `thread::spawn`, which panics where no thread is to be had, and this is a destructor.
    std::thread::Builder::new().spawn(move || tell.send(child.wait_with_output()))?;
    let output = told
        .recv_timeout(within)
        .map_err(|_late| io::ErrorKind::TimedOut)??;
    // `Untagged: ` stands before an image's.
    let first = output.stdout.split(|byte| *byte == b'\n').next();
    let named = first.is_some_and(|line| line.trim_ascii().ends_with(name.as_bytes()));
    Ok(output.status.success() && named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in::stand_in;

    /// What comes of a removal by a docker that does this.
    fn by(script: &str, within: Duration) -> io::Result<bool> {
        let folder = tempfile::tempdir().expect("must be made");
        let path = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let docker = stand_in(&path.join("docker"), script);
        remove(&docker, EngineObject::Container, "tokenlab-1", within)
    }

    #[test]
    fn what_was_not_there_is_not_taken_for_removed() {
        let within = Duration::from_secs(30);
        let removed = |script| by(script, within).expect("must run");
        // As Docker 28 does it, for what is there and for what is not.
        assert!(removed(
            "[ \"$*\" = 'rm --force --volumes -- tokenlab-1' ] && echo tokenlab-1"
        ));
        assert!(!removed("echo 'No such container: tokenlab-1' >&2"));
        assert!(!removed("echo tokenlab-1; exit 1"));
    }

    #[test]
    fn an_engine_that_hangs_holds_up_nobody_for_ever() {
        let error = by("exec sleep 1000", Duration::from_millis(50));
        let error = error.expect_err("must be given up");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
