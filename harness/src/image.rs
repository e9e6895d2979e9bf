//! The webhook's container image: one static program on nothing, and not root.
//!
//! `webhook/Dockerfile` makes the same image with a container engine. Here it is an archive,
//! written without one.

mod archive;
mod build;
mod cargo;
mod foreign;
mod program;

use camino::{Utf8Path, Utf8PathBuf};

use crate::progress::Progress;

use archive::Archive;
use build::Build;
pub use build::ImageBuildError;
pub use foreign::{ForeignImage, ForeignImageError};
use program::Program;
pub use program::{Architecture, ProgramError};
pub(crate) use tokenlab_webhook::manifests::USER;
pub use tokenlab_webhook::manifests::{IMAGE_NAME, ImageName, ImageNameError};

/// What the image shall be. By default it has the program of the workspace that this crate was
/// compiled from, and the tutorial's name.
#[derive(Debug)]
#[must_use]
pub struct ImageBuilder {
    name: ImageName,
    program: Option<Utf8PathBuf>,
    cargo: Option<Utf8PathBuf>,
    workspace: Utf8PathBuf,
    ldap: bool,
    progress: Progress,
}

/// The image, as an archive in memory: some 6 MB, nothing compressed.
#[derive(Debug)]
pub struct Image {
    name: ImageName,
    program: Utf8PathBuf,
    architecture: Architecture,
    program_size: usize,
    archive: Archive,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The program was not built.
    #[error(transparent)]
    Build(#[from] ImageBuildError),
    /// The program is no good.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

impl ImageError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Build(error) => error.hint(),
            Self::Program(error) => error.hint(),
        }
    }
}

impl ImageBuilder {
    /// Its name.
    pub fn name(mut self, name: ImageName) -> Self {
        self.name = name;
        self
    }

    /// A ready program, static and for Linux; nothing is built then.
    pub fn program(mut self, program: impl Into<Utf8PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// The cargo that builds; by default the one that runs this process (`CARGO`), else the one
    /// on `PATH`.
    pub fn cargo(mut self, cargo: impl Into<Utf8PathBuf>) -> Self {
        self.cargo = Some(cargo.into());
        self
    }

    /// Another workspace with a package `tokenlab-webhook` in `webhook/`, which has a feature `image`,
    /// and a profile of that name.
    pub fn workspace(mut self, workspace: impl Into<Utf8PathBuf>) -> Self {
        self.workspace = workspace.into();
        self
    }

    /// Whether the program that is built can ask an LDAP directory. By default it cannot, and is
    /// smaller by that.
    pub fn ldap(mut self, ldap: bool) -> Self {
        self.ldap = ldap;
        self
    }

    /// Where to show how far it is; nowhere by default.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Builds the program, unless one was given, and makes the archive. Dropped before its end,
    /// it ends cargo and the compilers.
    pub async fn build(self) -> Result<Image, ImageError> {
        let Self {
            name,
            program,
            cargo,
            workspace,
            ldap,
            progress,
        } = self;
        let path = if let Some(path) = program {
            path
        } else {
            let build = Build {
                cargo: cargo.as_deref(),
                workspace: &workspace,
                ldap,
                progress: &progress,
            };
            build.run().await?
        };
        let program = Program::read(&path)?;
        Ok(Image {
            archive: Archive::new(&name, &program),
            name,
            program: path,
            architecture: program.architecture,
            program_size: program.bytes.len(),
        })
    }
}

impl Image {
    /// An image with every default.
    pub fn builder() -> ImageBuilder {
        ImageBuilder {
            name: ImageName::default(),
            program: None,
            cargo: None,
            workspace: build::own_workspace().to_owned(),
            ldap: false,
            progress: Progress::hidden(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// The program that is in it.
    pub fn program(&self) -> &Utf8Path {
        &self.program
    }

    /// The program's size, in bytes.
    pub fn program_size(&self) -> usize {
        self.program_size
    }

    /// The processor that it is for.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// The digest of its configuration: what `docker image inspect` calls `Id`.
    pub fn id(&self) -> &str {
        &self.archive.id
    }

    /// The digest of its manifest: what a registry and containerd know it by.
    pub fn digest(&self) -> &str {
        &self.archive.digest
    }

    /// The digest of its one layer, uncompressed.
    pub fn layer(&self) -> &str {
        &self.archive.layer
    }

    /// The tar that `docker load`, `ctr images import` and `k3s ctr images import` read. The
    /// same program and name give the same bytes.
    pub fn archive(&self) -> &[u8] {
        &self.archive.bytes
    }
}
