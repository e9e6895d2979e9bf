//! The harness's own failures: each ends soon, says what to do, and leaves nothing but evidence.

mod control_plane;
mod flags;
mod process;
mod programs;
mod run_folder;
