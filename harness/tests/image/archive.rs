//! What is in the archive.

use std::collections::BTreeMap;
use std::io::Read as _;

use rstest::rstest;
use serde_json::Value;
use tokenlab_harness::{Architecture, Image, ImageError, ImageName, ProgramError};

use crate::support::{AMD64, Folder, elf};

async fn image(name: &str, machine: u16) -> Image {
    let folder = Folder::new();
    let program = folder.write("program", elf(machine));
    let name: ImageName = name.parse().expect("must be a name");
    let image = Image::builder().name(name).program(program);
    image.build().await.expect("must be made")
}

/// Each file with how it is stored and its text; programs and layers are no text.
fn listing(archive: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("must be a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("must be whole");
            let path = entry.path().expect("must have a path");
            let path = path.to_str().expect("must be UTF-8").to_owned();
            let header = entry.header();
            let stored = format!(
                "{path} {:o} {}:{} {}",
                header.mode().expect("must have a mode"),
                header.uid().expect("must have a user"),
                header.gid().expect("must have a group"),
                header.mtime().expect("must have a time"),
            );
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("must be whole");
            (stored, String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect()
}

#[tokio::test]
async fn the_same_program_and_name_give_the_same_bytes() {
    let name = "pwk/authn-webhook:v0.1";
    let (one, two) = (image(name, AMD64).await, image(name, AMD64).await);
    assert!(one.archive() == two.archive());
    // Their time, folder and user are other ones by then: nothing of them is in it.
    insta::assert_snapshot!(
        [one.id(), one.digest(), one.layer()].join("\n"),
        @"
    sha256:53a0ef7daad990c98ea736cdd262cf48d603c099f2b672b43a6f95ec2e2e2956
    sha256:64a09345db5d1b6e47ccdbca05acedf164e813e3831ef115c5f18b698a5da348
    sha256:6e1c236f86e05808e09d008ac3a4c334e4282244572536e4a35517065fbbaf12
    ",
    );
    let other = image("pwk/authn-webhook:v0.2", AMD64).await;
    assert!(one.archive() != other.archive());
    assert_eq!((one.id(), one.digest()), (other.id(), other.digest()));
    assert_ne!(one.id(), image(name, 183).await.id());
}

#[tokio::test]
async fn each_engine_finds_its_index() {
    let image = image("authn:v2", AMD64).await;
    let listing = listing(image.archive());
    let text: Vec<_> = (listing.iter())
        .map(|(stored, text)| {
            if text.starts_with(['{', '[']) {
                format!("{stored}\n  {text}")
            } else {
                stored.clone()
            }
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    blobs/sha256/53a0ef7daad990c98ea736cdd262cf48d603c099f2b672b43a6f95ec2e2e2956 644 0:0 0
      {"architecture":"amd64","config":{"User":"65532:65532","ExposedPorts":{"8443/tcp":{}},"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","GLIBC_TUNABLES=glibc.malloc.tcache_count=16"],"Entrypoint":["/tokenlab-webhook"],"Labels":{"org.opencontainers.image.title":"tokenlab-webhook","tokenlab":"webhook"}},"created":"1970-01-01T00:00:00Z","history":[{"created":"1970-01-01T00:00:00Z","created_by":"tokenlab image build"}],"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:6e1c236f86e05808e09d008ac3a4c334e4282244572536e4a35517065fbbaf12"]}}
    blobs/sha256/64a09345db5d1b6e47ccdbca05acedf164e813e3831ef115c5f18b698a5da348 644 0:0 0
      {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:53a0ef7daad990c98ea736cdd262cf48d603c099f2b672b43a6f95ec2e2e2956","size":571},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:6e1c236f86e05808e09d008ac3a4c334e4282244572536e4a35517065fbbaf12","size":2048}]}
    blobs/sha256/6e1c236f86e05808e09d008ac3a4c334e4282244572536e4a35517065fbbaf12 644 0:0 0
    index.json 644 0:0 0
      {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:64a09345db5d1b6e47ccdbca05acedf164e813e3831ef115c5f18b698a5da348","size":397,"annotations":{"io.containerd.image.name":"docker.io/library/authn:v2","org.opencontainers.image.ref.name":"v2"},"platform":{"architecture":"amd64","os":"linux"}}]}
    manifest.json 644 0:0 0
      [{"Config":"blobs/sha256/53a0ef7daad990c98ea736cdd262cf48d603c099f2b672b43a6f95ec2e2e2956","RepoTags":["authn:v2"],"Layers":["blobs/sha256/6e1c236f86e05808e09d008ac3a4c334e4282244572536e4a35517065fbbaf12"]}]
    oci-layout 644 0:0 0
      {"imageLayoutVersion":"1.0.0"}
    "#);
}

