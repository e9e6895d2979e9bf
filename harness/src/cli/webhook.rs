//! Somebody else's webhook, by flags.

use std::borrow::Cow;

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};
use tokenlab_harness::named::SpecWebhook;
use tokenlab_harness::{
    Backend, ClusterWebhook, Elsewhere, ForeignContainer, ForeignImage, ImageName, WebhookCommand,
    WebhookPath, WebhookSource, WebhookUrl, WebhookUrlError, Words,
};
use tokenlab_webhook::Token;

use super::token;

/// The tutorial's token: base64 of `demmo-password`. The slip is the tutorial's.
pub(super) const TOKEN: &str = "ZGVtbW8tcGFzc3dvcmQ=";

const HEADING: &str = "Your own webhook";

/// A webhook that is not the lab's own.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub(super) struct Foreign {
    /// The webhook that runs at this URL, with its path: `https://127.0.0.1:8443/authenticate`
    #[arg(long, help_heading = HEADING, value_name = "URL", group = "webhook", requires = "ca")]
    // Read in `check`: clap would print what it is not content with, and there may be a password in it.
    webhook_url: Option<String>,

    /// The authority of its certificate (PEM)
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "webhook_url")]
    ca: Option<Utf8PathBuf>,

    /// The certificate that the apiserver shows it (PEM)
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires_all = ["webhook_url", "client_key"])]
    client_cert: Option<Utf8PathBuf>,

    /// The key of that certificate (PEM, not encrypted)
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires_all = ["webhook_url", "client_cert"])]
    client_key: Option<Utf8PathBuf>,

    /// The name in its certificate, when that is not the URL's host
    #[arg(long, help_heading = HEADING, value_name = "NAME", requires = "webhook_url")]
    server_name: Option<String>,

    /// Do not look whether it answers before the apiserver is started
    #[arg(long, help_heading = HEADING, requires = "webhook_url")]
    no_probe: bool,

    /// A command that starts the webhook, and is ended with the lab. No shell runs it, and it is
    /// shown in errors: no secret belongs there. `{port}`, `{address}`, `{cert}`, `{key}` and `{dir}`
    /// in it are replaced; its environment has them too: `TOKENLAB_WEBHOOK_PORT`,
    /// `TOKENLAB_WEBHOOK_ADDRESS`, `TOKENLAB_WEBHOOK_TLS_CERT_FILE`, `TOKENLAB_WEBHOOK_TLS_KEY_FILE`,
    /// `TOKENLAB_WEBHOOK_DIR`
    #[arg(long, help_heading = HEADING, value_name = "COMMAND", group = "webhook")]
    webhook_command: Option<Words>,

    /// An image of it, for a real cluster: one that Docker has, or the file that `docker save` makes.
    /// Its container, run as user 65532, has the same variables in its environment
    #[arg(long, help_heading = HEADING, value_name = "IMAGE|FILE", group = "webhook")]
    webhook_image: Option<String>,

    /// The arguments of its container, with the same placeholders [default: those of the image]
    #[arg(
        long,
        help_heading = HEADING,
        value_name = "ARGS",
        requires = "webhook_image",
        allow_hyphen_values = true
    )]
    webhook_args: Option<Words>,

    /// The port that its container listens on [default: 8443]
    #[arg(long, help_heading = HEADING, value_name = "PORT", requires = "webhook_image", value_parser = clap::value_parser!(u16).range(1..))]
    webhook_port: Option<u16>,

    /// Where its container finds `tls.crt` and `tls.key` [default: /run/tokenlab-webhook/tls]
    #[arg(long, help_heading = HEADING, value_name = "DIR", requires = "webhook_image", value_parser = folder)]
    webhook_cert_dir: Option<Utf8PathBuf>,

    /// Where it takes reviews [default: /authenticate]
    #[arg(
        long,
        help_heading = HEADING,
        value_name = "PATH",
        conflicts_with = "webhook_url",
        requires = "webhook"
    )]
    webhook_path: Option<WebhookPath>,
}

/// The token that somebody else's webhook is asked about.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub(super) struct Tried {
    /// The file with the token to try, `-` for the standard input [default: the tutorial's token]
    #[arg(
        long,
        help_heading = HEADING,
        value_name = "FILE",
        requires = "webhook",
        conflicts_with = "token"
    )]
    token_file: Option<Utf8PathBuf>,

    /// The token to try; everybody on this machine can read it in the list of processes
    #[arg(long, help_heading = HEADING, value_name = "TOKEN", requires = "webhook", value_parser = token::parse)]
    token: Option<Token>,
}

impl Foreign {
    /// Whether it is not the lab's own.
    pub(super) fn is_given(&self) -> bool {
        self.webhook_url.is_some() || self.webhook_command.is_some() || self.webhook_image.is_some()
    }

    fn url(&self) -> Option<Result<WebhookUrl, WebhookUrlError>> {
        self.webhook_url.as_deref().map(str::parse)
    }

