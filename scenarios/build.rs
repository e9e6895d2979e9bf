//! How many scenarios run at once. They wait, most of the time; libtest's own choice, one for each
//! core, has them take twice as long. `cargo test -- --test-threads 2` chooses otherwise.

fn main() {
    println!("cargo::rerun-if-changed=scenarios/build.rs");
    // What is set for the compiler is set for the tests that `cargo test` runs, too.
    println!("cargo::rustc-env=RUST_TEST_THREADS=8");
}
