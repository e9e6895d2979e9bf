//! `tokenlab image`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use serde::Serialize;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{Architecture, IMAGE_NAME, Image, ImageName};

/// Make the webhook's container image, without a container engine
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tokenlab image build                              authn-webhook-v0.1.tar
  tokenlab image build --out - | docker load
  tokenlab image build --out - | sudo k3s ctr images import -
  tokenlab image build --tag registry.example/authn:v2 --out authn.tar
  kind load image-archive authn-webhook-v0.1.tar";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Build the program and write the image as an archive
    ///
    /// The program is linked statically by the cargo that is here, which takes two minutes when
    /// nothing is compiled yet. The archive is an OCI image layout with Docker's manifest.json
    /// beside it; the same program and tag give the same bytes.
    #[command(after_help = EXAMPLES)]
    Build(Build),
}

#[derive(Debug, clap::Args)]
struct Build {
    /// The file to write, `-` for standard output [default: by the tag, authn-webhook-v0.1.tar]
    #[arg(long, value_name = "FILE.tar")]
    out: Option<Utf8PathBuf>,

    /// The image's name
    #[arg(long, value_name = "NAME[:TAG]", default_value = IMAGE_NAME)]
    tag: ImageName,

    /// A ready tokenlab-webhook, static and for Linux, instead of building one
    #[arg(long, value_name = "FILE")]
    program: Option<Utf8PathBuf>,

    /// Build one that can ask an LDAP directory, which makes it larger
    #[arg(long, conflicts_with = "program")]
    ldap: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    image: String,
    file: &'a str,
    architecture: Architecture,
    id: &'a str,
    digest: &'a str,
    layer: &'a str,
    bytes: usize,
    program: &'a str,
    program_bytes: usize,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self { command } = self;
        match command {
            Command::Build(build) => build.run().await,
        }
    }
}

impl Build {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            out,
            tag,
            program,
            ldap,
            json,
        } = self;
        let to_stdout = out.as_deref().is_some_and(|out| out == "-");
        if to_stdout && json {
            return wrong("the archive and `--json` cannot both go to standard output");
        }
        if to_stdout && std::io::stdout().is_terminal() {
            return wrong("the archive is no text for a terminal: redirect it, or name a file");
        }
        if let Some(out) = out.as_deref().filter(|_| !to_stdout) {
            super::file::check(out)?;
        }
        let mut builder = Image::builder()
            .name(tag)
            .ldap(ldap)
            .progress(Progress::stderr());
        if let Some(program) = program {
            builder = builder.program(program);
        }
        let image = builder.build().await?;
        if to_stdout {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(image.archive())?;
            stdout.flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        let name = image.name();
        let out = out.unwrap_or_else(|| format!("{}-{}.tar", name.base(), name.tag()).into());
        super::file::place(&out, image.archive())?;
        let text = if json {
            serde_json::to_string_pretty(&Report {
                image: name.to_string(),
                file: out.as_str(),
                architecture: image.architecture(),
                id: image.id(),
                digest: image.digest(),
                layer: image.layer(),
                bytes: image.archive().len(),
                program: image.program().as_str(),
                program_bytes: image.program_size(),
            })?
        } else {
            let size = image.archive().len();
            format!(
                "{name} for linux/{}, {}.{:02} MB: {out}\n{}",
                image.architecture(),
                size / 1_000_000,
                size % 1_000_000 / 10_000,
                image.id()
            )
        };
        writeln!(std::io::stdout(), "{text}")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A wrong usage that clap cannot see.
fn wrong(text: &str) -> anyhow::Result<ExitCode> {
    let error = super::Args::command().error(ErrorKind::ArgumentConflict, text);
    error.print()?;
    Ok(ExitCode::from(2))
}