#[tokio::test]
async fn every_digest_is_of_what_it_names() {
    let image = image("authn:v2", AMD64).await;
    let files: BTreeMap<_, _> = listing(image.archive())
        .into_iter()
        .map(|(stored, text)| {
            let path = stored.split(' ').next().expect("must have a path");
            (path.to_owned(), text)
        })
        .collect();
    let json = |path: &str| -> Value { serde_json::from_str(&files[path]).expect("must be JSON") };
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("must be a digest");
        let path = digest.replace("sha256:", "blobs/sha256/");
        assert_eq!(descriptor["size"], files[&path].len());
        path
    };
    let manifest = json(&blob(&json("index.json")["manifests"][0]));
    let (config, layer) = (blob(&manifest["config"]), blob(&manifest["layers"][0]));
    let docker = &json("manifest.json")[0];
    assert_eq!(docker["Config"], config);
    assert_eq!(docker["Layers"][0], layer);
    assert_eq!(json(&config)["rootfs"]["diff_ids"][0], image.layer());
    for (path, text) in &files {
        if let Some(name) = path.strip_prefix("blobs/sha256/") {
            assert_eq!(name, sha256(text.as_bytes()), "{path}");
        }
    }
    let layer = self::listing(files[&layer].as_bytes());
    let stored: Vec<_> = layer.iter().map(|(stored, _)| stored.as_str()).collect();
    assert_eq!(stored, ["tokenlab-webhook 755 0:0 0"]);
    assert_eq!(layer[0].1.as_bytes(), elf(AMD64));
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digits = |text: String, byte: &u8| text + &format!("{byte:02x}");
    sha2::Sha256::digest(bytes)
        .iter()
        .fold(String::new(), digits)
}

#[rstest]
#[case::amd64(62, Architecture::Amd64)]
#[case::arm64(183, Architecture::Arm64)]
#[tokio::test]
async fn the_processor_is_the_programs(#[case] machine: u16, #[case] expected: Architecture) {
    assert_eq!(image("authn", machine).await.architecture(), expected);
}

/// A shared library: it has no place to start at.
fn library() -> Vec<u8> {
    let mut file = elf(AMD64);
    file[16] = 3;
    file
}

#[rstest]
#[case::text(b"#!/bin/sh\n".to_vec(), "is not a program for Linux")]
#[case::nothing(Vec::new(), "is not a program for Linux")]
#[case::library(library(), "is not a program for Linux")]
#[case::riscv(elf(243), "(ELF machine 243) that is neither amd64 nor arm64")]
#[tokio::test]
async fn another_file_is_no_image(#[case] contents: Vec<u8>, #[case] expected: &str) {
    let folder = Folder::new();
    let program = folder.write("program", contents);
    let error = Image::builder().program(&program).build().await;
    let error = error.expect_err("must fail").to_string();
    assert!(error.starts_with(&format!("`{program}` is")), "{error}");
    assert!(error.contains(expected), "{error}");
}

#[tokio::test]
async fn what_would_need_a_dynamic_linker_is_no_image() {
    let error = Image::builder().program(env!("CARGO_BIN_EXE_tokenlab"));
    let error = error.build().await.expect_err("must fail");
    let ImageError::Program(ProgramError::Dynamic { interpreter, .. }) = &error else {
        panic!("{error}")
    };
    assert!(interpreter.contains("/ld-"), "{interpreter}");
    assert!(error.hint().is_some_and(|hint| hint.contains("crt-static")));
}
