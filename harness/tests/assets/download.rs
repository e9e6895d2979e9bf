//! Downloads that go well and that do not.

use std::fs;

use rstest::rstest;
use tokenlab_harness::assets::{Source, State};

use crate::server::{Answer, Server, archive, digest, index, platform};
use crate::world::World;

#[tokio::test]
async fn an_archive_is_fetched_verified_and_unpacked() {
    let server = Server::start([]).await;
    let world = World::with(&server);
    let assets = world.ensure("1.37").await.expect("must be there");
    assert_eq!(assets.version.to_string(), "1.37.9");
    assert_eq!(assets.source, Source::Download);
    assert_eq!(
        assets.folder(),
        Some(world.sources.store.join(World::name()).as_path())
    );
    world.assert_whole();
    // The second time there is nothing to do.
    let again = world.ensure("1.37.9").await.expect("must be there");
    assert_eq!(again.source, Source::Store);
    assert_eq!(server.ranges(), [None]);
}

#[tokio::test]
async fn a_link_relative_to_the_index_and_an_absolute_one_are_followed() {
    let server = Server::start([]).await;
    for link in [
        "/archives/a.tar.gz".to_owned(),
        format!("{}archives/a.tar.gz", server.address),
    ] {
        server.set_index(index(
            "1.37.9",
            platform(),
            &server.hash().to_uppercase(),
            &link,
        ));
        let world = World::with(&server);
        world.ensure("1.37").await.expect("must be there");
        world.assert_whole();
    }
}

#[tokio::test]
async fn another_hash_is_refused_and_leaves_nothing() {
    let server = Server::start([]).await;
    server.set_index(index(
        "1.37.9",
        platform(),
        &"0".repeat(128),
        "archives/a.tar.gz",
    ));
    let world = World::with(&server);
    let reason = world
        .failure(Source::Download)
        .await
        .reason
        .expect("must have one");
    let expected = format!(
        "`{}archives/a.tar.gz` has another SHA-512 than the index says\n  expected {}\n  got      {}",
        server.address,
        "0".repeat(128),
        server.hash()
    );
    assert_eq!(reason, expected);
    assert_eq!(world.files(), [""; 0]);
    assert_eq!(
        server.ranges(),
        [None],
        "what is wrong as a whole is not fetched again"
    );
}

#[tokio::test]
async fn a_cut_connection_is_resumed() {
    let server = Server::start([Answer::Cut(1000), Answer::Cut(500)]).await;
    let world = World::with(&server);
    world.ensure("1.37").await.expect("must be there");
    world.assert_whole();
    let ranges = [
        None,
        Some("bytes=1000-".to_owned()),
        Some("bytes=1500-".to_owned()),
    ];
    assert_eq!(server.ranges(), ranges);
}

#[rstest]
#[case::that_knows_no_ranges(Answer::Whole)]
#[case::that_sends_another_part(Answer::WholeAsPart)]
#[tokio::test]
async fn a_server_is_believed_what_it_sends(#[case] answer: Answer) {
    let server = Server::start([Answer::Cut(1000), answer]).await;
    let world = World::with(&server);
    world.ensure("1.37").await.expect("must be there");
    world.assert_whole();
    assert_eq!(server.ranges(), [None, Some("bytes=1000-".to_owned())]);
}

#[rstest]
#[case::shorter(1000, Some("bytes=1000-"))]
#[case::as_long(usize::MAX, None)]
#[tokio::test]
async fn a_wrong_beginning_is_fetched_once_more(
    #[case] length: usize,
    #[case] range: Option<&str>,
) {
    let server = Server::start([]).await;
    let world = World::with(&server);
    let whole = archive(&["etcd", "kubectl", "kube-apiserver"]).len();
    fs::create_dir_all(world.partial().parent().expect("must have one")).expect("must make it");
    fs::write(world.partial(), vec![b'x'; length.min(whole)]).expect("must write it");
    world.ensure("1.37").await.expect("must be there");
    world.assert_whole();
    let range = range.map_or_else(|| format!("bytes={whole}-"), str::to_owned);
    assert_eq!(server.ranges(), [Some(range), None]);
}

#[tokio::test]
async fn what_is_always_cut_ends_with_an_error_and_goes_on_the_next_time() {
    let server = Server::start([
        Answer::Cut(10),
        Answer::Cut(0),
        Answer::Cut(0),
        Answer::Cut(0),
    ])
    .await;
    let world = World::with(&server);
    let reason = world
        .failure(Source::Download)
        .await
        .reason
        .expect("must have one");
    let start = format!(
        "`{}archives/a.tar.gz` was cut off after 10 bytes (3 tries)",
        server.address
    );
    assert!(reason.starts_with(&start), "{reason}");
    assert_eq!(
        world.files(),
        [format!("/.tokenlab/{}.tar.gz.partial", World::name())]
    );

    let before = server.ranges().len();
    world.ensure("1.37").await.expect("must be there");
    world.assert_whole();
    assert_eq!(
        server.ranges()[before..].first(),
        Some(&Some("bytes=10-".to_owned()))
    );
}