    /// What is wrong with its URL, or a flag that this backend can do nothing with and what would do.
    pub(super) fn unfit(&self, backend: Backend) -> Option<Cow<'static, str>> {
        if let Some(Err(error)) = self.url() {
            return Some(format!("`--webhook-url` cannot be used: {error}").into());
        }
        let said = match backend {
            Backend::Bare if self.webhook_image.is_some() => Some(
                "`--webhook-image` is for a real cluster: add `--backend kind`, or start it by \
                 `--webhook-command`",
            ),
            Backend::Existing if self.is_elsewhere() => Some(
                "`--webhook-url` with `--backend existing` leaves nothing to do: point the apiserver to it",
            ),
            Backend::Kind | Backend::K3s | Backend::Existing if self.webhook_command.is_some() => {
                Some(
                    "`--webhook-command` is for the bare backend: a cluster runs a `--webhook-image`",
                )
            }
            Backend::Bare | Backend::Kind | Backend::K3s | Backend::Existing => None,
        };
        said.map(Cow::Borrowed)
    }

    /// What a named lab makes of it.
    pub(super) fn spec(&self, backend: Backend) -> anyhow::Result<Option<SpecWebhook>> {
        Ok(match (backend, self.command()) {
            (Backend::Bare, Some(command)) => Some(SpecWebhook::Command(command)),
            (Backend::Bare, None) => self.elsewhere()?.map(SpecWebhook::Elsewhere),
            (Backend::Kind | Backend::K3s, _) => self.for_cluster()?.map(SpecWebhook::Cluster),
            (Backend::Existing, _) => {
                let image = self.for_existing()?;
                image.map(|(image, container)| SpecWebhook::Existing(image, container))
            }
        })
    }

    fn command(&self) -> Option<WebhookCommand> {
        let command = WebhookCommand::new(self.webhook_command.clone()?);
        Some(command.path(self.webhook_path.clone().unwrap_or_default()))
    }

    /// Whether it runs already.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.webhook_url.is_some()
    }

    /// What a cluster makes of it.
    pub(super) fn for_cluster(&self) -> anyhow::Result<Option<ClusterWebhook>> {
        let Some(image) = &self.webhook_image else {
            return Ok(self.elsewhere()?.map(ClusterWebhook::Elsewhere));
        };
        let container = self.container();
        let file = Utf8Path::new(image);
        let is_file = file.is_file() || file.extension() == Some("tar");
        let image = match image.parse::<ImageName>() {
            _ if is_file => ForeignImage::of_archive(file)?,
            Ok(name) => ForeignImage::of_docker(name),
            Err(error) => bail!("`--webhook-image {image}` names no file and no image: {error}"),
        };
        Ok(Some(ClusterWebhook::Image(image, container)))
    }

    /// What a cluster makes of it that gets its images by itself.
    pub(super) fn for_existing(&self) -> anyhow::Result<Option<(ImageName, ForeignContainer)>> {
        let Some(image) = &self.webhook_image else {
            return Ok(None);
        };
        let image = image.parse::<ImageName>();
        let image = image.with_context(
            || "`--webhook-image` must name an image: a cluster that exists gets it by itself",
        )?;
        Ok(Some((image, self.container())))
    }

    fn container(&self) -> ForeignContainer {
        let usual = ForeignContainer::default();
        ForeignContainer {
            args: self.webhook_args.clone(),
            port: self.webhook_port.unwrap_or(usual.port),
            certificates: (self.webhook_cert_dir.clone()).unwrap_or(usual.certificates),
            path: self.webhook_path.clone().unwrap_or_default(),
        }
    }

    /// What a lab of processes makes of it.
    pub(super) fn source(&self) -> anyhow::Result<Option<WebhookSource>> {
        if let Some(command) = self.command() {
            return Ok(Some(command.into()));
        }
        Ok(self.elsewhere()?.map(WebhookSource::from))
    }

    /// What runs already, with its files read and checked.
    pub(super) fn elsewhere(&self) -> anyhow::Result<Option<Elsewhere>> {
        let (Some(url), Some(ca)) = (self.url().transpose()?, &self.ca) else {
            return Ok(None);
        };
        let webhook = Elsewhere::new(&url, &read("--ca", ca)?);
        let mut webhook = webhook.with_context(|| unusable("--ca", ca))?;
        if let Some(name) = &self.server_name {
            let named = webhook.server_name(name);
            webhook = named.context("`--server-name` cannot be used")?;
        }
        if let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) {
            let (certificate, key) = (
                (certificate, read("--client-cert", certificate)?),
                (key, read("--client-key", key)?),
            );
            webhook = webhook
                .client_certificate(&certificate.1, &key.1)
                .with_context(|| {
                    format!(
                        "`--client-cert {}` with `--client-key {}` cannot be used",
                        certificate.0, key.0
                    )
                })?;
        }
        Ok(Some(webhook.probe(!self.no_probe)))
    }
}

impl Tried {
    /// The token to try.
    pub(super) fn token(&self) -> anyhow::Result<Token> {
        match (&self.token_file, &self.token) {
            (Some(path), _) => token::read(path),
            (None, Some(token)) => token::sendable(token.clone()),
            (None, None) => Ok(Token::from(TOKEN)),
        }
    }
}

fn read(flag: &str, path: &Utf8Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("`{flag} {path}` cannot be read"))
}

fn unusable(flag: &str, path: &Utf8Path) -> String {
    format!("`{flag} {path}` cannot be used")
}

fn folder(text: &str) -> Result<Utf8PathBuf, &'static str> {
    if text.starts_with('/') {
        Ok(text.into())
    } else {
        Err("a path in the container begins with `/`")
    }
}
