//! How cargo is run, with stand-ins for it.

use camino::Utf8PathBuf;
use rstest::rstest;
use tokenlab_harness::{Image, ImageBuildError, ImageBuilder, ImageError};

use crate::support::{AMD64, Folder, elf, gone, text_of};

/// A workspace, and a cargo that is this script.
fn world(script: &str) -> (Folder, ImageBuilder) {
    let folder = Folder::new();
    folder.write("workspace/webhook/Cargo.toml", "");
    let cargo = folder.script("cargo", script);
    let workspace = folder.path.join("workspace");
    let builder = Image::builder().cargo(cargo).workspace(workspace);
    (folder, builder)
}

async fn failure(builder: ImageBuilder) -> ImageBuildError {
    match builder.build().await.expect_err("must fail") {
        ImageError::Build(error) => error,
        error @ ImageError::Program(_) => panic!("{error}"),
    }
}

/// The run folder that a failed build keeps, deleted here.
fn delete(log: &Utf8PathBuf) {
    let folder = log.parent().expect("must have one");
    std::fs::remove_dir_all(folder).expect("must be there");
}

#[tokio::test]
async fn the_program_is_the_one_that_cargo_names() {
    let (folder, builder) = world(
        r#"pwd >../seen; printf '%s\n' "$*" >>../seen
printf '%s' "$CARGO_ENCODED_RUSTFLAGS" | tr '\037' '\n' >>../seen; echo >>../seen
echo '   Compiling tokenlab-webhook v0.1.0' >&2
echo '{"reason":"compiler-artifact","target":{"name":"build-script-build"},"executable":"/no/other"}'
echo '{"reason":"compiler-artifact","target":{"name":"tokenlab-webhook"},"executable":null}'
echo '{"reason":"compiler-artifact","target":{"name":"tokenlab-webhook"},"executable":"'"$PWD"'/target/it"}'
echo '{"reason":"build-finished","success":true}'"#,
    );
    let program = folder.write("workspace/target/it", elf(AMD64));
    let image = builder.build().await.expect("must be made");
    assert_eq!(image.program(), program);
    assert_eq!(image.program_size(), 64);
    let seen = text_of(&folder.path.join("seen")).await;
    let home = std::env::var("CARGO_HOME").unwrap_or_else(|_| {
        let home = std::env::home_dir().expect("must have one");
        home.join(".cargo")
            .to_str()
            .expect("must be UTF-8")
            .to_owned()
    });
    let seen = (seen.replace(folder.path.as_str(), "[FOLDER]"))
        .replace(&home, "[CARGO HOME]")
        .replace(std::env::consts::ARCH, "[ARCH]");
    insta::assert_snapshot!(seen, @"
    [FOLDER]/workspace
    build --locked --package tokenlab-webhook --bin tokenlab-webhook --no-default-features --features image --profile image --target [ARCH]-unknown-linux-gnu --message-format json-render-diagnostics
    -Ctarget-feature=+crt-static
    -Clink-arg=-Wl,-z,pack-relative-relocs
    --remap-path-prefix=[FOLDER]/workspace=/tokenlab
    --remap-path-prefix=[CARGO HOME]=/cargo
    ");
}

#[rstest]
#[case::compiler("error[E0425]: cannot find value `x`", None)]
#[case::offline(
    "error: failed to download `axum v0.8.9`",
    Some("cargo fetch --locked")
)]
#[case::full(
    "error: failed to write: No space left on device (os error 28)",
    Some("300 MB")
)]
#[case::libc("/usr/bin/ld: cannot find -lc: No such file", Some("glibc-static"))]
#[case::linker("error: linker `cc` not found", Some("install a C compiler"))]
#[case::target("error[E0463]: can't find crate for `core`", Some("rustup target add"))]
#[tokio::test]
async fn a_failure_shows_what_was_said_and_keeps_the_log(
    #[case] said: &str,
    #[case] expected: Option<&str>,
) {
    let (folder, builder) = world(&format!(
        "echo \"{}\" >&2\necho '{{\"reason\":\"build-finished\",\"success\":false}}'\nexit 101",
        said.replace('`', "\\`"),
    ));
    let error = failure(builder).await;
    let ImageBuildError::Failed { tail, log, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(tail.trim(), said);
    let kept = std::fs::read_to_string(log).expect("must be kept");
    delete(log);
    assert!(kept.contains("build-finished"), "{kept}");
    let text = error.to_string();
    let beginning = format!("`{}/cargo build --locked --package", folder.path);
    assert!(text.starts_with(&beginning), "{text}");
    assert!(text.contains("ended with exit status: 101"), "{text}");
    match (expected, error.hint()) {
        (None, hint) => assert_eq!(hint, None),
        (Some(expected), hint) => assert!(
            hint.as_deref().is_some_and(|hint| hint.contains(expected)),
            "{hint:?}"
        ),
    }
}

#[tokio::test]
async fn success_without_a_program_is_a_failure() {
    let (_folder, builder) = world("echo '{\"reason\":\"build-finished\",\"success\":true}'");
    let error = failure(builder).await;
    let ImageBuildError::NoProgram { log, .. } = &error else {
        panic!("{error}")
    };
    delete(log);
}

#[tokio::test]
async fn without_sources_one_gives_a_program() {
    let folder = Folder::new();
    let error = failure(Image::builder().workspace(&folder.path)).await;
    assert_eq!(
        error.to_string(),
        format!(
            "there is no source of tokenlab-webhook: `{}/webhook/Cargo.toml` is not there",
            folder.path
        )
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("--program FILE"))
    );
}

#[rstest]
#[case::path("/nonexistent/cargo", "`/nonexistent/cargo` is not a program")]
#[case::name("no-such-cargo", "`no-such-cargo` is not on PATH")]
#[tokio::test]
async fn without_cargo_one_installs_it(#[case] cargo: &str, #[case] expected: &str) {
    let error = failure(Image::builder().cargo(cargo)).await;
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().is_some_and(|hint| hint.contains("rustup.rs")));
}

#[tokio::test]
async fn dropped_it_ends_cargo_and_what_cargo_started() {
    let (folder, builder) = world("sleep 600 & echo $! >../compiler; echo $$ >../cargo.pid; wait");
    let (compiler, cargo) = (folder.path.join("compiler"), folder.path.join("cargo.pid"));
    let pids = tokio::select! {
        ended = builder.build() => panic!("must not end: {ended:?}"),
        pids = async { [text_of(&compiler).await, text_of(&cargo).await] } => pids,
    };
    for pid in pids {
        gone(&pid).await;
    }
}
