//! The archive of the control plane's images, for `ctr images import`: an OCI image layout in
//! one tar (OCI image specification 1.1, `image-layout.md`), its layers not compressed.

use std::fs::File;
use std::io;

use camino::Utf8Path;
use serde_json::{Value, json};

use crate::digest::sha256;

/// One image: nothing but the files that it runs.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    /// Its name in full: `registry.k8s.io/pause:3.10.2`.
    pub(crate) name: String,
    /// What it runs when nothing else is said.
    pub(crate) entrypoint: &'a str,
    /// The tar below its program, where there is one.
    pub(crate) base: Option<&'a [u8]>,
    /// The program, and its path in the image.
    pub(crate) program: (&'a Utf8Path, &'a str),
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Writes the archive. `architecture` is Go's word for it (`amd64`).
pub(crate) fn write(path: &Utf8Path, architecture: &str, images: &[Image<'_>]) -> io::Result<()> {
    let mut archive = Archive(tar::Builder::new(io::BufWriter::new(File::create(path)?)));
    let mut manifests = Vec::new();
    for image in images {
        manifests.push(archive.image(architecture, image)?);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    archive.file("index.json", index.to_string().as_bytes())?;
    archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    archive.0.into_inner()?.into_inner()?.sync_all()
}

struct Archive(tar::Builder<io::BufWriter<File>>);

impl Archive {
    fn image(&mut self, architecture: &str, image: &Image<'_>) -> io::Result<Value> {
        let mut layers = Vec::new();
        if let Some(base) = image.base {
            layers.push(self.blob(LAYER, base)?);
        }
        let (program, inside) = image.program;
        layers.push(self.blob(LAYER, &layer(program, inside)?)?);
        let ids: Vec<_> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Entrypoint": [image.entrypoint], "Env": [PATH] },
            "rootfs": { "type": "layers", "diff_ids": ids },
        });
        let config = self.blob(CONFIG, config.to_string().as_bytes())?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let mut manifest = self.blob(MANIFEST, manifest.to_string().as_bytes())?;
        // What `ctr images import` takes for the name.
        manifest["annotations"] = json!({ "io.containerd.image.name": image.name });
        manifest["platform"] = json!({ "architecture": architecture, "os": "linux" });
        Ok(manifest)
    }

    /// Writes a blob, and returns its descriptor.
    fn blob(&mut self, media_type: &str, bytes: &[u8]) -> io::Result<Value> {
        let digits = sha256(bytes);
        self.file(&format!("blobs/sha256/{digits}"), bytes)?;
        let digest = format!("sha256:{digits}");
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        append(&mut self.0, name, 0o644, bytes)
    }
}

fn layer(program: &Utf8Path, inside: &str) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut tmp = header(0o1777, 0);
    tmp.set_entry_type(tar::EntryType::Directory);
    tar.append_data(&mut tmp, "tmp/", io::empty())?;
    append(&mut tar, inside, 0o755, &std::fs::read(program)?)?;
    tar.into_inner()
}

fn append<W: io::Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    tar.append_data(&mut header(mode, bytes.len()), name, bytes)
}

/// A file of root, made long ago: the same programs give the same bytes.
fn header(mode: u32, size: usize) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size as u64);
    header
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_archive_names_its_images_and_its_digests_are_right() {
        let folder = tempfile::tempdir().expect("must be made");
        let folder = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let (program, archive) = (folder.join("pause"), folder.join("images.tar"));
        std::fs::write(&program, "a program").expect("must be written");
        let base = layer(&program, "base").expect("must be packed");
        let image = Image {
            name: "registry.k8s.io/pause:3.10.2".to_owned(),
            entrypoint: "/pause",
            base: Some(&base),
            program: (&program, "pause"),
        };
        write(&archive, "amd64", &[image]).expect("must be written");

        let mut files = BTreeMap::new();
        let mut tar = tar::Archive::new(File::open(&archive).expect("must be there"));
        for entry in tar.entries().expect("must be read") {
            let mut entry = entry.expect("must be read");
            let path = entry.path().expect("must be a path").display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("must be read");
            if let Some(name) = path.strip_prefix("blobs/sha256/") {
                assert_eq!(name, sha256(&bytes));
            }
            files.insert(path, bytes);
        }
        let read = |path: &str| -> Value {
            let path = path.replace("sha256:", "blobs/sha256/");
            serde_json::from_slice(&files[&path]).expect("must be JSON")
        };
        let index = read("index.json");
        let entry = &index["manifests"][0];
        assert_eq!(
            entry["annotations"]["io.containerd.image.name"],
            "registry.k8s.io/pause:3.10.2"
        );
        let manifest = read(entry["digest"].as_str().expect("must be text"));
        let config = read(manifest["config"]["digest"].as_str().expect("must be text"));
        assert_eq!(config["config"]["Entrypoint"], json!(["/pause"]));
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([
                manifest["layers"][0]["digest"],
                manifest["layers"][1]["digest"]
            ])
        );
    }
}
