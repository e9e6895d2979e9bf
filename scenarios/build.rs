//! How many scenarios run at once. They wait, most of the time; libtest's own choice, one for each
//! core, has them take twice as long. `RUST_TEST_THREADS` and `--test-threads` choose otherwise.

const THREADS: &str = "RUST_TEST_THREADS";

fn main() {
    println!("cargo::rerun-if-changed=scenarios/build.rs");
    println!("cargo::rerun-if-env-changed={THREADS}");
    // What is set for the compiler is set for the tests that `cargo test` runs, too, over what the
    // environment says.
    if std::env::var_os(THREADS).is_none() {
        println!("cargo::rustc-env={THREADS}=8");
    }
}
