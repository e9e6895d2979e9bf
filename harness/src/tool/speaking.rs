//! A program that shows by its first output that it gets on.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Child;

use super::{Tool, ToolError, spawn};
use crate::group::Group;

/// A program that has said something. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Speaking {
    child: Child,
    _group: Group,
    command: String,
}

impl Tool {
    /// Starts it, and waits for at most this long until it writes something to its standard output
    /// or ends. One that ends with a failure before that has failed.
    pub(crate) async fn speaks_within(
        &self,
        within: Duration,
        args: &[&str],
    ) -> Result<Speaking, ToolError> {
        let command = self.line(args);
        let run = |source| ToolError::Run {
            command: command.clone(),
            source,
        };
        let mut speaking = self.start(args, command.clone()).map_err(run)?;
        match tokio::time::timeout(within, speaking.first()).await {
            Ok(Ok(true)) => Ok(speaking),
            Ok(Ok(false)) => {
                speaking.ended().await?;
                Err(run(io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(Err(source)) => Err(run(source)),
            Err(_elapsed) => Err(ToolError::TimedOut { command, within }),
        }
    }

    fn start(&self, args: &[&str], line: String) -> io::Result<Speaking> {
        let (child, pid, gate) = spawn(self.logged(args)?)?;
        let group = Group::open(pid, gate)?;
        Ok(Speaking {
            child,
            _group: group,
            command: line,
        })
    }
}

impl Speaking {
    /// Whether it says something before it ends.
    async fn first(&mut self) -> io::Result<bool> {
        match &mut self.child.stdout {
            Some(stdout) => Ok(stdout.read(&mut [0]).await? > 0),
            None => Ok(false),
        }
    }

    /// Waits for its end, however long that takes; an exit code other than 0 is an error.
    pub(crate) async fn ended(self) -> Result<(), ToolError> {
        let Self {
            child,
            _group,
            command,
        } = self;
        let output = match child.wait_with_output().await {
            Ok(output) => output,
            Err(source) => return Err(ToolError::Run { command, source }),
        };
        if output.status.success() {
            return Ok(());
        }
        let output = Box::new(output.into());
        Err(ToolError::Failed { command, output })
    }
}
