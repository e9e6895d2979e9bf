//! The tour without keys.

use super::assert_page;
use crate::home::Home;
use crate::owner::{Running, ended};
use crate::skipped::{has, skip};

/// The tutorial's token.
const TOKEN: &str = "ZGVtbW8tcGFzc3dvcmQ=";

#[tokio::test]
async fn it_runs_through_and_names_the_causes() {
    if !["curl", "openssl", "ps"].into_iter().all(has) {
        let why = "no `curl`, `openssl` or `ps` here, so those lines are not run";
        skip("tour::script::it_runs_through_and_names_the_causes", why);
        return;
    }
    let home = Home::new().await;
    let mut command = home.tokenlab(&["tour", "--script"]).await;
    let output = ended(command.env("COLUMNS", "80")).await;
    assert!(output.status.success(), "{output}");
    assert!(!output.to_string().contains(TOKEN), "{output}");
    assert!(!output.stdout.contains('\u{1b}'), "{output}");
    assert_fits(&output.stdout);
    assert_page("script", &output.stdout);
    home.nothing_left().await;
}

/// No line is broken by a terminal of 80 columns, and no page, before and after Enter, is longer
/// than 24 lines with its prompt.
fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let pages: Vec<_> = text.split("\n━━ ").skip(1).collect();
    assert_eq!(pages.len(), 13, "{text}");
    for page in pages {
        let mut lines: Vec<_> = page.trim_end().lines().collect();
        let done = lines.iter().rposition(|line| line.starts_with('✓'));
        let done = done.expect("must come to something");
        let until = lines[done..].iter().position(|line| line.is_empty());
        lines.truncate(until.map_or(lines.len(), |until| done + until));
        // The commands stand between two blank lines.
        let typed = lines
            .iter()
            .position(|line| line.is_empty())
            .expect("must be there");
        let shown = lines[typed + 1..].iter().position(|line| line.is_empty());
        let shown = typed + 1 + shown.expect("must be there");
        let prompt = 2;
        assert!(shown + prompt <= 24, "{page}");
        assert!(lines.len() - (shown + 1) + prompt <= 24, "{page}");
    }
}

/// A step that needs what was before it finds it done.
#[tokio::test]
async fn it_begins_where_it_is_told_to() {
    let home = Home::new().await;
    let mut command = home
        .tokenlab(&["tour", "--script", "--from", "wrong-version"])
        .await;
    let output = ended(command.env("COLUMNS", "120")).await;
    assert!(output.status.success(), "{output}");
    assert_page("from", &output.stdout);
    home.nothing_left().await;
}

/// `tokenlab tour --script | head -1`: the reader leaves when a lab runs.
#[tokio::test]
async fn output_that_nobody_reads_any_more_leaves_nothing() {
    let home = Home::new().await;
    let mut tour = Running::start(home.tokenlab(&["tour", "--script"]).await);
    tour.says("✓ Unauthorized: 401.").await;
    let output = tour.ended_unread().await;
    assert_eq!(output.status.code(), Some(141), "{output}");
    home.nothing_left().await;
}

/// Where `LAB_BACKEND` allows containers.
#[tokio::test]
async fn on_a_cluster() {
    let backend = std::env::var("LAB_BACKEND").unwrap_or_default();
    if !["kind", "k3s"].contains(&&*backend) {
        skip(
            "tour::script::on_a_cluster",
            "LAB_BACKEND is neither `kind` nor `k3s`",
        );
        return;
    }
    let home = Home::new().await;
    let mut command = home
        .tokenlab(&["tour", "--script", "--backend", &backend])
        .await;
    // Building the webhook for its image may take minutes.
    let child = command.spawn().expect("must start");
    let output = child.wait_with_output().await.expect("must end");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for said in [
        "▶ error: You must be logged in",
        "▶ deployment.apps/my-authn   1/1",
        "▶ Error from server (Forbidden): namespaces is forbidden: User \"mock\" cannot",
        "▶ default           Active",
        "✓ the cause by the log: nothing listens at the webhook's address",
        "✓ the cause by the log: the webhook's certificate is of an authority that",
        "Skipped: the webhook in the cluster is the product's",
    ] {
        assert!(stdout.contains(said), "{said}: {stdout}");
    }
    home.nothing_left().await;
}

#[tokio::test]
async fn its_steps_are_listed() {
    let home = Home::new().await;
    let output = ended(&mut home.tokenlab(&["tour", "--list"]).await).await;
    assert!(output.status.success(), "{output}");
    assert_page("list", &output.stdout);
}

#[tokio::test]
async fn without_a_terminal_it_says_what_would_do() {
    let home = Home::new().await;
    let output = ended(&mut home.tokenlab(&["tour"]).await).await;
    assert_eq!(output.status.code(), Some(2), "{output}");
    let said = "error: the tour is led by keys, and there is no terminal: add `--script`\n";
    assert!(output.stderr.starts_with(said), "{output}");
    let output = ended(&mut home.tokenlab(&["tour", "--from", "coffee"]).await).await;
    assert_eq!(output.status.code(), Some(2), "{output}");
    let said = "`coffee` is no step: `tokenlab tour --list` tells which there are";
    assert!(output.stderr.contains(said), "{output}");
    home.nothing_left().await;
}
