//! Docker by its command line, and images that go when a test ends.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use camino::Utf8Path;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{Image, ImageName, fresh_token};

/// Runs `docker …` to its end, which must be a success, and gives what it printed.
pub(crate) fn docker(args: &[&str]) -> Vec<u8> {
    run(Command::new("docker").args(args), &[])
}

/// The same, as a text.
pub(crate) fn docker_text(args: &[&str]) -> String {
    let text = String::from_utf8(docker(args)).expect("must be UTF-8");
    text.trim().to_owned()
}

fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = (command.stdin(Stdio::piped()).stdout(Stdio::piped()))
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker must be there where LAB_BACKEND asks for containers");
    let mut stdin = child.stdin.take().expect("must be a pipe");
    // One that fails early reads nothing: its own words below tell more than this pipe's end.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().expect("must end");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    output.stdout
}

/// An image in the engine, under a name that nobody else has. Dropped, also by a panic, the
/// name and the image go.
pub(crate) struct Loaded {
    pub(crate) name: ImageName,
}

impl Loaded {
    /// The name for an image that is yet to come.
    pub(crate) fn new() -> Self {
        let token = fresh_token();
        let name = token.expose().to_ascii_lowercase();
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = format!("tokenlab.test/{name}:v0.1");
        Self {
            name: name.parse().expect("must be a name"),
        }
    }

    /// Loads an archive.
    pub(crate) fn load(image: &Image) -> Self {
        let loaded = Self {
            name: image.name().clone(),
        };
        let said = run(Command::new("docker").arg("load"), image.archive());
        let said = String::from_utf8_lossy(&said);
        assert_eq!(said.trim(), format!("Loaded image: {}", loaded.name));
        loaded
    }

    /// Builds it from a Dockerfile's folder, without `BuildKit`: that is not everywhere.
    pub(crate) fn build(folder: &Utf8Path) -> Self {
        let built = Self::new();
        let tag = built.name.to_string();
        let mut command = Command::new("docker");
        command.args(["build", "--tag", &tag, folder.as_str()]);
        run(command.env("DOCKER_BUILDKIT", "0"), &[]);
        built
    }

    /// A field of `docker image inspect`, as JSON.
    pub(crate) fn inspect(&self, field: &str) -> serde_json::Value {
        let format = format!("{{{{json {field}}}}}");
        let name = self.name.to_string();
        let text = docker(&["image", "inspect", "--format", &format, &name]);
        serde_json::from_slice(&text).expect("must be JSON")
    }

    /// The files of its layers: path, mode, owner and contents.
    pub(crate) fn files(&self) -> Vec<(String, u32, u64, u64, Vec<u8>)> {
        let archive = docker(&["save", &self.name.to_string()]);
        let files: BTreeMap<_, _> = (entries(&archive).into_iter())
            .map(|(path, _, _, _, bytes)| (path, bytes))
            .collect();
        let manifest: serde_json::Value =
            serde_json::from_slice(&files["manifest.json"]).expect("must be JSON");
        let layers = manifest[0]["Layers"].as_array().expect("must be a list");
        let layers = layers
            .iter()
            .map(|layer| layer.as_str().expect("must be a path"));
        layers.flat_map(|layer| entries(&files[layer])).collect()
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // One that did not come to be is not there to be removed.
        let _ = Command::new("docker")
            .args(["image", "rm", "--force", &self.name.to_string()])
            .stdin(Stdio::null())
            .output();
    }
}

fn entries(archive: &[u8]) -> Vec<(String, u32, u64, u64, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("must be a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("must be whole");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("must be whole");
            let path = entry.path().expect("must have a path");
            let path = path.to_str().expect("must be UTF-8").to_owned();
            let header = entry.header();
            let mode = header.mode().expect("must have a mode") & 0o7777;
            let uid = header.uid().expect("must have a user");
            let gid = header.gid().expect("must have a group");
            (path, mode, uid, gid, bytes)
        })
        .collect()
}

/// The real image, under a name of the test's own. Cargo sees to it that the program is built
/// once.
pub(crate) async fn image() -> Image {
    let name = Loaded::new();
    let image = Image::builder().name(name.name.clone());
    let image = image.progress(Progress::stderr()).build().await;
    image.expect("must be built")
}
