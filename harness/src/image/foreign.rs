//! An image that somebody else made: one that Docker has, or an archive of one.

use std::fs::File;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::{ImageName, ImageNameError};
use crate::docker::{Docker, DockerError};
use crate::tool::ToolError;

/// An image that is not made here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForeignImage {
    name: ImageName,
    archive: Option<Utf8PathBuf>,
}

/// Why an image of somebody else's cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignImageError {
    /// The archive cannot be read, or is none.
    #[error("the image archive `{path}` cannot be read")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// It is a tar, and not of an image.
    #[error("`{path}` is no image archive: there is no `manifest.json` in it that can be read")]
    NoManifest {
        /// The file.
        path: Utf8PathBuf,
    },
    /// Its image has no name.
    #[error("the image in `{path}` has no name")]
    NoName {
        /// The file.
        path: Utf8PathBuf,
    },
    /// Its image's name is none that can be deployed.
    #[error("the image in `{path}` is called `{name}`")]
    Name {
        /// The file.
        path: Utf8PathBuf,
        /// The name.
        name: String,
        /// What is wrong with it.
        source: ImageNameError,
    },
    /// Docker does not have it.
    #[error("Docker has no image `{name}`")]
    NotThere {
        /// The image.
        name: ImageName,
    },
    /// Docker cannot be asked, or does not give it.
    #[error(transparent)]
    Docker(#[from] DockerError),
}

impl ForeignImageError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Docker(error) => error.hint(),
            Self::NotThere { name } => Some(format!(
                "`docker pull {name}`, or build it; or give the file that `docker save` makes"
            )),
            Self::NoManifest { .. } | Self::NoName { .. } => {
                Some("`docker save --output FILE NAME:TAG` makes one".to_owned())
            }
            Self::Read { .. } | Self::Name { .. } => None,
        }
    }
}

/// One image of an archive's `manifest.json`, as `docker save` writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

impl ForeignImage {
    /// The image of this name that Docker has.
    pub fn of_docker(name: ImageName) -> Self {
        Self {
            name,
            archive: None,
        }
    }

    /// The image in an archive that `docker save` or `tokenlab image build` made; by its first
    /// name.
    pub fn of_archive(path: &Utf8Path) -> Result<Self, ForeignImageError> {
        let entries = entries(path)?;
        let tags = entries.into_iter().filter_map(|entry| entry.repo_tags);
        let Some(name) = tags.flatten().next() else {
            return Err(ForeignImageError::NoName { path: path.into() });
        };
        match name.parse() {
            Ok(parsed) => Ok(Self {
                name: parsed,
                archive: Some(path.to_owned()),
            }),
            Err(source) => Err(ForeignImageError::Name {
                path: path.into(),
                name,
                source,
            }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// Looks whether it is there.
    pub(crate) async fn check(&self, docker: &Docker) -> Result<(), ForeignImageError> {
        if self.archive.is_some() {
            return Ok(());
        }
        let label = docker.image_label(&self.name.to_string(), "").await?;
        match label {
            Some(_) => Ok(()),
            None => Err(ForeignImageError::NotThere {
                name: self.name.clone(),
            }),
        }
    }

    /// Its archive; what Docker has is saved to this file first.
    pub(crate) async fn archive(
        &self,
        docker: &Docker,
        file: Utf8PathBuf,
    ) -> Result<Utf8PathBuf, ForeignImageError> {
        if let Some(archive) = &self.archive {
            return Ok(archive.clone());
        }
        let name = self.name.to_string();
        let platform = match std::env::consts::ARCH {
            "x86_64" => "--platform=linux/amd64",
            _ => "--platform=linux/arm64",
        };
        // From 29 on Docker saves what it has of every platform, and containerd refuses what is
        // missing (kind#3795). Before 28 it knows no such flag.
        let one = ["save", platform, "--output", file.as_str(), &name];
        let all = ["save", "--output", file.as_str(), &name];
        match docker.run(&one).await {
            Ok(_) => Ok(file),
            Err(DockerError::Tool(error @ ToolError::Failed { .. }))
                if error.said().contains("--platform") =>
            {
                docker.run(&all).await?;
                Ok(file)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn entries(path: &Utf8Path) -> Result<Vec<Entry>, ForeignImageError> {
    let read = |source| ForeignImageError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek().map_err(read)? {
        let entry = entry.map_err(read)?;
        if entry.path_bytes().as_ref() == b"manifest.json" {
            return serde_json::from_reader(entry)
                .map_err(|_| ForeignImageError::NoManifest { path: path.into() });
        }
    }
    Err(ForeignImageError::NoManifest { path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().expect("must be made");
        let path = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let path = path.join("image.tar");
        let mut tar = tar::Builder::new(File::create(&path).expect("must be made"));
        for (name, text) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            let appended = tar.append_data(&mut header, name, text.as_bytes());
            appended.expect("must be written");
        }
        tar.finish().expect("must be written");
        (folder, path)
    }

    #[test]
    fn an_archive_names_its_image() {
        let manifest = r#"[{"Config":"x","RepoTags":["localhost:5000/mine:v2"],"Layers":[]}]"#;
        let (_folder, path) = archive(&[("blobs", "x"), ("manifest.json", manifest)]);
        let image = ForeignImage::of_archive(&path).expect("is one");
        assert_eq!(image.name().to_string(), "localhost:5000/mine:v2");
    }

    #[test]
    fn what_is_no_archive_of_a_named_image_is_told_apart() {
        let refused = |files: &[(&str, &str)]| {
            let (_folder, path) = archive(files);
            ForeignImage::of_archive(&path).expect_err("must be refused")
        };
        let none = refused(&[("manifest.json", r#"[{"RepoTags":null}]"#)]);
        assert!(matches!(none, ForeignImageError::NoName { .. }), "{none}");
        let other = refused(&[("file", "x")]);
        assert!(
            matches!(other, ForeignImageError::NoManifest { .. }),
            "{other}"
        );
        let broken = refused(&[("manifest.json", "{")]);
        assert!(
            matches!(broken, ForeignImageError::NoManifest { .. }),
            "{broken}"
        );
        let missing = ForeignImage::of_archive("/nowhere/image.tar".into());
        assert!(matches!(missing, Err(ForeignImageError::Read { .. })));
        let text = tempfile::NamedTempFile::new().expect("must be made");
        std::fs::write(text.path(), "no tar".repeat(200)).expect("must be written");
        let path = Utf8Path::from_path(text.path()).expect("must be UTF-8");
        let text = ForeignImage::of_archive(path);
        assert!(
            matches!(text, Err(ForeignImageError::Read { .. })),
            "{text:?}"
        );
    }
}
