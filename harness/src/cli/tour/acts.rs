//! What steps do that is the same on every backend.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use similar::TextDiff;
use tokenlab_harness::{Kubectl, Output, SERVICE_NAME, Unauthenticated};

use super::page::TIED;
use super::review;
use super::step::Outcome;
use super::users::Users;
use super::web::{self, Served};

/// What kubectl says, in the end, when the apiserver does not know who asks
/// (`kubectl/pkg/cmd/util/helpers.go`, v0.37.2).
const UNAUTHORIZED: &str = "error: You must be logged in to the server";

pub(super) fn is_unauthorized(output: &Output) -> bool {
    let last = output.stderr.lines().last().unwrap_or_default();
    last.starts_with(UNAUTHORIZED)
}

pub(super) fn is_forbidden(output: &Output) -> bool {
    output.stderr.trim_end() == super::super::demo::FORBIDDEN
}

/// The output of a kubectl that said what it had to.
pub(super) fn expected(output: &Output, is_so: bool, what: &str) -> anyhow::Result<String> {
    if !is_so {
        bail!("kubectl did not say {what}; it said:\n{output}");
    }
    // What kubectl logs on its way, five times the same, is left out.
    let logged = |line: &&str| line.contains("memcache.go:");
    let errors = output.stderr.lines().filter(|line| !logged(line));
    let lines: Vec<_> = output.stdout.lines().chain(errors).collect();
    Ok(lines.join("\n"))
}

/// The apiserver before it has a webhook.
pub(super) async fn unknown(users: &Users) -> anyhow::Result<Outcome> {
    let output = users.get().await?;
    let said = expected(
        &output,
        is_unauthorized(&output),
        "that nobody is logged in",
    )?;
    let look = "Unauthorized: 401. The apiserver does not know the token, and asks nobody";
    Ok(Outcome::new(look).marked(&said))
}

/// The difference of two texts, line by line.
pub(super) fn difference(before: &str, after: &str, look: &str) -> Outcome {
    let diff = TextDiff::from_lines(before, after);
    let diff = diff.unified_diff().context_radius(1).to_string();
    // Where a hunk is, is of no use to anyone here.
    let lines: Vec<_> = diff
        .lines()
        .filter(|line| !line.starts_with("@@"))
        .collect();
    // A flag that is broken is two.
    let lines = lines.join("\n").replace(' ', &TIED.to_string());
    Outcome::new(look).marked_where(&lines, |line| line.starts_with('+'))
}

/// What is in the kubeconfig of the token's user.
pub(super) async fn kubeconfig(users: &Users) -> anyhow::Result<Outcome> {
    let view = users.mock.run(["config", "view"]).await?;
    let view = expected(&view, view.status.success(), "what is in the kubeconfig")?;
    let look = "a user with a token and no client certificate: that would beat the token";
    Ok(Outcome::new(look).marked_where(&view, |line| line.contains("token: ")))
}

/// The token is known, and its user may do nothing.
pub(super) async fn forbidden(users: &Users) -> anyhow::Result<Outcome> {
    let output = users.get().await?;
    let said = expected(&output, is_forbidden(&output), "that \"mock\" is forbidden")?;
    let look = "Forbidden: 403, not 401. The token was recognised, and mock may do nothing";
    Ok(Outcome::new(look).marked(&said))
}

/// The group is let in.
pub(super) async fn allowed(users: &mut Users) -> anyhow::Result<Outcome> {
    let said = users.bind().await?;
    let output = users.get().await?;
    let listed = expected(
        &output,
        output.status.success(),
        "which namespaces there are",
    )?;
    let look = "listed. The binding names the group that the webhook's answer has";
    Ok(Outcome::new(look).plain(&said).marked(&listed))
}

/// Posts the review over plain HTTP, and asks with another method.
pub(super) async fn plain_http(plain: &Served) -> anyhow::Result<Outcome> {
    let client = web::client(None, plain.address)?;
    let posted = client.post(plain.url()).json(&review()).send().await?;
    let body = posted.error_for_status()?.text().await?;
    let got = client.get(plain.url()).send().await?;
    let (status, allow) = (got.status(), got.headers().get(http::header::ALLOW));
    let allow = allow
        .and_then(|allow| allow.to_str().ok())
        .unwrap_or_default();
    if status != http::StatusCode::METHOD_NOT_ALLOWED {
        bail!("the webhook answered {status} to a GET");
    }
    let got = format!("HTTP/1.1 {status}\nallow: {allow}");
    Ok(
        Outcome::new("authenticated: the token is mock's; and nothing but POST is taken")
            .marked(&body)
            .plain(&got),
    )
}

/// What is in the webhook's certificate; and what Go makes of one without names, by this kubectl.
pub(super) async fn certificates(
    authority: &str,
    address: SocketAddr,
    by_common_name: &Kubectl,
    file: &str,
) -> anyhow::Result<Outcome> {
    let certificate = web::certificate(authority, address).await?;
    let arguments = [
        "create",
        "--raw",
        tokenlab_webhook::PATH,
        "--filename",
        file,
    ];
    let refused = by_common_name.run(arguments).await?;
    let said = refused.stderr.trim_end();
    // Go's `crypto/x509/verify.go`, `HostnameError`.
    let is_so = said.contains("certificate relies on legacy Common Name field, use SANs instead");
    let said = expected(&refused, is_so, "that it wants SANs")?;
    let name = format!("DNS:{SERVICE_NAME}");
    Ok(
        Outcome::new("the name that counts is under Subject Alternative Name; CN alone is refused")
            .marked_where(&certificate, |line| line.trim() == name)
            .plain("")
            .marked(&said),
    )
}

/// Posts the review over TLS, with the CA and without.
pub(super) async fn tls(authority: &str, address: SocketAddr) -> anyhow::Result<Outcome> {
    let url = format!(
        "https://{SERVICE_NAME}:{}{}",
        address.port(),
        tokenlab_webhook::PATH
    );
    let trusting = web::client(Some(authority), address)?;
    let posted = trusting.post(&url).json(&review()).send().await?;
    let body = posted.error_for_status()?.text().await?;
    let error = (web::client(None, address)?
        .post(&url)
        .json(&review())
        .send()
        .await)
        .err()
        .context("a client without the CA was served")?;
    let mut why: &dyn std::error::Error = &error;
    while let Some(source) = why.source() {
        why = source;
    }
    Ok(
        Outcome::new("who knows the CA gets the answer, and nobody on the way sees the token")
            .marked(&body)
            .plain(&format!("without the CA: {why}")),
    )
}

/// What a request that was not authenticated looks like: to the user, and in the log.
pub(super) fn failure(said: &str, found: &Unauthenticated) -> anyhow::Result<Outcome> {
    let cause = found.cause.context("the log does not tell the cause")?;
    Ok(Outcome::new(format!("the cause by the log: {cause}"))
        .plain(said)
        .marked(&format!(
            "\"Unable to authenticate the request\" err=\"{}\"",
            found.error
        ))
        .plain(&format!("Remedy: {}.", cause.remedy())))
}
