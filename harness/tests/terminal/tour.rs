//! `tokenlab tour`: its pages, its keys, its end.

mod script;

use nix::sys::signal::Signal;
use rstest::rstest;

use crate::filters::FILTERS;
use crate::home::Home;
use crate::tmux::Terminal;

/// What can be pressed before a step has run, and behind it.
const BEFORE: &str = "[Enter] run it  [b] back  [s] shell  [?] help  [q] quit";
const AFTER: &str = "[Enter] go on  [r] again  [b] back  [s] shell  [?] help  [q] quit";

/// What varies in the tour alone.
const VARYING: [(&str, &str); 11] = [
    // The tour's own process.
    (r"-p \d+\n", "-p [process]\n"),
    (r"▶ +\d+ tokenlab", "▶ [process] tokenlab"),
    // When and by which process a line was logged.
    (
        r"\bE\d{4} [\d:.]+ +\d+ (\w+\.go):\d+\]",
        "E[when] $1:[line]]",
    ),
    // What openssl and curl say in other words in each of their versions.
    (r"CN ?= ?", "CN="),
    (r"(?s)(curl: \(60\)).*?\n✓", "$1 [why]\n✓"),
    (r"  date: .*", "  date: [time]"),
    // Days of a certificate, ages of namespaces, how long a cache kept what.
    (r"(not(?:Before|After))=.*", "$1=[time]"),
    (r"Active   \d+s", "Active   [age]"),
    (r"after \d+\.\d s", "after [seconds]"),
    (r"went on for \d+ s", "went on for [seconds]"),
    // Once, where the steps before took most of its time.
    (r"listed, (once|\d+ times)", "listed, [many] times"),
];

/// Compares a page with the one that was reviewed.
fn assert_page(name: &str, page: &str) {
    let filters = VARYING.iter().chain(&FILTERS).copied();
    insta::with_settings!({ filters => filters, omit_expression => true }, {
        insta::assert_snapshot!(name, page);
    });
}

/// The last page of what was on the screen.
fn page(text: &str) -> &str {
    let from = text.rfind("━━ ").expect("must have a page");
    let from = text[..from].rfind('\n').map_or(0, |line| line + 1);
    text[from..].trim_end()
}

async fn tour(home: &Home, test: &str, args: &[&str], columns: u16) -> Option<Terminal> {
    let mut command = home.tokenlab(&["tour"]).await;
    command.args(args);
    command.env("PS1", "lab> ");
    Terminal::start(&format!("tour::{test}"), command, (columns, 50)).await
}

#[rstest]
#[case::narrow(80)]
#[case::wide(120)]
#[tokio::test]
async fn it_is_read_and_led_by_keys(#[case] columns: u16) {
    let home = Home::new().await;
    let Some(terminal) = tour(&home, "it_is_read_and_led_by_keys", &[], columns).await else {
        return;
    };
    let name = |what: &str| format!("{what}@{columns}");

    let text = terminal.ends_with(BEFORE).await;
    assert_page(&name("first"), page(&text));
    terminal.press(&["b"]).await;
    terminal
        .ends_with(&format!("This is the first step.\n\n{BEFORE}"))
        .await;

    terminal.press(&["Enter"]).await;
    let text = terminal.ends_with(AFTER).await;
    assert_page(&name("first-run"), page(&text));

    terminal.press(&["Enter"]).await;
    let text = terminal.ends_with(BEFORE).await;
    assert_page(&name("second"), page(&text));
    // Keys that mean nothing, arrows among them, do nothing.
    terminal.press(&["x", "Up", "Down"]).await;
    terminal.press(&["Enter"]).await;
    let text = terminal.ends_with(AFTER).await;
    assert_page(&name("second-run"), page(&text));

    terminal.press(&["b"]).await;
    let text = terminal.ends_with(BEFORE).await;
    assert!(page(&text).starts_with("━━ 1/13 "), "{text}");

    terminal.press(&["?"]).await;
    let text = terminal.ends_with(&format!("shortened.\n\n{BEFORE}")).await;
    assert_page(&name("help"), page(&text));

    home.has_a_lab();
    terminal.press(&["q"]).await;
    let (code, text) = terminal.ended().await;
    assert_eq!(code, 0, "{text}");
    home.nothing_left().await;
    terminal.close().await;
}

