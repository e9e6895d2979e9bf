//! The end of a process's log, as it stands in an error.

use camino::Utf8Path;

/// How many lines stand in an error, and how much of each.
pub(crate) const LINES: usize = 12;
const COLUMNS: usize = 400;

/// The last lines of a file from an offset on, each indented by four blanks; what cannot be
/// read is said. Stack traces at its end are left out: the lines that count stand before them.
pub(crate) fn tail(log: &Utf8Path, from: u64, lines: usize) -> String {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let text = match std::fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned(),
        Err(error) => return format!("    (log not readable: {error})"),
    };
    let mut all: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if all.is_empty() {
        return "    (the log is empty)".to_owned();
    }
    let traces = traces(&all);
    if traces < all.len() {
        all.truncate(traces);
        all.push("(here the log has a stack trace)");
    }
    all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| match line.char_indices().nth(COLUMNS) {
            Some((end, _)) => format!("    {}…", &line[..end]),
            None => format!("    {line}"),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Where the stack traces begin that a Go program ends its log with; its length when it has
/// none. In each, a function and, after a tab, its place take turns.
fn traces(log: &[&str]) -> usize {
    let mut begin = log.len();
    while let Some(before) = begin.checked_sub(1) {
        let place = log[before].starts_with('\t');
        let function = log.get(begin).is_some_and(|next| next.starts_with('\t'));
        if !place && !function && !log[before].starts_with("goroutine ") {
            break;
        }
        begin = before;
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(log: &str, from: u64) -> String {
        let file = tempfile::NamedTempFile::new().expect("must be made");
        std::fs::write(file.path(), log).expect("must be written");
        let path = Utf8Path::from_path(file.path()).expect("must be UTF-8");
        tail(path, from, 3)
    }

    #[test]
    fn the_last_lines_of_a_log() {
        assert_eq!(tail_of("1\n2\n\n3\n4", 0), "    2\n    3\n    4");
        assert_eq!(tail_of("\n\n", 0), "    (the log is empty)");
        assert_eq!(tail_of("old\nnew\n", 4), "    new");
        let long = tail_of(&"é".repeat(1000), 0);
        assert_eq!(long, format!("    {}…", "é".repeat(COLUMNS)));
        let missing = tail("/nowhere/log".into(), 0, 3);
        assert!(missing.starts_with("    (log not readable: "), "{missing}");
    }

    #[test]
    fn a_stack_trace_does_not_hide_what_led_to_it() {
        let log =
            "no space\npanic: cannot\n\ngoroutine 1 [running]:\nmain.f()\n\t1\nmain.main()\n\t2\n";
        assert_eq!(
            tail_of(log, 0),
            "    no space\n    panic: cannot\n    (here the log has a stack trace)"
        );
        // One that the program survived is like any other line.
        let log = "goroutine 7 [running]:\nmain.f()\n\t1\nlater\nlast";
        assert_eq!(tail_of(log, 0), "    \t1\n    later\n    last");
    }
}
