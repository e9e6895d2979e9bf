//! An authenticator that knows its users by name: the least that is one.

use std::collections::HashMap;

use tokenlab_webhook::{Authenticator, Decision, Review, User};

/// Users by their tokens.
#[derive(Debug, Default)]
pub struct Users(HashMap<String, String>);

impl Users {
    /// These users, each with a token and a name.
    pub fn new<const N: usize>(users: [(&str, &str); N]) -> Self {
        let users = users.map(|(token, name)| (token.to_owned(), name.to_owned()));
        Self(users.into())
    }
}

impl Authenticator for Users {
    async fn authenticate(&self, review: &Review) -> Decision {
        match self.0.get(review.token.expose()) {
            Some(name) => Decision::authenticated(User::new(name).with_group("staff")),
            None => Decision::Refused, // kubectl then says Unauthorized
        }
    }
}
