//! Whom the tour is shown to: a person at a terminal, or whoever reads a script's output.

use std::io::{self, Write as _};

use anyhow::Context as _;
use camino::Utf8PathBuf;
use nix::sys::termios::{self, FlushArg, LocalFlags, SetArg, Termios};
use tokio::task::JoinHandle;

use super::guide::{Audience, Key};
use super::page;
use crate::cli::UNWRITABLE;
use crate::cli::shell::program::Program;

/// Where there is no terminal to ask, and no `COLUMNS`.
const COLUMNS: usize = 80;
const UNREADABLE: &str = "cannot read the terminal";

/// Whether an error is that nobody is there any more: a terminal that was closed, a pipe that is not
/// read. Nothing is wrong with the lab then.
pub(super) fn is_gone(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| {
        io.kind() == io::ErrorKind::BrokenPipe || io.raw_os_error() == Some(nix::Error::EIO as i32)
    })
}

/// Where the lab is, for a shell beside the tour.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// Its folder, with `kubectl` in it.
    pub(super) folder: Utf8PathBuf,
    /// The admin's.
    pub(super) kubeconfig: Utf8PathBuf,
}

/// Nobody presses keys; everything runs.
pub(super) struct Reader;

impl Audience for Reader {
    fn width(&self) -> usize {
        width()
    }
    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        say(text)
    }
    async fn key(&mut self, _prompt: &str) -> anyhow::Result<Key> {
        say("\n")?;
        Ok(Key::Enter)
    }
    async fn shell(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A person at the terminal.
pub(super) struct Person {
    surroundings: Surroundings,
    keyboard: Option<Keyboard>,
    /// A read that was given up goes on: its key is the next one.
    reading: Option<JoinHandle<nix::Result<Vec<u8>>>>,
}

impl Person {
    pub(super) fn new(surroundings: Surroundings) -> anyhow::Result<Self> {
        Ok(Self {
            surroundings,
            keyboard: Some(Keyboard::new()?),
            reading: None,
        })
    }
}

impl Drop for Person {
    /// Interrupted at a prompt, it leaves the line to what comes next.
    fn drop(&mut self) {
        if self.reading.is_some() {
            let _ = say("\n");
        }
    }
}

impl Audience for Person {
    fn width(&self) -> usize {
        width()
    }

    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        say(text)
    }

    async fn key(&mut self, prompt: &str) -> anyhow::Result<Key> {
        say(&page::prompt(prompt))?;
        // What was typed before there was something to answer is no answer to it.
        let flushed = termios::tcflush(io::stdin(), FlushArg::TCIFLUSH);
        flushed.map_err(io::Error::from).context(UNREADABLE)?;
        loop {
            let reading = self
                .reading
                .get_or_insert_with(|| tokio::task::spawn_blocking(read));
            let typed = reading.await;
            self.reading = None;
            if let Some(key) = key(&typed?.map_err(io::Error::from).context(UNREADABLE)?) {
                say("\n")?;
                return Ok(key);
            }
        }
    }

    async fn shell(&mut self) -> anyhow::Result<()> {
        let Surroundings { folder, kubeconfig } = &self.surroundings;
        let program = Program::of_the_user();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(folder.into()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(paths).unwrap_or(path);
        let files = folder.join("shell");
        std::fs::create_dir_all(&files).with_context(|| format!("`{files}` cannot be made"))?;
        let command = program.command(&files);
        let mut command = command.with_context(|| format!("`{files}` cannot be written to"))?;
        command
            .current_dir(folder)
            .env("KUBECONFIG", kubeconfig)
            .env("PATH", path)
            .env("TOKENLAB_SHELL", "tour")
            // For the files that are read behind the user's own, which may set the first two anew.
            .env("TOKENLAB_BIN", folder)
            .env("TOKENLAB_KUBECONFIG", kubeconfig)
            .kill_on_drop(true);
        // The shell wants the terminal as it was.
        self.keyboard = None;
        say("A shell in the lab's folder; kubectl is its admin. exit comes back.\n")?;
        let ended = command.status().await;
        self.keyboard = Some(Keyboard::new()?);
        if let Err(error) = ended {
            say(&format!("{}: {error}\n", program.path()))?;
        }
        Ok(())
    }
}

/// The terminal, with each key read as it is pressed and not shown. Ctrl-C stays a signal. Dropped,
/// the terminal is as it was.
struct Keyboard(Termios);

impl Keyboard {
    fn new() -> anyhow::Result<Self> {
        let set = || {
            let before = termios::tcgetattr(io::stdin())?;
            let mut now = before.clone();
            now.local_flags
                .remove(LocalFlags::ICANON | LocalFlags::ECHO);
            termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &now)?;
            Ok::<_, nix::Error>(before)
        };
        let before = set().map_err(io::Error::from);
        before.map(Self).context("cannot set the terminal")
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to set.
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// Waits for something to be typed, and tells it: a key sends one byte, or several in one piece.
/// Nothing is the end of the input.
fn read() -> nix::Result<Vec<u8>> {
    let mut bytes = [0; 64];
    loop {
        match nix::unistd::read(io::stdin(), &mut bytes) {
            Err(nix::Error::EINTR) => {}
            // A terminal that is gone.
            Err(nix::Error::EIO) => return Ok(Vec::new()),
            read => return Ok(bytes[..read?].to_vec()),
        }
    }
}

/// The first key among what was typed that means something. What a key sends that is none of ours
/// may hold letters: an arrow is ESC [ B (ECMA-48, control sequences).
fn key(typed: &[u8]) -> Option<Key> {
    if typed.is_empty() {
        return Some(Key::Quit);
    }
    let mut bytes = typed.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => return Some(Key::Enter),
            b'r' => return Some(Key::Again),
            b'b' => return Some(Key::Back),
            b's' => return Some(Key::Shell),
            b'?' | b'h' => return Some(Key::Help),
            // 4: Ctrl-D.
            b'q' | 4 => return Some(Key::Quit),
            0x1b => {
                if let Some(b'[' | b'O') = bytes.next() {
                    bytes.find(|byte| (0x40..=0x7e).contains(*byte));
                }
            }
            _ => {}
        }
    }
    None
}

fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(io::stdout());
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    match terminal {
        Some((terminal_size::Width(columns), _)) => columns.into(),
        None => told().unwrap_or(COLUMNS),
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut stdout = anstream::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    written.and_then(|()| stdout.flush()).context(UNWRITABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_mean_nothing_do_not_hide_those_that_do() {
        assert_eq!(key(b"\n"), Some(Key::Enter));
        assert_eq!(key(b"xyz"), None);
        assert_eq!(key(b"x\x1b[B\x1bOBq"), Some(Key::Quit));
        assert_eq!(key(b"\x1b[1;5B"), None);
        assert_eq!(key(b"\x1b"), None);
        assert_eq!(key("é?".as_bytes()), Some(Key::Help));
        assert_eq!(key(b""), Some(Key::Quit));
    }
}
