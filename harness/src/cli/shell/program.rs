//! Which shell it is, and how it is told what is the lab's.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::process::Command;

const BASH: &str = include_str!("bashrc");
const ZSH: [(&str, &str); 2] = [
    (".zshenv", include_str!("zshenv")),
    (".zshrc", include_str!("zshrc")),
];
const FISH: &str = include_str!("init.fish");
const POSIX: &str = include_str!("shrc");

/// A shell.
#[derive(Debug)]
pub(in crate::cli) struct Program {
    path: Utf8PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bash,
    Zsh,
    Fish,
    /// It reads the file that `ENV` names (POSIX, `sh`).
    Posix,
    Unknown,
}

impl Program {
    /// The one that `SHELL` names; `sh` when it names none.
    pub(in crate::cli) fn of_the_user() -> Self {
        let named = std::env::var("SHELL").ok().filter(|path| !path.is_empty());
        Self::at(named.unwrap_or_else(|| "/bin/sh".to_owned()).into())
    }

    fn at(path: Utf8PathBuf) -> Self {
        let kind = match path.file_name() {
            Some("bash") => Kind::Bash,
            Some("zsh") => Kind::Zsh,
            Some("fish") => Kind::Fish,
            Some("sh" | "dash" | "ash" | "ksh" | "mksh") => Kind::Posix,
            _ => Kind::Unknown,
        };
        Self { path, kind }
    }

    pub(in crate::cli) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// A name without a folder is looked for on `PATH` when it is run.
    pub(in crate::cli) fn may_be_there(&self) -> bool {
        !self.path.as_str().contains('/') || self.path.exists()
    }

    pub(in crate::cli) fn marks_its_prompt(&self) -> bool {
        self.kind != Kind::Unknown
    }

    /// Its command, and in this folder the files that it reads.
    pub(in crate::cli) fn command(&self, folder: &Utf8Path) -> io::Result<Command> {
        let mut command = Command::new(&self.path);
        match self.kind {
            Kind::Bash => {
                let file = written(folder, "bashrc", BASH)?;
                command.arg("--rcfile").arg(file);
            }
            Kind::Zsh => {
                let folder = folder.join("zsh");
                std::fs::create_dir_all(&folder)?;
                for (name, text) in ZSH {
                    written(&folder, name, text)?;
                }
                if let Some(own) = std::env::var_os("ZDOTDIR") {
                    command.env("TOKENLAB_ZDOTDIR", own);
                }
                command.env("ZDOTDIR", folder);
            }
            Kind::Fish => {
                let file = written(folder, "init.fish", FISH)?;
                // fish reads words between apostrophes as they are, but for these two.
                let file = file.as_str().replace('\\', r"\\").replace('\'', r"\'");
                command
                    .arg("--init-command")
                    .arg(format!("source '{file}'"));
            }
            Kind::Posix => {
                let file = written(folder, "shrc", POSIX)?;
                if let Some(own) = std::env::var_os("ENV") {
                    command.env("TOKENLAB_ENV", own);
                }
                command.env("ENV", file);
            }
            Kind::Unknown => {}
        }
        Ok(command)
    }
}

fn written(folder: &Utf8Path, name: &str, text: &str) -> io::Result<Utf8PathBuf> {
    let path = folder.join(name);
    // The same text each time: another shell of the lab that reads it meanwhile sees no other.
    std::fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_known_by_its_name() {
        for (path, kind) in [
            ("/bin/bash", Kind::Bash),
            ("/usr/bin/zsh", Kind::Zsh),
            ("fish", Kind::Fish),
            ("/bin/sh", Kind::Posix),
            ("/usr/bin/nu", Kind::Unknown),
        ] {
            assert_eq!(Program::at(path.into()).kind, kind, "{path}");
        }
    }
}
