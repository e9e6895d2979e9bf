//! Asking a named lab something.

use std::io;

use camino::Utf8PathBuf;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::name::LabName;
use super::protocol::{Envelope, Failure, Request, Response, Status, VERSION};
use super::registry::{Found, Registry, RegistryError, Standing};
use super::socket;

/// A named lab that runs.
#[derive(Clone, Debug)]
pub struct Client {
    name: LabName,
    folder: Utf8PathBuf,
}

/// The answers to one request, as they come.
#[derive(Debug)]
pub struct Answers {
    name: LabName,
    lines: Lines<BufReader<OwnedReadHalf>>,
    // Closed, it says that nobody reads any more.
    _write: OwnedWriteHalf,
}

/// Why a lab did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// It is not found.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It cannot be used yet, or no more.
    #[error("the lab `{name}` {}", why(*standing))]
    NotReady {
        /// What it is called.
        name: LabName,
        /// How it stands.
        standing: Standing,
    },
    /// Nobody listens, or the connection broke.
    #[error("the lab `{name}` does not answer")]
    Connection {
        /// What it is called.
        name: LabName,
        /// What the system said.
        source: io::Error,
    },
    /// The connection ended before an answer came: the lab did, or is about to.
    #[error("the lab `{name}` ended before it answered")]
    Ended {
        /// What it is called.
        name: LabName,
    },
    /// It answered something that is not understood.
    #[error("what the lab `{name}` answered is not understood")]
    Answer {
        /// What it is called.
        name: LabName,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It answered something else than what it was asked.
    #[error("the lab `{name}` answered something else")]
    Other {
        /// What it is called.
        name: LabName,
    },
    /// It refused, or failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl ClientError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Failed(failure) => failure.hint.clone(),
            Self::NotReady { name, standing } => Some(match standing {
                Standing::Starting | Standing::Running => {
                    format!("`tokenlab status {name}` shows when it is")
                }
                Standing::Ending => format!("`tokenlab up {name}` starts it anew"),
                Standing::Elsewhere => {
                    "run this there, or set XDG_STATE_HOME to a folder of this machine".to_owned()
                }
                Standing::BeforeBoot | Standing::Lost => format!(
                    "`tokenlab up {name}` starts it anew, `tokenlab down {name}` takes away what \
                     is left of it"
                ),
            }),
            Self::Ended { name } => Some(format!(
                "`tokenlab list` shows how it stands, `tokenlab up {name}` starts it anew"
            )),
            Self::Connection { name, .. } | Self::Answer { name, .. } | Self::Other { name } => {
                Some(format!("`tokenlab down {name}` ends it, whatever it does"))
            }
        }
    }
}

fn why(standing: Standing) -> &'static str {
    match standing {
        Standing::Starting | Standing::Running => "is not ready yet",
        Standing::Ending => "is being ended",
        Standing::BeforeBoot => "ended when this machine was started anew",
        Standing::Lost => "has ended: its supervisor is gone",
        Standing::Elsewhere => "may run on another machine, where alone it can be used",
    }
}

impl Client {
    /// The lab that is meant: that of the name, or the only one that runs.
    pub fn connect(registry: &Registry, name: Option<&LabName>) -> Result<Self, ClientError> {
        Self::to(registry.select(name)?)
    }

    /// A lab that was found.
    pub fn to(found: Found) -> Result<Self, ClientError> {
        let folder = found.folder().map(ToOwned::to_owned);
        let Found { name, standing, .. } = found;
        match (standing, folder) {
            (Standing::Running, Some(folder)) => Ok(Self { name, folder }),
            _ => Err(ClientError::NotReady { name, standing }),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &LabName {
        &self.name
    }

    /// Asks, and returns the first answer; a failure is an error.
    pub async fn ask(&self, request: &Request) -> Result<Response, ClientError> {
        let answer = self.open(request).await?.next().await?;
        answer.ok_or_else(|| ClientError::Ended {
            name: self.name.clone(),
        })
    }

    /// How it is.
    pub async fn status(&self) -> Result<Status, ClientError> {
        match self.ask(&Request::Status).await? {
            Response::Status(status) => Ok(*status),
            _ => Err(self.other()),
        }
    }

    /// Asks for something that is [done](Response::Done), no more.
    pub async fn order(&self, request: &Request) -> Result<(), ClientError> {
        match self.ask(request).await? {
            Response::Done => Ok(()),
            _ => Err(self.other()),
        }
    }

    /// Asks, and returns all answers, as they come.
    pub async fn open(&self, request: &Request) -> Result<Answers, ClientError> {
        let opened = async {
            let stream = socket::connect(&self.folder)?;
            stream.set_nonblocking(true)?;
            let (read, mut write) = UnixStream::from_std(stream)?.into_split();
            let envelope = Envelope {
                tokenlab: VERSION.to_owned(),
                request,
            };
            let line = serde_json::to_string(&envelope)?;
            write.write_all(format!("{line}\n").as_bytes()).await?;
            Ok(Answers {
                name: self.name.clone(),
                lines: BufReader::new(read).lines(),
                _write: write,
            })
        };
        opened.await.map_err(|source| ClientError::Connection {
            name: self.name.clone(),
            source,
        })
    }

    /// It answered something that was not asked for.
    pub fn other(&self) -> ClientError {
        ClientError::Other {
            name: self.name.clone(),
        }
    }
}

impl Answers {
    /// The next one; a failure is an error. `None` when there are no more.
    pub async fn next(&mut self) -> Result<Option<Response>, ClientError> {
        let line = self.lines.next_line().await;
        let line = match line {
            Ok(Some(line)) => line,
            // What was sent was not read any more.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Ok(None) => return Ok(None),
            Err(source) => {
                let name = self.name.clone();
                return Err(ClientError::Connection { name, source });
            }
        };
        match serde_json::from_str(&line) {
            Ok(Response::Failed(failure)) => Err(failure.into()),
            Ok(response) => Ok(Some(response)),
            Err(source) => Err(ClientError::Answer {
                name: self.name.clone(),
                source,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[tokio::test]
    async fn a_lab_that_ends_meanwhile_is_told_as_such() {
        let folder = tempfile::tempdir().expect("must be made");
        let folder = Utf8PathBuf::from_path_buf(folder.path().to_owned());
        let folder = folder.expect("must be UTF-8");
        let listener = socket::listen(&folder).expect("must listen");
        let client = Client {
            name: LabName::default(),
            folder,
        };
        let ends = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("must come");
            let mut line = String::new();
            let read = BufReader::new(stream).read_line(&mut line);
            read.expect("must be read");
        });
        let error = client.status().await.expect_err("must end");
        ends.join().expect("must end");
        assert_eq!(
            error.to_string(),
            "the lab `default` ended before it answered"
        );
        let hint = error.hint().expect("must be there");
        assert!(!hint.contains("`tokenlab down"), "{hint}");
    }
}
