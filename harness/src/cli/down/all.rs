//! All labs, and what lost its owner.

use std::process::ExitCode;

use serde::Serialize;
use tokenlab_harness::named::{Found, LabName, Registry};
use tokenlab_harness::strays::{self, Stray, Verdict};

use super::{end, note};
use crate::cli::{failure, print_json};

pub(super) struct Choice {
    pub(super) kept: bool,
    pub(super) dry_run: bool,
    pub(super) json: bool,
}

/// What `--json` prints.
#[derive(Default, Serialize)]
struct Report<'a> {
    ended: Vec<&'a LabName>,
    removed: Vec<&'a Stray>,
    left: Vec<&'a Stray>,
    failed: Vec<String>,
}

/// Decides, says, and does. What fails is said, and is no reason to leave the rest.
pub(super) async fn run(registry: &Registry, choice: Choice) -> anyhow::Result<ExitCode> {
    let labs = registry.all()?;
    let mut report = Report::default();
    for lab in &labs {
        end_one(registry, lab, &choice, &mut report).await;
    }
    if !choice.dry_run {
        registry.sweep();
    }
    // Looked for last: what the labs have left is gone by then, or among them.
    let strays = strays::find().await;
    for stray in &strays {
        take(stray, &choice, &mut report).await;
    }
    if choice.json {
        print_json(&report)?;
    } else if report.ended.is_empty() && report.removed.is_empty() {
        let unclear = |stray: &&Stray| stray.verdict == Verdict::Unclear;
        note(if report.left.iter().any(unclear) {
            "no lab runs; of what is left, see above"
        } else {
            "no lab runs, and nothing lost its owner"
        });
    }
    Ok(if report.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn end_one<'a>(
    registry: &Registry,
    lab: &'a Found,
    choice: &Choice,
    report: &mut Report<'a>,
) {
    let ended = if choice.dry_run {
        Ok(())
    } else {
        end(registry, lab).await
    };
    match ended {
        Ok(()) => {
            let name = &lab.name;
            if choice.dry_run {
                note(&format!("would end the lab `{name}`"));
            }
            report.ended.push(name);
        }
        Err(error) => {
            report.failed.push(error.to_string());
            failure::report(&error.into());
        }
    }
}

async fn take<'a>(stray: &'a Stray, choice: &Choice, report: &mut Report<'a>) {
    let goes = match stray.verdict {
        Verdict::Lost => true,
        Verdict::Kept => choice.kept,
        Verdict::Unclear => false,
    };
    if !goes {
        let hint = match stray.verdict {
            Verdict::Kept => ": --kept removes it",
            Verdict::Lost | Verdict::Unclear => "",
        };
        note(&format!("left: {stray}{hint}"));
        report.left.push(stray);
        return;
    }
    let removed = if choice.dry_run {
        Ok(())
    } else {
        stray.remove().await
    };
    match removed {
        Ok(()) => {
            let done = if choice.dry_run {
                "would remove"
            } else {
                "removed"
            };
            note(&format!("{done}: {stray}"));
            report.removed.push(stray);
        }
        Err(error) => {
            report.failed.push(error.to_string());
            failure::report(&error.into());
        }
    }
}
