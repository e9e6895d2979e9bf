use std::path::Path;

use rstest::rstest;

/// The fuzzer's.
#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "there it is a library")]
mod checks;

/// What the fuzzer has kept goes through its checks without it.
#[rstest]
#[case::decode("decode", checks::decode)]
#[case::router("router", checks::request)]
fn what_was_found_holds(#[case] target: &str, #[case] check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let inputs = folder.read_dir().expect("a corpus").map(|entry| {
        let path = entry.expect("an entry").path();
        std::fs::read(path).expect("an input")
    });
    let count = inputs.inspect(|input| check(input)).count();
    assert!(count > 100, "{count} inputs are no corpus");
}