/// On the smallest terminal that is usual: what a page begins with is still to be seen.
#[rstest]
#[case::the_first("1", "▶ error: You must be logged in")]
#[case::the_longest("6", "apiVersion: v1")]
#[tokio::test]
async fn a_page_fits_a_small_terminal(#[case] from: &str, #[case] first: &str) {
    let home = Home::new().await;
    let mut command = home.tokenlab(&["tour", "--from", from]).await;
    command.env("PS1", "lab> ");
    let test = "tour::a_page_fits_a_small_terminal";
    let Some(terminal) = Terminal::start(test, command, (80, 24)).await else {
        return;
    };
    terminal.ends_with(BEFORE).await;
    let screen = terminal.screen().await;
    assert!(screen.contains(&format!("━━ {from}/13 ")), "{screen}");
    terminal.press(&["Enter"]).await;
    terminal.ends_with(AFTER).await;
    let screen = terminal.screen().await;
    assert!(screen.contains(first), "{screen}");
    terminal.press(&["q"]).await;
    terminal.ended().await;
    home.nothing_left().await;
    terminal.close().await;
}

#[tokio::test]
async fn a_shell_is_opened_and_left() {
    let home = Home::new().await;
    let from = ["--from", "allowed"];
    let Some(terminal) = tour(&home, "a_shell_is_opened_and_left", &from, 80).await else {
        return;
    };
    terminal.ends_with(BEFORE).await;
    terminal.press(&["s"]).await;
    terminal
        .ends_with("exit comes back.\n(lab:tour) lab>")
        .await;
    // The terminal shows again what is typed, and the shell is the lab's.
    terminal
        .line("kubectl auth whoami -o jsonpath={.status.userInfo.username}; echo")
        .await;
    terminal.ends_with("echo\nlab-admin\n(lab:tour) lab>").await;
    // Ctrl-C is the shell's.
    terminal.line("echo ready; read line").await;
    terminal.ends_with("; read line\nready").await;
    terminal.press(&["C-c"]).await;
    terminal.ends_with("^C\n(lab:tour) lab>").await;
    terminal.line("echo \"$KUBECONFIG\" in \"$PWD\"").await;
    let told = format!("in {}\n(lab:tour) lab>", home.has_a_lab());
    terminal.ends_with(&told).await;
    terminal.line("exit").await;
    let text = terminal.ends_with(BEFORE).await;
    let from = text.find("A shell in").expect("must be told");
    assert_page("shell", &text[from..]);
    // And keys are keys again.
    terminal.press(&["Enter"]).await;
    let text = terminal.ends_with(AFTER).await;
    assert_page("allowed", page(&text));
    terminal.press(&["q"]).await;
    let (code, text) = terminal.ended().await;
    assert_eq!(code, 0, "{text}");
    home.nothing_left().await;
    terminal.close().await;
}

/// What was done in step 9 is taken back before step 8 is shown again.
#[tokio::test]
async fn back_is_back() {
    let home = Home::new().await;
    let Some(terminal) = tour(&home, "back_is_back", &["--from", "9"], 80).await else {
        return;
    };
    terminal.ends_with(BEFORE).await;
    terminal.press(&["Enter"]).await;
    let text = terminal.ends_with(AFTER).await;
    assert!(text.contains("▶ default           Active"), "{text}");
    terminal.press(&["b"]).await;
    terminal.ends_with(BEFORE).await;
    terminal.press(&["Enter"]).await;
    let text = terminal.ends_with(AFTER).await;
    assert!(
        page(&text).contains("▶ Error from server (Forbidden)"),
        "{text}"
    );
    terminal.press(&["q"]).await;
    terminal.ended().await;
    home.nothing_left().await;
    terminal.close().await;
}

