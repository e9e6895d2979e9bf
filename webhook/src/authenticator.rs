//! The one trait to implement.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::{Decision, Review};

/// Decides whose a token is.
///
/// A whole webhook, with an authenticator that knows the tokens `hello-NAME`:
///
/// ```
/// use tokenlab_webhook::pki::CertificateAuthority;
/// use tokenlab_webhook::{Authenticator, Decision, Review, Server, Tls, User, router};
///
/// struct Greeter;
///
/// impl Authenticator for Greeter {
///     async fn authenticate(&self, review: &Review) -> Decision {
///         match review.token.expose().strip_prefix("hello-") {
///             Some(name) => Decision::authenticated(User::new(name).with_group("greeters")),
///             None => Decision::Refused,
///         }
///     }
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let authority = CertificateAuthority::new("lab")?;
///     let tls = Tls::from_certificate(&authority.serving(&["localhost"])?)?;
///     let server = Server::bind(([127, 0, 0, 1], 0).into(), Some(tls)).await?;
/// #   let address = server.local_addr();
/// #   let (stopped, stop) = tokio::sync::oneshot::channel::<()>();
/// #   let stop = async { stop.await.unwrap_or_default() };
/// #   let serving = tokio::spawn(
///     server.serve(router(Greeter), stop)
/// #   );
/// #   rustls::crypto::ring::default_provider().install_default().expect("the first");
/// #   let root = reqwest::Certificate::from_pem(authority.certificate_pem().as_bytes())?;
/// #   let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]);
/// #   let client = client.resolve("localhost", address).build()?;
/// #   let url = format!("https://localhost:{}/authenticate", address.port());
/// #   for (token, status) in [
/// #       ("hello-ann", r#"{"authenticated":true,"user":{"username":"ann","groups":["greeters"]}}"#),
/// #       ("bye-ann", r#"{"authenticated":false}"#),
/// #   ] {
/// #       let kind = r#""apiVersion":"authentication.k8s.io/v1","kind":"TokenReview""#;
/// #       let review = format!(r#"{{{kind},"spec":{{"token":"{token}"}}}}"#);
/// #       let request = client.post(&url).header("content-type", "application/json");
/// #       let answer = request.body(review).send().await?.text().await?;
/// #       assert_eq!(answer, format!(r#"{{{kind},"status":{status}}}"#));
/// #   }
/// #   drop(stopped);
/// #   serving
///         .await;
///     Ok(())
/// }
/// ```
///
/// # Caveats
/// - The apiserver asks last, with every token that nobody else knew: expired service account
///   tokens among them. Refuse what is not yours.
/// - [`Server`](crate::Server) answers the reviews of one HTTP/2 connection, that is usually all
///   of an apiserver's, in one task. Hashing a password belongs into `spawn_blocking`.
/// - The future is dropped when the caller goes away, and may be at any `await`.
pub trait Authenticator: Send + Sync + 'static {
    /// Decides about one review.
    fn authenticate(&self, review: &Review) -> impl Future<Output = Decision> + Send;
}

impl<T: Authenticator> Authenticator for Arc<T> {
    fn authenticate(&self, review: &Review) -> impl Future<Output = Decision> + Send {
        T::authenticate(self, review)
    }
}

/// An authenticator of any type, for composing several, as
/// [`FirstMatch`](crate::authenticators::FirstMatch) does. Cloning shares it.
#[derive(Clone)]
pub struct BoxAuthenticator(Arc<dyn DynAuthenticator>);

impl BoxAuthenticator {
    /// Forgets the type of `authenticator`. One that is boxed already stays as it is.
    pub fn new(authenticator: impl Authenticator) -> Self {
        let mut authenticator = Some(authenticator);
        let same: &mut dyn Any = &mut authenticator;
        // In a second box it would be asked through two.
        let boxed = same.downcast_mut().and_then(Option::take);
        boxed.unwrap_or_else(|| Self(Arc::new(authenticator.expect("it must be there still"))))
    }
}

impl Authenticator for BoxAuthenticator {
    async fn authenticate(&self, review: &Review) -> Decision {
        self.0.authenticate_boxed(review).await
    }
}

impl fmt::Debug for BoxAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoxAuthenticator").finish_non_exhaustive()
    }
}

/// The trait as it can stand behind a pointer.
trait DynAuthenticator: Send + Sync {
    fn authenticate_boxed<'a>(
        &'a self,
        review: &'a Review,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>>;
}

impl<A: Authenticator> DynAuthenticator for A {
    fn authenticate_boxed<'a>(
        &'a self,
        review: &'a Review,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(self.authenticate(review))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticators::FirstMatch;
    use crate::{Mock, User};

    struct Nobody;

    impl Authenticator for Nobody {
        async fn authenticate(&self, _review: &Review) -> Decision {
            Decision::Refused
        }
    }

    #[tokio::test]
    async fn boxes_compose() {
        let review = Review::new("token");
        let mock = BoxAuthenticator::new(Arc::new(Mock));
        let one = FirstMatch::new([BoxAuthenticator::new(Nobody)]);
        assert_eq!(one.authenticate(&review).await, Decision::Refused);
        let two = FirstMatch::new([BoxAuthenticator::new(one), mock.clone(), mock]);
        let mock = User::new("mock").with_uid("mock").with_group("group-mock");
        assert_eq!(
            two.authenticate(&review).await,
            Decision::authenticated(mock)
        );
    }
}
