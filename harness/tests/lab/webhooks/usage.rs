//! Wrong flags and files: said at once, by the flag and the file, and nothing is started.

use rstest::rstest;
use tokenlab_webhook::pki::CertificateAuthority;

use crate::home::Home;
use crate::owner::ended;

#[rstest]
#[case::plain_http("--webhook-url http://127.0.0.1/ --ca {ca}", 2, "its scheme is `http`")]
#[case::no_url("--webhook-url nowhere --ca {ca}", 2, "it is not a URL")]
#[case::a_password(
    "--webhook-url https://a:secret@h/ --ca {ca}",
    2,
    "it has a user in it"
)]
#[case::no_authority("--webhook-url https://127.0.0.1:1/", 2, "--ca <FILE>")]
#[case::an_authority_alone("--ca {ca}", 2, "--webhook-url <URL>")]
#[case::a_certificate_alone("{url} --client-cert {cert}", 2, "--client-key <FILE>")]
#[case::a_missing_file(
    "{url_alone} --ca {folder}/no.crt",
    1,
    "`--ca {folder}/no.crt` cannot be read: No such file"
)]
#[case::a_key_for_an_authority(
    "{url_alone} --ca {key}",
    1,
    "`--ca {key}` cannot be used: there is no certificate in it"
)]
#[case::a_key_of_another(
    "{url} --client-cert {cert} --client-key {other}",
    1,
    "`--client-cert {cert}` with `--client-key {other}` cannot be used: the key does not match the certificate"
)]
#[case::no_key(
    "{url} --client-cert {cert} --client-key {cert}",
    1,
    "the key's file has no unencrypted private key"
)]
#[case::no_name(
    "{url} --server-name a..b",
    1,
    "`--server-name` cannot be used: `a..b` is not a DNS name"
)]
#[case::two_webhooks("{url} --webhook-command true", 2, "cannot be used with")]
#[case::no_command("--webhook-command ''", 2, "it is empty")]
#[case::an_open_quote("--webhook-command 'a \"b'", 2, "a quotation mark in it is not closed")]
#[case::a_misspelt_placeholder(
    "--webhook-command 'true {adress}'",
    2,
    "`{adress}` in it is none of `{port}`, `{address}`"
)]
#[case::no_program("--webhook-command ./nothing", 1, "there is no program `./nothing`")]
#[case::no_path(
    "--webhook-command true --webhook-path authn",
    2,
    "a path begins with `/`"
)]
#[case::an_image_without_a_node(
    "--webhook-image a:v1",
    2,
    "`--webhook-image` is for a real cluster"
)]
#[case::a_command_in_a_cluster(
    "--backend kind --webhook-command true",
    2,
    "`--webhook-command` is for the bare backend"
)]
#[case::how_to_reach_elsewhere(
    "--backend kind --reach dns {url}",
    2,
    "are for a webhook that is deployed"
)]
#[case::no_archive(
    "--backend kind --webhook-image {folder}/no.tar",
    1,
    "no.tar` cannot be read"
)]
#[case::no_image(
    "--backend kind --webhook-image A:B:C",
    1,
    "names no file and no image"
)]
#[case::a_token_for_the_mock("--token abc", 2, "--webhook-command <COMMAND>")]
#[case::a_token_that_no_header_carries(
    "--webhook-command true --token 'a b'",
    1,
    "no `Authorization: Bearer` header can carry"
)]
#[case::no_token(
    "--webhook-command true --token-file {folder}/empty",
    1,
    "there is no token in `{folder}/empty`"
)]
#[case::a_token_without_an_end(
    "--webhook-command true --token-file /dev/zero",
    1,
    "it is larger than 1048576 octets"
)]
#[case::which_cluster("--backend existing", 2, "needs `--kubeconfig FILE`")]
#[case::not_an_existing_one("--kubeconfig {ca}", 2, "add `--backend existing`")]
#[case::not_made_here(
    "--backend existing --kubeconfig {ca} --kubernetes 1.37",
    2,
    "`--kubernetes` is for a cluster that is made here"
)]
#[case::nothing_to_deploy(
    "--backend existing --kubeconfig {ca} {url}",
    2,
    "leaves nothing to do"
)]
#[tokio::test]
async fn is_refused(#[case] args: &str, #[case] code: i32, #[case] said: &str) {
    let home = Home::new().await;
    let authority = CertificateAuthority::new("somebody").expect("must be made");
    let client = |name| authority.client(name, &[]).expect("must be made");
    let (one, other) = (client("one"), client("other"));
    let files = [
        ("ca", authority.certificate_pem()),
        ("cert", one.certificate_pem()),
        ("key", one.key_pem()),
        ("other", other.key_pem()),
        ("empty", "\n"),
    ];
    let folder = home.file("files");
    std::fs::create_dir(&folder).expect("must be made");
    let fill = |text: &str| {
        let text = text
            .replace("{url}", "{url_alone} --ca {ca}")
            .replace("{url_alone}", "--webhook-url https://127.0.0.1:1/")
            .replace("{folder}", folder.as_str());
        files.iter().fold(text, |text, (name, _)| {
            text.replace(&format!("{{{name}}}"), folder.join(name).as_str())
        })
    };
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("must be written");
    }
    let words = shlex::split(&fill(args)).expect("must be words");
    let words: Vec<_> = std::iter::once("demo")
        .chain(words.iter().map(String::as_str))
        .collect();
    let output = ended(&mut home.tokenlab(&words).await).await;
    assert_eq!(output.status.code(), Some(code), "{output}");
    assert!(output.stderr.contains(&fill(said)), "{output}");
    assert!(!output.stderr.contains("secret"), "{output}");
    assert!(!output.stderr.contains("starting"), "{output}");
    home.nothing_left().await;
}
