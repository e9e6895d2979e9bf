//! Names: taken, unknown, or more than one.

use insta::assert_snapshot;
use nix::sys::signal::Signal;

use crate::home::Home;
use crate::owner::{Running, ended};
use crate::support::{done, filtered, never_up, nothing_left, stands, tokenlab, up};

#[tokio::test]
async fn a_second_up_of_a_name_is_refused() {
    let home = Home::new().await;
    let lab = up(&home, "mine").await;
    let second = tokenlab(&home, &["up", "mine"]).await;
    assert_eq!(second.status.code(), Some(1), "{second}");
    assert_eq!(second.stdout, "");
    assert_snapshot!(filtered(&second.stderr), @"
    error: there is a lab `mine` already: it runs, on bare, for [age]

    hint: `tokenlab status mine` shows it, `tokenlab down mine` ends it; another name gives another lab: `tokenlab up NAME`
    ");

    // It is none the worse for it.
    let unknown = tokenlab(&home, &["status", "yours"]).await;
    assert_eq!(unknown.status.code(), Some(1), "{unknown}");
    assert_snapshot!(unknown.stderr, @"
    error: there is no lab `yours`; there is `mine`

    hint: `tokenlab list` shows those that there are
    ");
    let status = done(&home, &["status", "--json"]).await;
    let status: tokenlab_harness::named::Status =
        serde_json::from_str(&status).expect("must be a status");
    assert_eq!(status.pid, lab.pid);
    done(&home, &["down", "mine"]).await;
    nothing_left(&home).await;
}

/// Whoever comes later is told who has it, and starts nothing.
#[tokio::test]
async fn of_two_who_race_for_a_name_one_has_it() {
    let home = Home::new().await;
    // Never ready: so the first cannot have ended before the second begins.
    let mut racers = Vec::new();
    for _ in 0..4 {
        racers.push(Running::start(never_up(&home, "race").await));
    }
    stands(&home, "race", "starting").await;
    let mut ended = Vec::new();
    // All but one end by themselves; that one waits for ever.
    for racer in racers {
        ended.push(tokio::spawn(racer.ended()));
    }
    let mut refused = 0;
    while refused < 3 {
        let (output, _, others) = futures::future::select_all(ended).await;
        let output = output.expect("must be joined");
        assert_eq!(output.status.code(), Some(1), "{output}");
        assert!(
            output
                .stderr
                .contains("error: there is a lab `race` already: it is being started"),
            "{output}"
        );
        refused += 1;
        ended = others;
    }
    done(&home, &["down", "race"]).await;
    nothing_left(&home).await;
}

#[tokio::test]
async fn without_a_name_the_only_one_is_meant() {
    let home = Home::new().await;
    let none = tokenlab(&home, &["down"]).await;
    assert_eq!(none.status.code(), Some(1), "{none}");
    assert_snapshot!(none.stderr, @"
    error: no lab runs

    hint: `tokenlab up` starts one
    ");
    assert_eq!(done(&home, &["list"]).await, "");
    assert_eq!(done(&home, &["list", "--json"]).await, "[]\n");

    let one = Running::start(never_up(&home, "one").await);
    let two = Running::start(never_up(&home, "two").await);
    stands(&home, "one", "starting").await;
    stands(&home, "two", "starting").await;
    let several = tokenlab(&home, &["status"]).await;
    assert_eq!(several.status.code(), Some(1), "{several}");
    assert_snapshot!(several.stderr, @"
    error: there are several labs: `one` and `two`

    hint: say which: `--lab NAME`, or LAB_NAME
    ");
    // Each command takes what the hint says.
    for args in [["status", "--lab"], ["down", "-l"], ["logs", "-l"]] {
        let unknown = tokenlab(&home, &[&args[..], &["three"]].concat()).await;
        assert_eq!(unknown.status.code(), Some(1), "{unknown}");
        let error =
            "error: there is no lab `three`; there are `one` and `two`\n\nhint: `tokenlab list`";
        assert!(unknown.stderr.starts_with(error), "{unknown}");
    }
    let mut third = home.tokenlab(&["status"]).await;
    let third = ended(third.env("LAB_NAME", "three")).await;
    let error = "error: LAB_NAME: there is no lab `three`;";
    assert!(third.stderr.starts_with(error), "{third}");
    let early = tokenlab(&home, &["logs", "-l", "one"]).await;
    assert_eq!(early.status.code(), Some(1), "{early}");
    assert_snapshot!(early.stderr, @"
    error: the lab `one` is not ready yet

    hint: `tokenlab status one` shows when it is
    ");

    for (name, owner) in [("one", one), ("two", two)] {
        done(&home, &["down", name]).await;
        // Its lab was taken away while it was being started.
        let output = owner.ended().await;
        assert_eq!(output.status.code(), Some(1), "{output}");
        assert!(
            output.stderr.contains("error: the lab was ended while"),
            "{output}"
        );
    }
    nothing_left(&home).await;
}

#[tokio::test]
async fn what_is_no_name_is_wrong_usage() {
    let home = Home::new().await;
    // The last one is what a script says whose variable is not set.
    for args in [
        ["up", "Ä"],
        ["status", "a b"],
        ["logs", "-l=.."],
        ["down", ""],
    ] {
        let output = tokenlab(&home, &args).await;
        assert_eq!(output.status.code(), Some(2), "{output}");
        assert!(output.stderr.contains("is no name for a lab"), "{output}");
    }
    let mut status = home.tokenlab(&["status"]).await;
    let output = ended(status.env("LAB_NAME", "Ä")).await;
    assert_eq!(output.status.code(), Some(2), "{output}");
    assert!(
        output
            .stderr
            .starts_with("error: LAB_NAME: `Ä` is no name for a lab"),
        "{output}"
    );
    for args in [
        ["status", "a", "-l", "b"],
        ["down", "a", "-l", "b"],
        ["up", "a", "-l", "b"],
    ] {
        let output = tokenlab(&home, &args).await;
        assert_eq!(output.status.code(), Some(2), "{output}");
        assert!(output.stderr.contains("cannot be used with"), "{output}");
    }
    let kept = tokenlab(&home, &["down", "--kept"]).await;
    assert_eq!(kept.status.code(), Some(2), "{kept}");
    nothing_left(&home).await;
}

/// What was set aside by a name in the environment is meant everywhere.
#[tokio::test]
async fn the_environment_names_one() {
    let home = Home::new().await;
    let mut starting = never_up(&home, "").await;
    starting.env("LAB_NAME", "named");
    let owner = Running::start(starting);
    stands(&home, "named", "starting").await;
    owner.signal(Signal::SIGINT);
    let output = owner.ended().await;
    assert_eq!(output.status.code(), Some(130), "{output}");
    nothing_left(&home).await;
}

/// It is set in each shell of a lab, and is nothing that was typed.
#[tokio::test]
async fn the_environment_contradicts_nothing() {
    let home = Home::new().await;
    for (args, code) in [
        (&["down", "--all", "--dry-run"][..], 0),
        (&["status", "typed"], 1),
        (&["down", "-l", "typed"], 1),
    ] {
        let mut command = home.tokenlab(args).await;
        command.env("DOCKER_HOST", "unix:///nowhere");
        let output = ended(command.env("LAB_NAME", "named")).await;
        assert_eq!(output.status.code(), Some(code), "{output}");
        assert_eq!(
            output.stderr.contains("no lab `typed`"),
            code == 1,
            "{output}"
        );
    }
}