#[rstest]
#[case::before_anything_ran(false)]
#[case::with_a_lab(true)]
#[tokio::test]
async fn interrupted_it_leaves_nothing(#[case] runs: bool) {
    let home = Home::new().await;
    let Some(terminal) = tour(&home, "interrupted_it_leaves_nothing", &[], 80).await else {
        return;
    };
    terminal.ends_with(BEFORE).await;
    if runs {
        terminal.press(&["Enter"]).await;
        terminal.ends_with(AFTER).await;
        home.has_a_lab();
    }
    terminal.press(&["C-c"]).await;
    let (code, text) = terminal.ended().await;
    assert_eq!(code, 130, "{text}");
    home.nothing_left().await;
    terminal.close().await;
}

#[tokio::test]
async fn on_a_terminal_that_is_closed_it_leaves_nothing() {
    let home = Home::new().await;
    let test = "on_a_terminal_that_is_closed_it_leaves_nothing";
    let Some(terminal) = tour(&home, test, &["--from", "2"], 80).await else {
        return;
    };
    terminal.ends_with(BEFORE).await;
    home.has_a_lab();
    terminal.close().await;
    home.nothing_left().await;
}

/// Without arguments too, and at whatever width the terminal gets.
#[tokio::test]
async fn it_is_what_tokenlab_is_on_a_terminal_and_wraps_at_its_width() {
    let home = Home::new().await;
    let command = home.tokenlab(&[]).await;
    let name = "tour::it_is_what_tokenlab_is_on_a_terminal_and_wraps_at_its_width";
    let Some(terminal) = Terminal::start(name, command, (100, 50)).await else {
        return;
    };
    let rule = |text: &str| {
        page(text)
            .lines()
            .next()
            .map_or(0, |line| line.chars().count())
    };
    let text = terminal.ends_with(BEFORE).await;
    assert_eq!(rule(&text), 100, "{text}");
    terminal.resize(70, 50).await;
    terminal.press(&["Enter"]).await;
    terminal.ends_with(AFTER).await;
    terminal.press(&["Enter"]).await;
    let text = terminal.ends_with(BEFORE).await;
    assert_eq!(rule(&text), 70, "{text}");
    terminal.press(&["q"]).await;
    terminal.ended().await;
    home.nothing_left().await;
    terminal.close().await;
}

/// The terminal is as it was, whatever ended the tour: what is typed is shown.
#[rstest]
#[case::by_a_key(None)]
#[case::by_a_signal(Some(Signal::SIGTERM))]
#[tokio::test]
async fn the_terminal_is_given_back(#[case] signal: Option<Signal>) {
    let home = Home::new().await;
    let mut command = home.command("/bin/sh").await;
    let program = env!("CARGO_BIN_EXE_tokenlab");
    let script =
        format!("'{program}' tour & echo $! >\"$PID\"; fg >/dev/null; stty -a; read -r line");
    command.args(["-mc", &script]).env("PID", home.file("pid"));
    let test = "tour::the_terminal_is_given_back";
    let Some(terminal) = Terminal::start(test, command, (80, 50)).await else {
        return;
    };
    terminal.ends_with(BEFORE).await;
    match signal {
        None => terminal.press(&["q"]).await,
        Some(signal) => {
            let pid = std::fs::read_to_string(home.file("pid")).expect("must be written");
            let pid = pid.trim().parse().expect("must be a number");
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("must be sent");
        }
    }
    let text = terminal.shows("echoctl").await;
    let settings: Vec<_> = text.split([' ', ';', '\n']).collect();
    for setting in ["icanon", "echo"] {
        assert!(settings.contains(&setting), "{setting}: {text}");
    }
    terminal.press(&["Enter"]).await;
    terminal.ended().await;
    home.nothing_left().await;
    terminal.close().await;
}
