//! What two files of a node were before the webhook was wired in.

use camino::Utf8Path;

use crate::docker::DockerError;
use crate::node::{FOLDER, Node};

/// The file with the apiserver's flags and the one by which it reaches its webhook; their copies
/// lie outside of the folders that the kubelet and k3s read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backup<'a> {
    pub(crate) node: &'a Node,
    /// The path of the first.
    pub(crate) flags: &'a str,
    /// The path of the second.
    pub(crate) webhook: &'a str,
}

impl Backup<'_> {
    /// Keeps what was there before the first change; whether this is the first. That there is a
    /// copy of the flags says so: it is written last.
    pub(crate) async fn keep(
        &self,
        flags: &str,
        webhook: Option<&str>,
    ) -> Result<bool, DockerError> {
        let first = self.flags().await?.is_none();
        if first {
            let path = copy(self.webhook);
            match webhook {
                Some(text) => self.node.write(&path, text).await?,
                None => self.node.remove(&path).await?,
            }
            self.node.write(&copy(self.flags), flags).await?;
        }
        Ok(first)
    }

    /// The first file as it was; `None` when nothing was kept.
    pub(crate) async fn flags(&self) -> Result<Option<String>, DockerError> {
        self.node.read(&copy(self.flags)).await
    }

    /// The second file as it was; `None` when there was none.
    pub(crate) async fn webhook(&self) -> Result<Option<String>, DockerError> {
        self.node.read(&copy(self.webhook)).await
    }

    /// Removes what was kept.
    pub(crate) async fn forget(&self) -> Result<(), DockerError> {
        for path in [self.flags, self.webhook] {
            self.node.remove(&copy(path)).await?;
        }
        Ok(())
    }
}

/// Where the copy of a file lies.
pub(crate) fn copy(path: &str) -> String {
    let name = Utf8Path::new(path).file_name().unwrap_or_default();
    format!("{FOLDER}/{name}.before")
}
