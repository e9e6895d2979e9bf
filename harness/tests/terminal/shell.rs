//! `tokenlab shell` as a person uses it, in each shell that they may have.

use std::convert::Infallible;

use insta::{allow_duplicates, assert_snapshot};
use rstest::rstest;
use tokenlab_harness::named::Status;
use tokenlab_harness::{Probe, until};
use tokio::process::Command;

use crate::home::{Home, SOON};
use crate::skipped::{has, skip};
use crate::tmux::Terminal;

/// Settings that a lab's shell must survive: another kubeconfig, another PATH, a prompt that is made
/// anew each time.
const BASHRC: &str = "\
export KUBECONFIG=/nowhere PATH=/usr/local/bin:$PATH
PROMPT_COMMAND='PS1=\"ann\\$ \"'
";
const ZSHRC: &str = "\
export KUBECONFIG=/nowhere PATH=/usr/local/bin:$PATH
precmd() { PROMPT='ann$ ' }
";
const FISH: &str = "\
set -gx KUBECONFIG /nowhere
set -gx PATH /usr/local/bin $PATH
set -g fish_greeting
function fish_prompt
    printf 'ann$ '
end
";

/// A home with these settings, and a lab in it that runs.
async fn lab() -> (Home, Status) {
    let home = Home::new().await;
    let fish = home.file(".config/fish");
    // Where this is missing, fish makes it, in the background.
    let completions = home.file(".local/share/fish/generated_completions");
    for folder in [&fish, &completions] {
        std::fs::create_dir_all(folder).expect("must be made");
    }
    for (file, text) in [
        (".bashrc", BASHRC),
        (".zshrc", ZSHRC),
        (".shrc", "PS1='ann$ '\n"),
    ] {
        std::fs::write(home.file(file), text).expect("must be written");
    }
    std::fs::write(fish.join("config.fish"), FISH).expect("must be written");
    let up = home
        .tokenlab(&["up", "shown", "--json"])
        .await
        .output()
        .await;
    let up = up.expect("must run");
    assert!(
        up.status.success(),
        "{}",
        String::from_utf8_lossy(&up.stderr)
    );
    let status = serde_json::from_slice(&up.stdout).expect("must be a status");
    (home, status)
}

/// `tokenlab shell` with this shell; tmux has its own opinion of SHELL, so it is set behind it.
async fn shell(home: &Home, shell: &str, args: &[&str]) -> Command {
    let mut command = home.command("/usr/bin/env").await;
    let folder = home.file("");
    command
        .arg(format!("SHELL={shell}"))
        .args([env!("CARGO_BIN_EXE_tokenlab"), "shell"])
        .args(args)
        .env("HOME", &folder)
        .env("ENV", folder.join(".shrc"));
    command
}

/// Without what varies from run to run.
fn filtered(text: &str, lab: &Status) -> String {
    let admin = regex::Regex::new(r"admin-[0-9a-f]{12}").expect("must be a pattern");
    let text = text.replace(lab.folder.as_str(), "[run folder]");
    let text = text.replace(&lab.kubernetes.to_string(), "[version]");
    admin.replace_all(&text, "admin-[random]").into_owned()
}

