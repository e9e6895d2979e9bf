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

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;
    use crate::cli::settings::Settings;

    #[test]
    fn three_names() {
        let field = "http2_max_streams_per_connection";
        assert_eq!(flag(field), "--http2-max-streams-per-connection");
        assert_eq!(
            variable(field),
            "TOKENLAB_WEBHOOK_HTTP2_MAX_STREAMS_PER_CONNECTION"
        );
        assert_eq!(key(field), "http2MaxStreamsPerConnection");
    }

    /// What an error calls a setting is what it can be set by.
    #[test]
    fn settings_have_these_names() {
        let unknown = serde_json::from_str::<Settings>(r#"{"none": 1}"#).expect_err("no such key");
        let unknown = unknown.to_string();
        let command = Settings::augment_args(Command::new("serve"));
        assert!(command.get_arguments().count() > 20);
        for argument in command.get_arguments() {
            let field = argument.get_id().as_str();
            assert_eq!(argument.get_long(), flag(field).strip_prefix("--"));
            let key = key(field);
            assert!(unknown.contains(&format!("`{key}`")), "{key} in {unknown}");
        }
    }
}