#[tokio::test]
async fn a_connection_that_stalls_is_given_up() {
    let server = Server::start([Answer::Stall(10), Answer::Good]).await;
    let mut world = World::with(&server);
    world.sources.patience.stall = std::time::Duration::from_secs(2);
    world.ensure("1.37").await.expect("must be there");
    assert_eq!(server.ranges(), [None, Some("bytes=10-".to_owned())]);
}

#[rstest]
#[case::not_found(&[404], 1, "answered 404 Not Found")]
#[case::unavailable(&[503, 503, 503], 3, "answered 503 Service Unavailable (3 tries)")]
#[tokio::test]
async fn an_archive_that_is_refused(
    #[case] statuses: &[u16],
    #[case] tries: usize,
    #[case] says: &str,
) {
    let server = Server::start(statuses.iter().copied().map(Answer::Status)).await;
    let world = World::with(&server);
    let reason = world
        .failure(Source::Download)
        .await
        .reason
        .expect("must have one");
    assert_eq!(
        reason,
        format!("`{}archives/a.tar.gz` {says}", server.address)
    );
    assert_eq!(server.ranges().len(), tries);
    assert_eq!(world.files(), [""; 0]);
}

#[rstest]
#[case::unavailable(503)]
#[case::too_many_requests(429)]
#[tokio::test]
async fn what_passes_is_tried_again(#[case] status: u16) {
    let server = Server::start([Answer::Status(status)]).await;
    server.index_answers(&[status]);
    let world = World::with(&server);
    world.ensure("1.37").await.expect("must be there");
    world.assert_whole();
    assert_eq!((server.index_requests(), server.ranges().len()), (2, 2));
}

#[rstest]
#[case::garbage("\u{0}\u{1}<html>", "the index is unreadable")]
#[case::something_else("releases: [1, 2]", "the index is unreadable")]
#[case::empty("", "the index is unreadable")]
#[case::other_version(&index("1.36.1", platform(), "00", "x"), "the index has no 1.37, but 1.36.1")]
#[case::other_machine(
    &index("1.37.1", "plan9-mips", "00", "x"),
    &format!("the index has 1.37.1 for envtest-v1.37.1-plan9-mips.tar.gz, not for {}", platform())
)]
#[case::malformed_link(&index("1.37.1", platform(), "00", "http://[x"), "the index has the malformed address `http://[x`")]
#[tokio::test]
async fn an_index_that_does_not_help(#[case] text: &str, #[case] says: &str) {
    let server = Server::start([]).await;
    server.set_index(text);
    let world = World::with(&server);
    let place = world.failure(Source::Download).await;
    let reason = place.reason.expect("must have one");
    assert!(reason.starts_with(says), "{reason}");
    assert!(
        place
            .hint
            .expect("must have one")
            .contains("LAB_ENVTEST_INDEX")
    );
    assert_eq!(server.ranges(), []);
}

#[tokio::test]
async fn an_archive_that_lacks_a_program_is_refused() {
    let server = Server::with_archive(archive(&["etcd", "kube-apiserver"]), []).await;
    let world = World::with(&server);
    let reason = world
        .failure(Source::Download)
        .await
        .reason
        .expect("must have one");
    assert_eq!(
        reason,
        format!(
            "`{}archives/a.tar.gz` holds no controller-tools/envtest/kubectl",
            server.address
        )
    );
    assert_eq!(world.files(), [""; 0]);
}

#[tokio::test]
async fn what_is_no_archive_is_refused() {
    let server = Server::with_archive(b"no archive at all".to_vec(), []).await;
    let world = World::with(&server);
    let reason = world
        .failure(Source::Download)
        .await
        .reason
        .expect("must have one");
    assert!(reason.contains("cannot be unpacked"), "{reason}");
    assert_eq!(world.files(), [""; 0]);
}

#[tokio::test]
async fn programs_of_another_version_than_the_index_says_are_refused() {
    let server = Server::start([]).await;
    server.set_index(index(
        "1.37.8",
        platform(),
        &server.hash(),
        "archives/a.tar.gz",
    ));
    let world = World::with(&server);
    let reason = world
        .failure(Source::Download)
        .await
        .reason
        .expect("must have one");
    assert!(reason.ends_with("says that it is 1.37.9"), "{reason}");
    assert_eq!(world.files(), [""; 0]);
}

#[tokio::test]
async fn a_survey_asks_the_index_only_when_told_to() {
    let server = Server::start([]).await;
    let world = World::with(&server);
    let wanted = "1.37".parse().expect("must be a version");
    let places = world.sources.survey(&wanted, false).await;
    assert_eq!(
        (places[3].source, places[3].state),
        (Source::Download, State::NotAsked)
    );
    assert_eq!(server.index_requests(), 0);
    let places = world.sources.survey(&wanted, true).await;
    assert_eq!(
        (places[3].state, places[3].versions_text()),
        (State::Taken, "1.37.9".to_owned())
    );
    assert_eq!(places[4].state, State::Failed, "there is no go");
}

#[test]
fn digests_are_those_of_sha_512() {
    // The first digits of the well-known digest of nothing.
    assert!(digest(b"").starts_with("cf83e1357eefb8bd"));
}
