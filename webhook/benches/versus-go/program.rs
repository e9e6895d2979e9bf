//! The programs that are measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokenlab_webhook::pki::CertificateAuthority;
use tokio::process::Command;

use crate::case::Body;
use crate::server::Server;

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// A server to be measured. They differ in how they are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tokenlab,
    TokenlabQuiet,
    NetHttp,
    ControllerRuntime,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Tokenlab,
        Self::TokenlabQuiet,
        Self::NetHttp,
        Self::ControllerRuntime,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tokenlab => "tokenlab",
            Self::TokenlabQuiet => "tokenlab, no log",
            Self::NetHttp => "Go net/http",
            Self::ControllerRuntime => "controller-runtime",
        }
    }
}

/// All of them, built, and the files that they and the loads read.
#[derive(Debug)]
pub(crate) struct Programs {
    tokenlab: PathBuf,
    net_http: PathBuf,
    controller_runtime: PathBuf,
    pub(crate) folder: TempDir,
}

impl Programs {
    /// Builds what is not given.
    pub(crate) async fn build(tokenlab: Option<PathBuf>) -> anyhow::Result<Self> {
        for (program, package) in [
            ("taskset", "util-linux"),
            ("h2load", "apt-get install nghttp2-client"),
            ("oha", "cargo install oha --locked"),
        ] {
            let asked = output(Command::new(program).arg("--version")).await;
            asked.with_context(|| format!("`{program}` is needed ({package})"))?;
        }
        let tokenlab = match tokenlab {
            Some(path) => std::path::absolute(path)?,
            None => for_the_image().await?,
        };
        let programs = Self {
            tokenlab,
            net_http: peer("net-http").await?,
            controller_runtime: peer("controller-runtime").await?,
            folder: tempfile::tempdir()?,
        };
        programs.write_files()?;
        Ok(programs)
    }

    fn write_files(&self) -> anyhow::Result<()> {
        let authority = CertificateAuthority::new("versus-go")?;
        let certificate = authority.serving(&["127.0.0.1"])?;
        for (name, content) in [
            ("ca.crt", authority.certificate_pem()),
            ("tls.crt", certificate.certificate_pem()),
            ("tls.key", certificate.key_pem()),
        ] {
            std::fs::write(self.file(name), content)?;
        }
        for body in [Body::Small, Body::Large] {
            std::fs::write(body.file(self.folder.path()), body.text())?;
        }
        Ok(())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn start(&self, kind: Kind) -> anyhow::Result<Server> {
        let server = Server::start(|address| self.command(kind, address));
        server.await.with_context(|| kind.name())
    }

    fn command(&self, kind: Kind, address: SocketAddr) -> Vec<String> {
        let address = address.to_string();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (certificate, key) = (text(&self.file("tls.crt")), text(&self.file("tls.key")));
        let ours = |log: &str| {
            let serve = ["serve", "--mock", "--log", log, "--listen", &address];
            let files = [
                "--tls-cert-file",
                &certificate,
                "--tls-private-key-file",
                &key,
            ];
            let program = ["env", environment(), &text(&self.tokenlab)];
            [&program[..], &serve, &files]
                .concat()
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        let peers = |program: &Path| {
            let words = [
                &text(program),
                "-listen",
                &address,
                "-cert",
                &certificate,
                "-key",
                &key,
            ];
            words.map(ToOwned::to_owned).to_vec()
        };
        match kind {
            Kind::Tokenlab => ours("info"),
            Kind::TokenlabQuiet => ours("warn"),
            Kind::NetHttp => peers(&self.net_http),
            Kind::ControllerRuntime => peers(&self.controller_runtime),
        }
    }

    /// The program's size in MB. An image is little more: it has no other file.
    pub(crate) fn size(&self, kind: Kind) -> anyhow::Result<f64> {
        let path = match kind {
            Kind::Tokenlab | Kind::TokenlabQuiet => &self.tokenlab,
            Kind::NetHttp => &self.net_http,
            Kind::ControllerRuntime => &self.controller_runtime,
        };
        let length = u32::try_from(path.metadata()?.len())?;
        Ok(f64::from(length) / 1e6)
    }

    /// What is compared, with what.
    pub(crate) async fn versions(&self) -> anyhow::Result<String> {
        let ours = output(Command::new(&self.tokenlab).arg("--version")).await?;
        let go = output(Command::new("go").args(["env", "GOVERSION"])).await?;
        let h2load = output(Command::new("h2load").arg("--version")).await?;
        let oha = output(Command::new("oha").arg("--version")).await?;
        let module = include_str!("../peers/go.mod");
        let runtime = (module.lines())
            .find_map(|line| line.split_once("sigs.k8s.io/controller-runtime "))
            .map_or("unknown", |(_, version)| version);
        Ok(format!(
            "{ours}, {go}, controller-runtime {runtime}, {h2load}, {oha}"
        ))
    }
}

/// With what our program's image starts it.
fn environment() -> &'static str {
    let mut lines = include_str!("../../Dockerfile").lines();
    let set = lines.find_map(|line| line.strip_prefix("ENV "));
    set.expect("the Dockerfile must set a variable")
}

/// Our program, built as `cargo lab image build` builds it: what one of them compiled, the other
/// finds ready.
async fn for_the_image() -> anyhow::Result<PathBuf> {
    eprintln!("building tokenlab-webhook for the image (minutes the first time)");
    let workspace = Path::new(PACKAGE).parent().context("no workspace")?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let flags = [
        "-Ctarget-feature=+crt-static".to_owned(),
        // Without it each address in the program's data takes 24 octets more in its file.
        "-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned(),
        format!("--remap-path-prefix={}=/tokenlab", workspace.display()),
        format!(
            "--remap-path-prefix={}=/cargo",
            home.unwrap_or_default().display()
        ),
    ];
    let mut command = Command::new(cargo);
    command
        .args(["build", "--locked", "--package", "tokenlab-webhook"])
        .args(["--bin", "tokenlab-webhook", "--profile", "image"])
        .args(["--no-default-features", "--features", "image"])
        .args(["--target", &target])
        .current_dir(workspace)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    run(&mut command).await?;
    // Cargo gives benchmarks `target/tmp`.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Ok(folder.with_file_name(target).join("image/tokenlab-webhook"))
}

/// A peer, static and stripped as for an image.
async fn peer(name: &str) -> anyhow::Result<PathBuf> {
    eprintln!("building {name} (minutes the first time)");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("versus-go-{name}"));
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(&program)
        .arg(format!("./{name}"))
        .current_dir(Path::new(PACKAGE).join("benches/peers"))
        .env("CGO_ENABLED", "0");
    run(&mut go).await?;
    Ok(program)
}

fn name(command: &Command) -> String {
    let program = command.as_std().get_program();
    program.to_string_lossy().into_owned()
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = name(command);
    let ran = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    let status = ran.with_context(|| format!("`{name}` cannot be run"))?;
    if !status.success() {
        bail!("`{name}` failed: {status}");
    }
    Ok(())
}

/// A command's standard output without the line's end; it must succeed.
pub(crate) async fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = name(command);
    let ran = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let Output {
        status,
        stdout,
        stderr,
    } = ran.with_context(|| format!("`{name}` cannot be run"))?;
    if !status.success() {
        bail!(
            "`{name}` failed: {status}\n{}",
            String::from_utf8_lossy(&stderr)
        );
    }
    Ok(String::from_utf8(stdout)?.trim_end().to_owned())
}
