//! The folder that is handed on: texts without secrets, and a README that tells what each answers.

use std::fmt::Write as _;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::redaction::Redaction;
use crate::run_folder::{COMMAND_LINES, RunFolderError, write};

/// Its name in the run folder.
pub(crate) const NAME: &str = "diagnostics";
const README: &str = "README.txt";
/// Where copies of what the lab wrote are in it.
const COPIES: &str = "run-folder";
/// Of a longer text the end is taken, which is where a failure is.
const LONGEST: usize = 4 << 20;

/// The folder while it is filled.
#[derive(Debug)]
pub(crate) struct Bundle {
    path: Utf8PathBuf,
    redaction: Redaction,
    files: Vec<File>,
    missing: Vec<Missing>,
}

#[derive(Debug)]
struct File {
    name: String,
    bytes: usize,
    answers: &'static str,
    /// What it is the output of.
    command: Option<String>,
}

#[derive(Debug)]
struct Missing {
    name: String,
    why: String,
}

impl Bundle {
    /// Makes the folder anew. The kubeconfigs in the run folder tell what the lab handed out.
    pub(crate) fn begin(run_folder: &Utf8Path) -> Result<Self, RunFolderError> {
        let path = run_folder.join(NAME);
        // Of an earlier failure.
        let _ = std::fs::remove_dir_all(&path);
        make(&path).map_err(|source| RunFolderError::Create {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            path,
            redaction: Redaction::of_folder(run_folder),
            files: Vec::new(),
            missing: Vec::new(),
        })
    }

    /// Replaces this wherever it stands, too.
    pub(crate) fn know(&mut self, secret: &str) {
        self.redaction.know(secret);
    }

    /// Writes a text, redacted.
    pub(super) fn add(
        &mut self,
        name: &str,
        answers: &'static str,
        text: &str,
        command: Option<String>,
    ) {
        let text = self.redaction.text(end(text));
        let path = self.path.join(name);
        let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else {
            return;
        };
        let written = make(folder)
            .map_err(|source| RunFolderError::Create {
                path: folder.to_owned(),
                source,
            })
            .and_then(|()| write(folder, file, &text));
        match written {
            Ok(_) => self.files.push(File {
                name: name.to_owned(),
                bytes: text.len(),
                answers,
                command,
            }),
            Err(error) => self.miss(name, &error.to_string()),
        }
    }

    /// Notes what is not there.
    pub(super) fn miss(&mut self, name: &str, why: &str) {
        self.missing.push(Missing {
            name: name.to_owned(),
            why: self.redaction.text(why),
        });
    }

    /// Copies what the lab wrote into its run folder, but for what is no text and for kubectl's
    /// caches.
    pub(crate) fn copy_run_folder(&mut self) {
        if let Some(folder) = self.path.parent().map(Utf8Path::to_owned) {
            self.copy(&folder, Utf8Path::new(COPIES));
        }
    }

    fn copy(&mut self, folder: &Utf8Path, into: &Utf8Path) {
        let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path().to_owned()).collect();
        paths.sort();
        for path in paths {
            let Ok(data) = path.symlink_metadata() else {
                continue;
            };
            let name = into.join(path.file_name().unwrap_or_default());
            if data.is_dir() && path != self.path && path.extension() != Some("home") {
                self.copy(&path, &name);
            } else if data.is_file() {
                match text(&path) {
                    Ok(Some(text)) => self.add(name.as_str(), written(&path), &text, None),
                    Ok(None) => {}
                    Err(error) => self.miss(name.as_str(), &error.to_string()),
                }
            }
        }
    }

    /// Writes the README, and returns where the folder is.
    pub(crate) fn finish(self, title: &str) -> Result<Utf8PathBuf, RunFolderError> {
        let title = self.redaction.text(title);
        write(&self.path, README, &self.readme(&title))?;
        Ok(self.path)
    }

    fn readme(&self, title: &str) -> String {
        let mut text = format!(
            "{title}\n\n\
             Tokens, passwords and private keys are replaced by marks such as [REDACTED: token].\n\
             Certificates, names and addresses are as they were.\n\n"
        );
        let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
        let names = width(&mut self.files.iter().map(|file| file.name.len()));
        for file in &self.files {
            let File {
                name,
                bytes,
                answers,
                command: _,
            } = file;
            let _ = writeln!(text, "{name:names$}  {bytes:>8} bytes  {answers}");
        }
        self.write_missing(&mut text);
        let mut commands = self.files.iter().filter(|file| file.command.is_some());
        if let Some(first) = commands.next() {
            text.push_str("\nFrom:\n");
            for file in std::iter::once(first).chain(commands) {
                let command = file.command.as_deref().unwrap_or_default();
                let _ = writeln!(text, "  {:names$}  {command}", file.name);
            }
        }
        text
    }

    /// Each reason once: when the node is gone, it is that of all.
    fn write_missing(&self, text: &mut String) {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for Missing { name, why } in &self.missing {
            match reasons.iter_mut().find(|(other, _)| other == why) {
                Some((_, names)) => names.push(name),
                None => reasons.push((why, vec![name])),
            }
        }
        if !reasons.is_empty() {
            text.push_str("\nNot there, or not whole:\n");
        }
        for (why, names) in reasons {
            let why = why.trim().replace('\n', "\n    ");
            let _ = writeln!(text, "  {}:\n    {why}", names.join(", "));
        }
    }
}

