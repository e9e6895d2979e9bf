//! The owner is the program, on a terminal that is closed.

use crate::home::Home;
use crate::owner::Running;
use crate::skipped::{has, skip};

/// util-linux' `script` is the terminal: killed, it leaves the other end without one.
#[tokio::test]
async fn a_closed_terminal() {
    if !has("script") {
        skip("outlives::terminal::a_closed_terminal", "no `script` here");
        return;
    }
    let home = Home::new().await;
    let mut script = home.command("script").await;
    let demo = concat!("exec '", env!("CARGO_BIN_EXE_tokenlab"), "' demo --hold");
    script
        .args(["-qfec", demo, "/dev/null"])
        .env("TERM", "xterm");
    let mut terminal = Running::start(script);
    terminal.says("The lab runs until Ctrl-C.").await;
    home.has_a_lab();
    terminal.signal(nix::sys::signal::Signal::SIGKILL);
    terminal.ended().await;
    home.nothing_left().await;
}
