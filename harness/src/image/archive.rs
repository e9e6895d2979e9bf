//! An image as one tar that every engine loads.
//!
//! It is an OCI image layout (`oci-layout`, `index.json`, `blobs/`; OCI image specification
//! 1.1, `image-layout.md`), which containerd, k3s and newer Dockers read, with Docker's own
//! `manifest.json` beside it, which older ones read (Docker image specification 1.2). Both
//! name the same blobs. Docker 25 and newer save images in this form themselves.
//!
//! The same program and name give the same bytes: nothing in it tells when, where or by whom it
//! was written.

use std::collections::BTreeMap;

use serde::Serialize;
use tokenlab_webhook::manifests::{ImageName, PORT, USER};

use super::program::{Architecture, Program};
use crate::digest::sha256;

/// Where the program lies in the image.
const PROGRAM: &str = "tokenlab-webhook";

/// What Docker's builder gives every image on Linux (`moby/moby`, `system.DefaultPathEnv`).
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How many free pieces of memory of each size a thread keeps at hand, by default 7: fewer than the
/// streams of an HTTP/2 connection, whose requests end together (glibc's manual, "Memory Allocation
/// Tunables"). It saves some hundredths of a small review's processor time for half a MiB; 127 saved
/// twice as much for 2 MiB.
const ALLOCATOR: &str = "GLIBC_TUNABLES=glibc.malloc.tcache_count=16";

/// The label by which what is of tokenlab can be found, as on Kubernetes' objects.
const LABELS: [(&str, &str); 2] = [
    ("org.opencontainers.image.title", "tokenlab-webhook"),
    (crate::manifests::LABEL, crate::manifests::LABEL_VALUE),
];

const LONG_AGO: &str = "1970-01-01T00:00:00Z";

/// The whole image, in memory: the program is a few megabytes.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) bytes: Vec<u8>,
    /// The digest of the configuration, by which Docker knows the image.
    pub(super) id: String,
    /// The digest of the manifest, by which registries and containerd know it.
    pub(super) digest: String,
    /// The digest of the layer.
    pub(super) layer: String,
}

impl Archive {
    pub(super) fn new(name: &ImageName, program: &Program) -> Self {
        let layer = Blob::new(tar([(PROGRAM.to_owned(), 0o755, &program.bytes)]));
        let config = Blob::json(&Configuration::new(program.architecture, &layer));
        let manifest = Blob::json(&Manifest {
            schema_version: 2,
            media_type: MANIFEST,
            config: Descriptor::new(CONFIG, &config),
            layers: [Descriptor::new(LAYER, &layer)],
        });
        let index = json(&Index {
            schema_version: 2,
            media_type: "application/vnd.oci.image.index.v1+json",
            manifests: [Descriptor {
                annotations: BTreeMap::from([
                    // What `ctr images import` and `docker load` with containerd's store read.
                    ("io.containerd.image.name", name.in_full()),
                    ("org.opencontainers.image.ref.name", name.tag().to_owned()),
                ]),
                platform: Some(Platform {
                    architecture: program.architecture,
                    os: "linux",
                }),
                ..Descriptor::new(MANIFEST, &manifest)
            }],
        });
        let docker = json(&[DockerManifest {
            config: config.path(),
            repo_tags: [name.to_string()],
            layers: [layer.path()],
        }]);
        let layout = json(&Layout {
            image_layout_version: "1.0.0",
        });
        let mut files: Vec<_> = [&layer, &config, &manifest]
            .map(|blob| (blob.path(), 0o644, &blob.bytes))
            .into();
        files.sort();
        files.extend([
            ("index.json".to_owned(), 0o644, &index),
            ("manifest.json".to_owned(), 0o644, &docker),
            ("oci-layout".to_owned(), 0o644, &layout),
        ]);
        Self {
            bytes: tar(files),
            id: config.digest(),
            digest: manifest.digest(),
            layer: layer.digest(),
        }
    }
}

/// Files of root, made long ago, in the order given.
fn tar<'a>(files: impl IntoIterator<Item = (String, u32, &'a Vec<u8>)>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, mode, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes.as_slice())
            .expect("memory takes what is written");
    }
    tar.into_inner().expect("memory takes what is written")
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data always serialises")
}

/// A file that is named by its SHA-256.
struct Blob {
    bytes: Vec<u8>,
    hex: String,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let hex = sha256(&bytes);
        Self { bytes, hex }
    }

    fn json(value: &impl Serialize) -> Self {
        Self::new(json(value))
    }

    fn digest(&self) -> String {
        format!("sha256:{}", self.hex)
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.hex)
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

// Structs and not `serde_json::json!`: the order of its keys depends on which features of
// serde_json others ask for.

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
}

impl<'a> Descriptor<'a> {
    fn new(media_type: &'a str, blob: &Blob) -> Self {
        Self {
            media_type,
            digest: blob.digest(),
            size: blob.bytes.len(),
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

#[derive(Serialize)]
struct Platform {
    architecture: Architecture,
    os: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    repo_tags: [String; 1],
    layers: [String; 1],
}

#[derive(Serialize)]
struct Configuration {
    architecture: Architecture,
    config: Execution,
    created: &'static str,
    history: [History; 1],
    os: &'static str,
    rootfs: RootFs,
}

/// How it is run. `webhook/Dockerfile` says the same.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    user: String,
    exposed_ports: BTreeMap<String, serde_json::Value>,
    env: [&'static str; 2],
    // No default arguments: they would have to say `--mock`, and nobody shall recognise every
    // token by running an image without a thought.
    entrypoint: [String; 1],
    labels: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct History {
    created: &'static str,
    created_by: &'static str,
}

#[derive(Serialize)]
struct RootFs {
    r#type: &'static str,
    diff_ids: [String; 1],
}

impl Configuration {
    fn new(architecture: Architecture, layer: &Blob) -> Self {
        // Go's sets are objects with empty objects.
        let nothing = serde_json::Value::Object(serde_json::Map::new());
        Self {
            architecture,
            config: Execution {
                user: format!("{USER}:{USER}"),
                exposed_ports: BTreeMap::from([(format!("{PORT}/tcp"), nothing)]),
                env: [PATH, ALLOCATOR],
                entrypoint: [format!("/{PROGRAM}")],
                labels: BTreeMap::from(LABELS),
            },
            created: LONG_AGO,
            history: [History {
                created: LONG_AGO,
                created_by: "tokenlab image build",
            }],
            os: "linux",
            rootfs: RootFs {
                r#type: "layers",
                diff_ids: [layer.digest()],
            },
        }
    }
}
