//! A terminal that a test types into and reads from: tmux, by a server of its own.

use std::convert::Infallible;
use std::process::Stdio;

use tempfile::TempDir;
use tokenlab_harness::{Probe, until};
use tokio::process::{Child, Command};

use crate::home::SOON;
use crate::skipped::{has, skip};

/// Runs the server as a child, and ends it when the pipe to here is closed: a test that panics or
/// is killed leaves none. Ended, the server hangs up on what runs in it.
const SERVER: &str = "tmux -u -S socket -f settings -D & IFS= read -r end; kill $!; wait";

/// The program's screen stays when it has ended, and all of it is the program's.
const SETTINGS: &str = "\
set -g remain-on-exit on
set -g remain-on-exit-format ''
set -g status off
set -g history-limit 5000
set -g default-terminal screen-256color
set -g default-shell /bin/sh
";

/// A program on a terminal of its own. Dropped, the terminal is closed.
pub(crate) struct Terminal {
    folder: TempDir,
    /// Its standard input is what keeps the server.
    server: Child,
}

impl Terminal {
    /// Runs a command, with the variables that were set on it and no others, on a terminal of this
    /// size. `None` where there is no tmux: `test` is skipped then.
    pub(crate) async fn start(
        test: &str,
        command: Command,
        (columns, rows): (u16, u16),
    ) -> Option<Self> {
        if !has("tmux") {
            skip(test, "no `tmux` here");
            return None;
        }
        let folder = TempDir::new().expect("must be made");
        std::fs::write(folder.path().join("settings"), SETTINGS).expect("must be written");
        // Not the caller's environment: what belongs to a test is told by its TMPDIR, and the
        // server is nothing that the program has left.
        let server = Command::new("/bin/sh")
            .args(["-c", SERVER])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("must start");
        let terminal = Self { folder, server };
        terminal.answers().await;
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut session = terminal.client(&["new-session", "-d", "-x", &columns, "-y", &rows]);
        let command = command.as_std();
        for (name, value) in command.get_envs() {
            let Some(value) = value else { continue };
            let mut setting = name.to_owned();
            setting.push("=");
            setting.push(value);
            session.arg("-e").arg(setting);
        }
        session
            .args(["-c", "/", "--"])
            .arg(command.get_program())
            .args(command.get_args());
        succeeds(session).await;
        Some(terminal)
    }

    /// Types keys by tmux' names: `Enter`, `Escape`, `C-c`, or a letter.
    pub(crate) async fn press(&self, keys: &[&str]) {
        let mut client = self.client(&["send-keys", "--"]);
        client.args(keys);
        succeeds(client).await;
    }

    /// Types a line, and Enter.
    pub(crate) async fn line(&self, text: &str) {
        succeeds(self.client(&["send-keys", "-l", "--", text])).await;
        self.press(&["Enter"]).await;
    }

