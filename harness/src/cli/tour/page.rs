//! How a step looks: prose wrapped at the terminal's width, commands as one types them, output with
//! its marks. What is to be seen is seen without colour too.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::step::{Outcome, Scene, Step};

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const COMMAND: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const MARK: Style = AnsiColor::Yellow.on_default().bold();
const DONE: Style = AnsiColor::Green.on_default().bold();

/// A space at which no line is broken.
pub(super) const TIED: char = '\u{a0}';

/// Narrower than this nothing is wrapped by us: the terminal breaks it.
const NARROWEST: usize = 40;

/// The step, before it runs.
pub(super) fn scene(step: Step, scene: &Scene, width: usize) -> String {
    let width = width.max(NARROWEST);
    let title = format!("━━ {}/{} {} ", step.number(), Step::ALL.len(), step.title());
    let rule = "━".repeat(width.saturating_sub(textwrap::core::display_width(&title)));
    let mut page = format!("\n{TITLE}{title}{rule}{TITLE:#}\n");
    page.push_str(&prose(&scene.why, width));
    for command in &scene.commands {
        let mut lines = command.lines();
        let first = lines.next().unwrap_or_default();
        // A comment is no command: nothing is typed there.
        let prompt = if first.starts_with('#') { " " } else { "$" };
        let mut begin = format!("\n  {DIM}{prompt}{DIM:#} ");
        for line in std::iter::once(first).chain(lines) {
            for part in folded(line, width - 4) {
                let _ = write!(page, "{begin}{COMMAND}{part}{COMMAND:#}");
                "\n    ".clone_into(&mut begin);
            }
        }
    }
    if !scene.commands.is_empty() {
        page.push('\n');
    }
    page
}

/// What came of it.
pub(super) fn outcome(outcome: &Outcome, seconds: f64, width: usize) -> String {
    let width = width.max(NARROWEST);
    let mut page = String::new();
    for line in &outcome.lines {
        let (first, style) = if line.marked {
            ("▶ ", MARK)
        } else {
            ("  ", Style::new())
        };
        for (index, part) in wrapped(&line.text, width - 2).iter().enumerate() {
            let begin = if index == 0 { first } else { "  " };
            let line = format!("{begin}{}", spaced(part));
            let _ = writeln!(page, "{style}{}{style:#}", line.trim_end());
        }
    }
    // A time is not broken.
    let done = format!("✓ {} ({seconds:.2}{TIED}s)", outcome.look);
    for (index, part) in wrapped(&done, width - 2).iter().enumerate() {
        let begin = if index == 0 { "" } else { "  " };
        let part = spaced(part);
        let _ = writeln!(page, "{DONE}{begin}{part}{DONE:#}");
    }
    page
}

/// What can be pressed.
pub(super) fn prompt(text: &str) -> String {
    format!("\n{DIM}{text}{DIM:#} ")
}

/// A paragraph.
pub(super) fn prose(text: &str, width: usize) -> String {
    let mut lines = wrapped(text, width.max(NARROWEST)).join("\n");
    lines.push('\n');
    lines
}

/// What [`TIED`] held together.
fn spaced(text: &str) -> String {
    text.replace(TIED, " ")
}

/// A line of a command in several that a shell reads as one.
fn folded(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = line.to_owned();
    while rest.chars().count() > width && !rest.starts_with('#') {
        // A space, and a backslash.
        let fits: String = rest.chars().take(width - 1).collect();
        let mut spaces = fits.rmatch_indices(' ').map(|(space, _)| space);
        // Between apostrophes a backslash is one.
        let may = |before: &str| {
            let quotes = before.matches('\'').count();
            quotes.is_multiple_of(2) && !before.trim_start().is_empty()
        };
        let Some(space) = spaces.find(|space| may(&rest[..*space])) else {
            break;
        };
        let behind = rest.split_off(space);
        if behind.trim() == "\\" {
            rest.push_str(&behind);
            break;
        }
        lines.push(format!("{rest} \\"));
        rest = format!("    {}", behind.trim_start());
    }
    lines.push(rest);
    lines
}

/// Breaks between words alone: a path that is cut cannot be copied.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    if text.is_empty() {
        return vec![String::new()];
    }
    let indent: String = text.chars().take_while(|char| *char == ' ').collect();
    let options = textwrap::Options::new(width)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::Custom(words))
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .subsequent_indent(&indent);
    let lines = textwrap::wrap(text, options);
    lines
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect()
}

/// They end at a space, and behind a comma: JSON has no spaces.
fn words(line: &str) -> Box<dyn Iterator<Item = textwrap::core::Word<'_>> + '_> {
    let mut words = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find([' ', ',']).unwrap_or(rest.len());
        let comma = usize::from(rest[end..].starts_with(','));
        let spaces = rest[end + comma..].bytes().take_while(|byte| *byte == b' ');
        let (word, behind) = rest.split_at(end + comma + spaces.count());
        words.push(textwrap::core::Word::from(word));
        rest = behind;
    }
    Box::new(words.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(page: &str) -> String {
        anstream::adapter::strip_str(page).to_string()
    }

    #[test]
    fn a_command_is_folded_where_a_shell_reads_on() {
        for (line, parts) in [
            ("kubectl get ns", &["kubectl get ns"][..]),
            (
                "kubectl -n kube-system get pods",
                &["kubectl -n \\", "    kube-system \\", "    get pods"],
            ),
            (
                "grep 'Unable to authenticate' x",
                &["grep \\", "    'Unable to authenticate' x"],
            ),
            (
                "cat /a/path/that/is/too/long \\",
                &["cat \\", "    /a/path/that/is/too/long \\"],
            ),
            (
                "# a comment that is too long",
                &["# a comment that is too long"],
            ),
        ] {
            assert_eq!(folded(line, 20), parts);
        }
    }

    #[test]
    fn prose_is_wrapped_and_commands_are_not_broken() {
        let path = format!("/tmp/{}", "x".repeat(60));
        let page = scene(
            Step::Forbidden,
            &Scene {
                why: "The token was recognised, and mock may do nothing.".to_owned(),
                commands: vec![format!("cat {path} \\\n    more"), "# by hand".to_owned()],
            },
            40,
        );
        let expected = format!(
            "\n━━ 8/13 Forbidden for \"mock\" ━━━━━━━━━━━\n\
             The token was recognised, and mock may\ndo nothing.\n\n  \
             $ cat \\\n        {path} \\\n        more\n    # by hand\n"
        );
        assert_eq!(plain(&page), expected);
    }

    #[test]
    fn json_is_broken_behind_a_comma() {
        let answer = Outcome::new("It is so").marked(
            r#"{"kind":"TokenReview","status":{"authenticated":true,"user":{"groups":["a","b"]}}}"#,
        );
        assert_eq!(
            plain(&outcome(&answer, 0.5, 60)),
            "▶ {\"kind\":\"TokenReview\",\"status\":{\"authenticated\":true,\n  \
             \"user\":{\"groups\":[\"a\",\"b\"]}}}\n\
             ✓ It is so (0.50 s)\n"
        );
    }

    #[test]
    fn what_to_look_at_is_marked_without_colour_too() {
        let shown = Outcome::new("It is so")
            .plain("before")
            .marked("a line that is longer than the terminal is wide")
            .plain("  indented, and longer than the terminal");
        assert_eq!(
            plain(&outcome(&shown, 0.5, 40)),
            "  before\n\
             ▶ a line that is longer than the\n  terminal is wide\n    \
             indented, and longer than the\n    terminal\n\
             ✓ It is so (0.50 s)\n"
        );
    }
}
