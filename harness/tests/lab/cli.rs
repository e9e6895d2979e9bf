//! The command line as people and scripts meet it.

mod closed_pipe;
mod color;
mod demo;
mod usage;
mod webhook;

use std::process::Stdio;

use tokenlab_harness::Output;
use tokio::process::Command;

use crate::owner::ended;

/// The program with a plain environment, for what starts no lab.
fn tokenlab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenlab"));
    // The width to wrap at, where there is no terminal to ask.
    command.args(args).env("COLUMNS", "100");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in ["LAB_KUBERNETES", "LAB_BACKEND", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

async fn outcome(args: &[&str]) -> Output {
    ended(&mut tokenlab(args)).await
}
