//! The one node of a cluster: commands and files in its container.

use camino::Utf8Path;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::process::ChildStderr;

use crate::docker::{Docker, DockerError, Owned};
use crate::tool::{Input, Piped, ToolError};

/// Where tokenlab keeps what it writes on the way: on the file system of the manifests, and
/// outside of their folder, where the kubelet takes each file for a Pod.
pub(crate) const FOLDER: &str = "/etc/kubernetes/tokenlab";

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) docker: Docker,
    pub(crate) container: Owned,
}

impl Node {
    /// Runs a command in it, and returns the standard output.
    pub(crate) async fn run(&self, args: &[&str]) -> Result<String, DockerError> {
        let args = [&["exec", self.container.name()], args].concat();
        self.docker.run(&args).await
    }

    /// The same, with something to read.
    pub(crate) async fn feed(&self, args: &[&str], bytes: &[u8]) -> Result<String, DockerError> {
        let args = [&["exec", "--interactive", self.container.name()], args].concat();
        let fed = self.docker.tool().feed(&args, Input::Bytes(bytes));
        Ok(fed.await?)
    }

    /// The same, to look whether something is so yet: not in the list of command lines, which
    /// would be full of it.
    pub(crate) async fn look(&self, args: &[&str], bytes: &[u8]) -> Result<String, DockerError> {
        let args = [&["exec", "--interactive", self.container.name()], args].concat();
        let docker = self.docker.unlogged();
        let fed = docker.tool().feed(&args, Input::Bytes(bytes));
        Ok(fed.await?)
    }

    /// A connection that the node makes, by what its image has: socat is in k3s' and in older ones
    /// of kind, bash in all of kind. The second value is what it has to complain of.
    pub(crate) fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> Result<(Piped, ChildStderr), DockerError> {
        const CONNECT: &str = r#"host=$1 port=$2
            command -v socat >/dev/null && exec socat - "TCP:$host:$port"
            host=${host#[}
            exec bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit
                cat <&3 & cat >&3; kill $!' "${host%]}" "$port""#;
        let port = port.to_string();
        let container = self.container.name();
        let exec = ["exec", "--interactive", container];
        let args = [&exec[..], &["sh", "-c", CONNECT, "sh", host, &port]].concat();
        let docker = self.docker.unlogged();
        let connected = docker.tool().pipe(&args);
        Ok(connected.map_err(|source| ToolError::Run {
            command: docker.tool().line(&exec),
            source,
        })?)
    }

    /// When it was last started; `None` when that is not understood.
    pub(crate) async fn started(&self) -> Result<Option<Time>, DockerError> {
        const STARTED: &str = "{{json .State.StartedAt}}";
        let name = self.container.name();
        let args = ["container", "inspect", "--format", STARTED, name];
        let text = self.docker.run(&args).await?;
        Ok(serde_json::from_str(&text).ok())
    }

    /// The content of a file; `None` when there is none.
    pub(crate) async fn read(&self, path: &str) -> Result<Option<String>, DockerError> {
        match self.run(&["cat", path]).await {
            Ok(text) => Ok(Some(text)),
            Err(DockerError::Tool(ToolError::Failed { output, .. }))
                if output.stderr.contains("No such file") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a file that only root may read, in one step: written elsewhere and renamed in. The
    /// kubelet never sees half a manifest.
    pub(crate) async fn write(&self, path: &str, text: &str) -> Result<(), DockerError> {
        // A file that the engine has mounted cannot be replaced, only written.
        const WRITE: &str = r#"umask 077 && mkdir -p "$1" && cat >"$2" || exit
            mv "$2" "$3" 2>/dev/null || { cat "$2" >"$3" && rm "$2"; }"#;
        let name = Utf8Path::new(path).file_name().unwrap_or_default();
        let new = format!("{FOLDER}/{name}.new");
        let args = ["sh", "-c", WRITE, "sh", FOLDER, &new, path];
        self.feed(&args, text.as_bytes()).await?;
        Ok(())
    }

    /// Removes a file, if it is there.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), DockerError> {
        self.run(&["rm", "-f", path]).await?;
        Ok(())
    }
}