/// What a file is that a lab wrote.
fn written(path: &Utf8Path) -> &'static str {
    match (path.file_name(), path.extension()) {
        (Some(COMMAND_LINES), _) => "what was run, in this order",
        (Some("children"), _) => "which processes were started",
        (Some("kind.yaml"), _) => "what kind was told to create",
        (Some("webhook-config.yml"), _) => "how the apiserver is told to reach the webhook",
        (Some("authn-webhook-deploy.yml"), _) => "what was applied for the webhook",
        (_, Some("kubeconfig")) => "who kubectl was, without the credentials",
        (_, Some("log")) => "what a process of the lab said",
        (_, Some("crt")) => "a certificate",
        _ => "written by the lab",
    }
}

/// The text of a file; `None` when it is none.
fn text(path: &Utf8Path) -> io::Result<Option<String>> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = vec![0; 8 << 10];
    let count = file.read(&mut bytes)?;
    if bytes[..count].contains(&0) {
        return Ok(None);
    }
    // One more, so that it is seen to be too long.
    let longest = LONGEST as u64 + 1;
    file.seek(SeekFrom::Start(length.saturating_sub(longest)))?;
    bytes.clear();
    file.read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The last lines of a text that is too long.
fn end(text: &str) -> &str {
    let Some(cut) = text.len().checked_sub(LONGEST) else {
        return text;
    };
    // The first line may be half a secret. A text of one line is one of the engine's answers.
    let bytes = &text.as_bytes()[cut..];
    let line = bytes.iter().position(|byte| *byte == b'\n');
    line.map_or("", |at| &text[cut + at + 1..])
}

fn make(path: &Utf8Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: Utf8PathBuf) -> String {
        std::fs::read_to_string(path).expect("must be read")
    }

    #[test]
    fn what_the_lab_wrote_is_copied_without_its_secrets() {
        let folder = tempfile::tempdir().expect("must be made");
        let folder = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let put = |name: &str, text: &str| {
            let path = folder.join(name);
            make(path.parent().expect("must have one")).expect("must be made");
            std::fs::write(path, text).expect("must be written");
        };
        put("token.kubeconfig", "users:\n- user:\n    token: canary-1\n");
        put("command-lines", "etcd --name=a\ncurl -d canary-1\n");
        put("logs/etcd.log", "it saw canary-1\nit ended\n");
        put("token.home/cache", "canary-1");
        put("image.tar", "\0canary-1");
        put("diagnostics/old", "canary-1");
        let mut bundle = Bundle::begin(folder).expect("must be made");
        bundle.copy_run_folder();
        bundle.miss("events.txt", "refused canary-1\nthat is all");
        bundle.miss("webhook.log", "there is none");
        bundle.miss("nodes.txt", "refused canary-1\nthat is all");
        let path = bundle.finish("What was found.").expect("must be written");

        let readme = read(path.join(README));
        insta::assert_snapshot!(readme, @"
        What was found.

        Tokens, passwords and private keys are replaced by marks such as [REDACTED: token].
        Certificates, names and addresses are as they were.

        run-folder/command-lines           57 bytes  what was run, in this order
        run-folder/logs/etcd.log           51 bytes  what a process of the lab said
        run-folder/token.kubeconfig        61 bytes  who kubectl was, without the credentials

        Not there, or not whole:
          events.txt, nodes.txt:
            refused [REDACTED: credential of this lab]
            that is all
          webhook.log:
            there is none
        ");
        let log = read(path.join("run-folder/logs/etcd.log"));
        assert_eq!(log, "it saw [REDACTED: credential of this lab]\nit ended\n");
        for gone in ["old", "run-folder/image.tar", "run-folder/token.home"] {
            assert!(!path.join(gone).exists(), "{gone}");
        }
    }

    #[test]
    fn of_a_long_text_the_last_whole_lines_are_taken() {
        let line = format!("{}\n", "x".repeat(99));
        let text = line.repeat(LONGEST / 100 + 7);
        let kept = end(&text);
        assert!(kept.len() > LONGEST - 200 && kept.len() <= LONGEST);
        assert_eq!(kept.len() % 100, 0);
        assert_eq!(end("short"), "short");
        // A cut within a character is none within a line.
        let text = format!("é\n{}", "é".repeat(LONGEST / 2 - 1)) + "\n";
        assert!(end(&text).starts_with('é'));
    }
}
