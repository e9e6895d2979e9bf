//! Colours: on a terminal, and not with `NO_COLOR`. That a pipe gets none, the other tests see.

use crate::home::Home;
use crate::owner::ended;
use crate::skipped::{has, skip};

#[tokio::test]
async fn on_a_terminal_unless_no_color_is_set() {
    if !has("script") {
        skip(
            "cli::color::on_a_terminal_unless_no_color_is_set",
            "no `script` here",
        );
        return;
    }
    let home = Home::new().await;
    let mut shown = Vec::new();
    for no_color in [None, Some("1")] {
        let mut script = home.command("script").await;
        let failing = concat!("exec '", env!("CARGO_BIN_EXE_tokenlab"), "' demo");
        script
            .args(["-qfec", failing, "/dev/null"])
            .env("TERM", "xterm");
        // A failure before any progress is shown, which moves the cursor.
        script.env("TMPDIR", home.file("nowhere"));
        script.envs(no_color.map(|value| ("NO_COLOR", value)));
        let output = ended(&mut script).await;
        assert_eq!(output.status.code(), Some(1), "{output}");
        assert!(output.stdout.contains("hint:"), "{output}");
        shown.push(output.stdout);
    }
    assert!(shown[0].contains("\u{1b}["), "{shown:?}");
    assert!(!shown[1].contains('\u{1b}'), "{shown:?}");
}