#[rstest]
#[case::narrow(80)]
#[case::wide(120)]
#[tokio::test]
async fn it_is_entered_used_and_left(#[case] columns: u16) {
    let (home, lab) = lab().await;
    let command = shell(&home, "/bin/bash", &[]).await;
    let name = format!("shell::it_is_entered_used_and_left::{columns}");
    if let Some(terminal) = Terminal::start(&name, command, (columns, 24)).await {
        terminal.ends_with("(lab:shown) ann$").await;
        terminal.line("kubectl get ns -o name").await;
        terminal
            .ends_with("namespace/kube-system\n(lab:shown) ann$")
            .await;
        terminal.line("tokenlab shell").await;
        terminal
            .ends_with("`exit` leaves it\n(lab:shown) ann$")
            .await;
        terminal.line("exit 3").await;
        terminal.ends_with("[d]own?").await;
        let screen = filtered(&terminal.screen().await, &lab);
        // No line of it is longer than the narrow one.
        allow_duplicates! { assert_snapshot!(screen, @"
        kubectl [version] talks to the lab `shown`; `exit` leaves
        (lab:shown) ann$ kubectl get ns -o name
        namespace/default
        namespace/kube-node-lease
        namespace/kube-public
        namespace/kube-system
        (lab:shown) ann$ tokenlab shell
        error: this is a shell of the lab `shown` already; `exit` leaves it
        (lab:shown) ann$ exit 3
        exit
        the lab `shown` still runs: [K]eep it or take it [d]own?
        ") };
        terminal.line("what?").await;
        terminal
            .ends_with("what?\nthe lab `shown` still runs: [K]eep it or take it [d]own?")
            .await;
        terminal.line("").await;
        let (code, text) = terminal.ended().await;
        assert_eq!(code, 3, "{text}");
        terminal.close().await;
        let status = home.tokenlab(&["status"]).await.output().await;
        assert!(
            status.expect("must run").status.success(),
            "it was to be kept"
        );
    }
    down(&home).await;
}

#[rstest]
#[case::bash("bash")]
#[case::zsh("zsh")]
#[case::fish("fish")]
#[case::dash("dash")]
#[tokio::test]
async fn each_shell_is_marked_and_has_the_labs_kubectl(#[case] name: &str) {
    let test = format!("shell::each_shell_is_marked_and_has_the_labs_kubectl::{name}");
    if !has(name) {
        skip(&test, &format!("no `{name}` here"));
        return;
    }
    let (home, lab) = lab().await;
    let command = shell(&home, name, &["--down"]).await;
    let Some(terminal) = Terminal::start(&test, command, (200, 24)).await else {
        return down(&home).await;
    };
    terminal.ends_with("(lab:shown) ann$").await;
    terminal
        .line("command -v kubectl; echo $KUBECONFIG $LAB_NAME")
        .await;
    let expected = format!(
        "{}/shell/bin/kubectl\n{} shown\n(lab:shown) ann$",
        lab.folder, lab.kubeconfig
    );
    terminal.ends_with(&expected).await;
    // Ctrl-C ends what runs in the shell, and nothing else.
    terminal.line("sleep 1000").await;
    runs(&home, "sleep").await;
    terminal.press(&["C-c"]).await;
    terminal.line("echo still here").await;
    terminal.ends_with("still here\n(lab:shown) ann$").await;
    terminal.line("exit").await;
    let (_, text) = terminal.ended().await;
    assert!(text.ends_with("the lab `shown` has ended"), "{text}");
    terminal.close().await;
    // fish makes a folder for itself, and leaves it.
    for entry in home.entries() {
        if entry
            .file_name()
            .is_some_and(|name| name.starts_with("fish."))
        {
            std::fs::remove_dir_all(entry).expect("must be removed");
        }
    }
    home.nothing_left().await;
}

#[tokio::test]
async fn a_shell_whose_lab_is_ended_in_it() {
    let (home, _) = lab().await;
    let command = shell(&home, "/bin/bash", &[]).await;
    let name = "shell::a_shell_whose_lab_is_ended_in_it";
    if let Some(terminal) = Terminal::start(name, command, (80, 24)).await {
        terminal.ends_with("(lab:shown) ann$").await;
        terminal.line("tokenlab down shown").await;
        let told = "this shell was made for it, and is of no more use: `exit` leaves it";
        terminal
            .ends_with(&format!("{told}\n(lab:shown) ann$"))
            .await;
        // It is not in the lab's folder any more.
        terminal.line("tokenlab list").await;
        terminal
            .ends_with("no labs; `tokenlab up` starts one\n(lab:shown) ann$")
            .await;
        terminal.line("exit").await;
        let (code, text) = terminal.ended().await;
        assert_eq!(code, 0, "{text}");
        terminal.close().await;
        return home.nothing_left().await;
    }
    down(&home).await;
}

#[tokio::test]
async fn a_shell_that_is_killed_gives_the_terminal_back() {
    let (home, _) = lab().await;
    let command = shell(&home, "/bin/bash", &[]).await;
    let name = "shell::a_shell_that_is_killed_gives_the_terminal_back";
    if let Some(terminal) = Terminal::start(name, command, (80, 24)).await {
        terminal.ends_with("(lab:shown) ann$").await;
        terminal.line("kill -9 $$").await;
        terminal.ends_with("[d]own?").await;
        terminal.line("d").await;
        let (code, text) = terminal.ended().await;
        assert_eq!(code, 137, "{text}");
        assert!(text.ends_with("the lab `shown` has ended"), "{text}");
        terminal.close().await;
        return home.nothing_left().await;
    }
    down(&home).await;
}

/// Waits until such a process runs.
async fn runs(home: &Home, name: &str) {
    let look = async || {
        let processes = home.processes();
        if processes.iter().any(|process| process.name == name) {
            Probe::<_, Infallible>::Ready(())
        } else {
            Probe::NotYet(format!("{processes:?}").into())
        }
    };
    let seen = until(&format!("`{name}` runs"), SOON, look).await;
    seen.expect("must come true");
}

async fn down(home: &Home) {
    let down = home.tokenlab(&["down", "shown"]).await.output().await;
    let down = down.expect("must run");
    let said = String::from_utf8_lossy(&down.stderr);
    assert!(down.status.success(), "it must end: {said}");
    home.nothing_left().await;
}