    /// Gives the terminal another size.
    pub(crate) async fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        succeeds(self.client(&["resize-window", "-x", &columns, "-y", &rows])).await;
    }

    /// All that was on the screen so far. A line that the terminal had to break is one line.
    pub(crate) async fn text(&self) -> String {
        let text = succeeds(self.client(&["capture-pane", "-p", "-J", "-S", "-"])).await;
        let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
        lines.join("\n")
    }

    /// What is on the screen now, line by line as the terminal breaks them.
    pub(crate) async fn screen(&self) -> String {
        let text = succeeds(self.client(&["capture-pane", "-p"])).await;
        let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
        lines.join("\n")
    }

    /// Waits until this stands behind all that was there before, as the last thing on the screen;
    /// all that was on the screen so far.
    pub(crate) async fn ends_with(&self, end: &str) -> String {
        let what = format!("the screen ends with `{end}`");
        self.until(&what, |text| text.ends_with(end)).await
    }

    /// Waits until this stands somewhere on the screen; all that was on it so far.
    pub(crate) async fn shows(&self, part: &str) -> String {
        let what = format!("the screen shows `{part}`");
        self.until(&what, |text| text.contains(part)).await
    }

    async fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let look = async || {
            // In this order: what has ended shows nothing more.
            let status = self.status().await;
            let text = self.text().await;
            match status {
                _ if is_so(&text) => Probe::Ready(text),
                None => Probe::NotYet(text.into()),
                Some(code) => Probe::Fatal(Ended { code, text }),
            }
        };
        (until(what, SOON, look).await).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits for the program's end: its exit status, and all that was on the screen.
    pub(crate) async fn ended(&self) -> (i32, String) {
        let look = async || match self.status().await {
            Some(code) => Probe::<_, Infallible>::Ready(code),
            None => Probe::NotYet(self.text().await.into()),
        };
        let code = until("the program ends", SOON, look).await;
        (
            code.unwrap_or_else(|error| panic!("{error}")),
            self.text().await,
        )
    }

    /// Closes the terminal on whatever runs in it, and waits until its server is gone.
    pub(crate) async fn close(mut self) {
        drop(self.server.stdin.take());
        let gone = tokio::time::timeout(SOON.within, self.server.wait()).await;
        gone.expect("must end soon").expect("must end");
    }

    /// The program's exit status, 128 and more after a signal; `None` while it runs.
    async fn status(&self) -> Option<i32> {
        const STATUS: &str = "#{pane_dead}|#{pane_dead_status}|#{pane_dead_signal}";
        let status = succeeds(self.client(&["display-message", "-p", STATUS])).await;
        let fields: Vec<Option<i32>> = (status.trim_end().split('|'))
            .map(|field| field.parse().ok())
            .collect();
        match *fields {
            [Some(1), Some(code), _] => Some(code),
            [Some(1), None, Some(signal)] => Some(128 + signal),
            // Its screen is closed before tmux has heard how it ended; tmux 3.3a may miss that word
            // for good. When a job of its own ends it looks for all that have.
            [Some(1), None, None] => {
                succeeds(self.client(&["run-shell", "true"])).await;
                None
            }
            _ => None,
        }
    }

    /// Waits until the server listens.
    async fn answers(&self) {
        let look = async || {
            let output = self.client(&["list-sessions"]).output().await;
            let output = output.expect("tmux must run");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // It answers, though with nothing.
            if output.status.success() || said.starts_with("no sessions") {
                Probe::<_, Infallible>::Ready(())
            } else {
                Probe::NotYet(said.into())
            }
        };
        until("tmux answers", SOON, look)
            .await
            .expect("must come true");
    }

    fn client(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command
            .args(["-u", "-S", "socket"])
            .args(args)
            .env_remove("TMUX")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// The program is gone, and will show nothing more.
#[derive(Debug, thiserror::Error)]
#[error("the program has ended: {code}; on its screen:\n{text}")]
struct Ended {
    code: i32,
    text: String,
}

async fn succeeds(mut client: Command) -> String {
    let output = tokio::time::timeout(SOON.within, client.output()).await;
    let output = output.expect("must end soon").expect("tmux must run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client:?}: {said}");
    String::from_utf8(output.stdout).expect("must be UTF-8")
}

#[tokio::test]
async fn it_shows_what_is_typed_and_how_it_ended() {
    let mut command = Command::new("/bin/sh");
    command
        .args([
            "-c",
            "stty size; read -r line; echo \"$WHO said $line\"; exit 7",
        ])
        .env("WHO", "somebody");
    let name = "tmux::it_shows_what_is_typed_and_how_it_ended";
    let Some(terminal) = Terminal::start(name, command, (31, 9)).await else {
        return;
    };
    terminal.ends_with("9 31").await;
    terminal.resize(20, 9).await;
    terminal.line("a line that is broken").await;
    let (code, text) = terminal.ended().await;
    assert_eq!(code, 7, "{text}");
    let whole = "somebody said a line that is broken";
    assert!(text.ends_with(whole), "{text}");
    assert!(!terminal.screen().await.contains(whole), "{text}");
    terminal.close().await;
}

#[tokio::test]
async fn one_that_is_closed_hangs_up_and_leaves_nothing() {
    let mut command = Command::new("/bin/sh");
    let folder = TempDir::new().expect("must be made");
    let file = folder.path().join("hung up");
    let script =
        "trap 'echo hung up >\"$FILE\"; exit' HUP; echo ready; while :; do read -r line; done";
    command.args(["-c", script]).env("FILE", &file);
    let name = "tmux::one_that_is_closed_hangs_up_and_leaves_nothing";
    let Some(terminal) = Terminal::start(name, command, (80, 24)).await else {
        return;
    };
    terminal.ends_with("ready").await;
    let socket = terminal.folder.path().join("socket");
    assert!(socket.exists());
    terminal.close().await;
    let look = async || match std::fs::read_to_string(&file) {
        Ok(text) if text == "hung up\n" => Probe::<_, Infallible>::Ready(()),
        other => Probe::NotYet(format!("{other:?}").into()),
    };
    until("it is hung up on", SOON, look)
        .await
        .expect("must come true");
}
