//! The one trait to implement.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::{Decision, Review};

/// Decides whose a token is.
///
/// ```
/// use tokenlab_webhook::{Authenticator, Decision, Review, User};
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
/// let router = tokenlab_webhook::router(Greeter);
/// # let _: axum::Router = router;
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

/// An authenticator of any type, for composing several. Cloning shares it.
#[derive(Clone)]
pub struct BoxAuthenticator(Arc<dyn DynAuthenticator>);

impl BoxAuthenticator {
    /// Forgets the type of `authenticator`.
    pub fn new(authenticator: impl Authenticator) -> Self {
        Self(Arc::new(authenticator))
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
    use crate::{Mock, User};

    struct Nobody;

    impl Authenticator for Nobody {
        async fn authenticate(&self, _review: &Review) -> Decision {
            Decision::Refused
        }
    }

    struct FirstMatch(Vec<BoxAuthenticator>);

    impl Authenticator for FirstMatch {
        async fn authenticate(&self, review: &Review) -> Decision {
            for authenticator in &self.0 {
                let decision = authenticator.authenticate(review).await;
                if decision != Decision::Refused {
                    return decision;
                }
            }
            Decision::Refused
        }
    }

    #[tokio::test]
    async fn boxes_compose() {
        let review = Review::new("token");
        let mock = BoxAuthenticator::new(Arc::new(Mock));
        let one = FirstMatch(vec![BoxAuthenticator::new(Nobody)]);
        assert_eq!(one.authenticate(&review).await, Decision::Refused);
        let two = FirstMatch(vec![BoxAuthenticator::new(one), mock.clone(), mock]);
        let mock = User::new("mock").with_uid("mock").with_group("group-mock");
        assert_eq!(
            two.authenticate(&review).await,
            Decision::authenticated(mock)
        );
    }
}
