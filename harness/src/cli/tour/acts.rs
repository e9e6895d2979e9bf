//! What steps do that is the same on every backend.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use similar::TextDiff;
use tokenlab_harness::{Kubectl, Output, SERVICE_NAME, Unauthenticated};

use super::page::TIED;
use super::scenes;
use super::step::Outcome;
use super::typist::Typist;
use super::users::Users;

/// In a webhook's answer to a good token.
const AUTHENTICATED: &str = "\"authenticated\":true";

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
    let errors = (output.stderr.lines()).map(|line| {
        if line.contains("memcache.go:") {
            "…"
        } else {
            line
        }
    });
    let mut lines: Vec<_> = output.stdout.lines().chain(errors).collect();
    lines.dedup_by(|line, before| *line == "…" && *before == "…");
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
    Ok(Outcome::new(look).marked_where(&said, |line| line != "…"))
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
pub(super) async fn plain_http(typist: &Typist, address: SocketAddr) -> anyhow::Result<Outcome> {
    let outcome = Outcome::new("authenticated: the token is mock's; nothing but POST is taken");
    let outcome = typist.see(outcome, scenes::REVIEW, "TokenReview", false);
    let posted = scenes::post_plainly(address);
    let outcome = typist.see(outcome.await?, &posted, AUTHENTICATED, true);
    let got = scenes::get_plainly(address);
    typist.see(outcome.await?, &got, " 405 ", true).await
}

/// What is in the webhook's certificate; and what Go makes of one without names, by this kubectl.
pub(super) async fn certificates(
    typist: &Typist,
    port: u16,
    by_common_name: &Kubectl,
    file: &str,
) -> anyhow::Result<Outcome> {
    let outcome =
        Outcome::new("the name that counts is under Subject Alternative Name; CN alone is refused");
    let name = format!("DNS:{SERVICE_NAME}");
    let shown = scenes::certificate(port);
    let outcome = typist.see(outcome, &shown, &name, true).await?;
    let arguments = [
        "create",
        "--raw",
        tokenlab_webhook::PATH,
        "--filename",
        file,
    ];
    let refused = by_common_name.run(arguments).await?;
    // Go's `crypto/x509/verify.go`, `HostnameError`.
    let why = "certificate relies on legacy Common Name field, use SANs instead";
    let said = expected(&refused, refused.stderr.contains(why), "that it wants SANs")?;
    Ok(outcome.marked(&said))
}

/// Posts the review over TLS, with the CA and without.
pub(super) async fn tls(typist: &Typist, port: u16) -> anyhow::Result<Outcome> {
    let outcome = Outcome::new("who knows the CA gets the answer, and nobody on the way sees it");
    let with = scenes::post(port);
    let outcome = typist.see(outcome, &with, AUTHENTICATED, true);
    let without = scenes::post_without_ca(port);
    // 60: the peer's certificate cannot be verified (curl(1), exit codes).
    typist
        .see(outcome.await?, &without, "curl: (60)", true)
        .await
}

/// A request that was not authenticated.
pub(super) struct Broken {
    /// What kubectl said.
    pub(super) said: String,
    /// The line in kube-apiserver's log.
    pub(super) line: String,
    /// What that line says.
    pub(super) found: Unauthenticated,
}

impl Broken {
    /// To the user, and in the log.
    pub(super) fn shown(&self, outcome: Outcome) -> anyhow::Result<Outcome> {
        let cause = self
            .found
            .cause
            .context("the log does not tell the cause")?;
        let mut outcome = outcome
            .plain(&self.said)
            .marked(&self.line)
            .plain(&format!("Remedy: {}.", cause.remedy()));
        outcome.look = format!("the cause by the log: {cause}");
        Ok(outcome)
    }
}
