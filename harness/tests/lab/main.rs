//! Tests of the harness with real processes: its failures, its end, its command line, its
//! control planes. They find processes by `/proc`.
#![cfg(target_os = "linux")]

mod backend;
mod cli;
mod control_plane;
mod diagnosis;
mod failures;
mod filters;
mod home;
mod journal;
mod outlives;
mod owner;
mod programs;
mod skipped;
mod webhooks;
