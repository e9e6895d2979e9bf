//! `set` and `watch`, used wrongly.

use rstest::rstest;

use super::outcome;

#[rstest]
#[case::token_alone(&["set", "t"])]
#[case::answer_without_a_token(&["set", "--user", "ann"])]
#[case::two_answers(&["set", "t", "--user", "ann", "--refuse"])]
#[case::two_tokens(&["set", "t", "--token-file", "f", "--refuse"])]
#[case::group_of_nobody(&["set", "t", "--refuse", "--group", "g"])]
#[case::uid_of_nobody(&["set", "t", "--undecided", "why", "--uid", "7"])]
#[case::extra_of_nobody(&["set", "t", "--refuse", "--extra", "k=v"])]
#[case::audience_of_nobody(&["set", "t", "--forget", "--audience", "a"])]
#[case::no_name(&["set", "t", "--user", ""])]
#[case::no_token(&["set", "", "--refuse"])]
#[case::no_key(&["set", "t", "--user", "ann", "--extra", "=v"])]
#[case::down_and_up(&["set", "--down", "--up"])]
#[case::fault_and_none(&["set", "--other-version", "--no-fault"])]
#[case::no_time(&["set", "--latency", "200"])]
#[case::more_words(&["watch", "t"])]
#[tokio::test]
async fn wrong_usage(#[case] args: &[&str]) {
    let output = outcome(args).await;
    assert_eq!(output.status.code(), Some(2), "{output}");
    assert!(output.stderr.starts_with("error: "), "{output}");
}

#[tokio::test]
async fn a_token_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("must be made");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("empty"), "\n").expect("must be written");
    for (file, why) in [
        (path("missing"), "no token could be read from"),
        (path("empty"), "there is no token in"),
        ("/dev/zero".to_owned(), "larger than 1048576 octets"),
    ] {
        let output = outcome(&["set", "--refuse", "--token-file", &file]).await;
        assert_eq!(output.status.code(), Some(1), "{output}");
        assert!(output.stderr.contains(why), "{output}");
    }
}
