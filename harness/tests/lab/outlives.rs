//! Nothing outlives its owner, however the owner ends: no process, no folder but one that is
//! kept on purpose and announced.

mod program;
mod start_up;
mod terminal;
mod test_process;
