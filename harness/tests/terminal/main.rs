//! The program on a terminal, as a person meets it: keys typed, screens read. tmux is the terminal;
//! where it is missing, each test says that it is skipped.
#![cfg(target_os = "linux")]

#[path = "../lab/filters.rs"]
#[expect(unused_macros, unused_imports, reason = "screens lie in files")]
mod filters;
#[path = "../lab/home.rs"]
#[expect(dead_code, reason = "owners of other kinds are tested elsewhere")]
mod home;
#[path = "../lab/owner.rs"]
#[expect(dead_code, reason = "owners of other kinds are tested elsewhere")]
mod owner;
#[path = "../lab/programs.rs"]
#[expect(dead_code, reason = "stand-ins are for failures, tested elsewhere")]
mod programs;
mod shell;
#[path = "../lab/skipped.rs"]
mod skipped;
mod tmux;
mod tour;
