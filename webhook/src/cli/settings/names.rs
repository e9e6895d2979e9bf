//! A setting's names.

/// `max_in_flight` on the command line: `--max-in-flight`.
pub(crate) fn flag(field: &str) -> String {
    format!("--{}", field.replace('_', "-"))
}

/// `max_in_flight` in the environment: `TOKENLAB_WEBHOOK_MAX_IN_FLIGHT`.
pub(crate) fn variable(field: &str) -> String {
    format!("TOKENLAB_WEBHOOK_{}", field.to_ascii_uppercase())
}

/// `max_in_flight` in the file: `maxInFlight`.
pub(crate) fn key(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |key, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        format!("{key}{}{rest}", initial.to_ascii_uppercase())
    })
}
