//! `tokenlab-webhook token`.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use tempfile::NamedTempFile;
use time::OffsetDateTime;
use tokenlab_webhook::authenticators::TokenFile;
use tokenlab_webhook::authenticators::token_file::Entry;
use tokenlab_webhook::{User, duration};

use super::failure::Failure;
use super::note;
use super::out::{Out, print};

const EXAMPLES: &str = "\
Examples:
  A token for Ann, whose hash goes to the end of a file:
    tokenlab-webhook token --user ann --group dev --file tokens.jsonl --out ann.token

  One for a pipeline, for 30 days; the token and its line of a token file:
    tokenlab-webhook token --user pipeline --expires-in 720h";

/// Make a token, and the line of a token file that knows it
///
/// The token is shown this once: the file has its hash only.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whose it is
    #[arg(long, value_name = "NAME", value_parser = name)]
    user: String,

    /// A group of the user's; can be given several times
    #[arg(long = "group", value_name = "NAME", value_parser = name)]
    groups: Vec<String>,

    /// What tells apart users who had the name at different times
    #[arg(
        long,
        value_name = "UID",
        default_value = "",
        hide_default_value = true
    )]
    uid: String,

    /// What else is known of the user, for example example.org/team=red; can be given several times
    #[arg(long = "extra", value_name = "KEY=VALUE", value_parser = pair)]
    extra: Vec<(String, String)>,

    /// Whom the token is meant for; can be given several times. None: whoever the apiserver is
    #[arg(long = "audience", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    audiences: Vec<String>,

    /// How long the token is good, for example 720h. None: until its line is deleted
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    expires_in: Option<Duration>,

    /// The token file to add the line to; made if missing. None: the line is printed
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    out: Out,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self {
            user,
            groups,
            uid,
            extra,
            audiences,
            expires_in,
            file,
            out,
        } = self;
        if expires_in.is_some_and(|after| after < Duration::from_secs(1)) {
            return Err(Failure::TooShort);
        }
        let mut user = User::new(user).with_uid(uid).with_groups(groups);
        for (key, value) in extra {
            user = user.with_extra(key, [value]);
        }
        let reserved = user.reserved();
        let (token, mut entry) = Entry::generate(user);
        entry = entry.with_audiences(audiences);
        if let Some(after) = expires_in {
            entry = entry.with_expires(later(after).ok_or(Failure::TooLong)?);
        }
        // Whoever cannot be told the token gets no entry for it.
        let told = || out.write(&format!("{}\n", token.expose()), Failure::Told);
        match file {
            None => {
                told()?;
                print(format!("{entry}\n").as_bytes()).map_err(Failure::Print)?;
            }
            Some(path) => append(&path, &entry, told)?,
        }
        if let Some(what) = reserved {
            note(&format!(
                "Kubernetes reserves the {what}: `serve` answers this token with an error, unless \
                 it is told `--allow-reserved`"
            ));
        }
        Ok(())
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("it must not be empty"),
        _ if text.contains(char::is_control) => Err("it must have no control characters"),
        _ => Ok(text.to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or("it must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// To the second: more is nobody's wish.
fn later(after: Duration) -> Option<OffsetDateTime> {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).ok()?;
    now.checked_add(after.try_into().ok()?)
}

/// Adds a line to the file as one step: whoever reads it sees all of it or none. `before` comes
/// when nothing but the last step can fail.
fn append(
    path: &Path,
    entry: &Entry,
    before: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = |source| Failure::Write {
        path: path.to_owned(),
        source,
    };
    // The file itself, where a symbolic link stands for it.
    let target = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        target => target.map_err(failed)?,
    };
    let parent = target.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = parent.unwrap_or(Path::new("."));
    // Of two that add a line at once, the second waits. The kernel ends this with the program.
    let turn = File::open(dir).map_err(failed)?;
    turn.lock().map_err(failed)?;
    let mut draft = tempfile::Builder::new();
    let draft = draft
        .prefix(".tokenlab-")
        .permissions(Permissions::from_mode(0o600));
    let mut draft = draft.tempfile_in(dir).map_err(failed)?;
    if target.try_exists().map_err(failed)? {
        // What is broken is not made longer.
        TokenFile::load(path)?;
        copy(&target, &mut draft).map_err(failed)?;
    }
    writeln!(draft, "{entry}").map_err(failed)?;
    draft.as_file().sync_all().map_err(failed)?;
    before()?;
    let placed = draft.persist(&target);
    placed.map(drop).map_err(|error| failed(error.error))
}

/// The content, mode and owner of a file, with a line end at the end.
fn copy(from: &Path, draft: &mut NamedTempFile) -> io::Result<()> {
    let content = fs::read(from)?;
    draft.write_all(&content)?;
    if !content.is_empty() && !content.ends_with(b"\n") {
        draft.write_all(b"\n")?;
    }
    let (old, new) = (fs::metadata(from)?, draft.as_file().metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        fchown(draft.as_file(), Some(old.uid()), Some(old.gid()))?;
    }
    draft.as_file().set_permissions(old.permissions())
}
