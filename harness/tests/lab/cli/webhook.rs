//! `set` and `watch`, used wrongly.

use rstest::rstest;

use super::outcome;

const MISSING: &str = "the following required arguments were not provided";

#[rstest]
#[case::token_alone(&["set", "t"], MISSING)]
#[case::answer_without_a_token(&["set", "--user", "ann"], MISSING)]
#[case::two_answers(&["set", "t", "--user", "ann", "--refuse"],
    "the argument '--user <NAME>' cannot be used with '--refuse'")]
#[case::two_tokens(&["set", "t", "--token-file", "f", "--refuse"],
    "the argument '[TOKEN]' cannot be used with '--token-file <FILE|->'")]
#[case::group_of_nobody(&["set", "t", "--refuse", "--group", "g"],
    "the argument '--refuse' cannot be used with '--group <GROUP>'")]
#[case::uid_of_nobody(&["set", "t", "--undecided", "why", "--uid", "7"],
    "the argument '--undecided <REASON>' cannot be used with '--uid <UID>'")]
#[case::extra_of_nobody(&["set", "t", "--refuse", "--extra", "k=v"],
    "the argument '--refuse' cannot be used with '--extra <KEY=VALUE>'")]
#[case::audience_of_nobody(&["set", "t", "--forget", "--audience", "a"],
    "the argument '--forget' cannot be used with '--audience <AUDIENCE>'")]
#[case::no_name(&["set", "t", "--user", ""], "a value is required for '--user <NAME>'")]
#[case::no_token(&["set", "", "--refuse"], "it is empty")]
#[case::dash(&["set", "-", "--refuse"], "the standard input is read by `--token-file -`")]
#[case::no_key(&["set", "t", "--user", "ann", "--extra", "=v"], "it is `KEY=VALUE`")]
#[case::down_and_up(&["set", "--down", "--up"],
    "the argument '--down' cannot be used with '--up'")]
#[case::fault_and_none(&["set", "--other-version", "--no-fault"],
    "the argument '--other-version' cannot be used with '--no-fault'")]
#[case::no_time(&["set", "--latency", "200"], "it is a length of time")]
#[case::before_now(&["set", "--latency", "-1s"], "it is a length of time")]
#[case::more_words(&["watch", "t"], "unexpected argument 't'")]
#[tokio::test]
async fn wrong_usage(#[case] args: &[&str], #[case] said: &str) {
    let output = outcome(args).await;
    assert_eq!(output.status.code(), Some(2), "{output}");
    assert!(output.stderr.starts_with("error: "), "{output}");
    assert!(output.stderr.contains(said), "{output}");
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
