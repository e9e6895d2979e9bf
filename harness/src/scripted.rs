//! An authenticator that answers by script, token by token, and keeps a record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokenlab_webhook::{ApiVersion, Authenticator, Decision, Review, Token};

use crate::run_folder::random_name;

/// Answers each token as it was told to, and any other token with a refusal.
///
/// A test draws a token of its own and scripts it; so any number of tests share one control
/// plane, and nothing that the apiserver caches for one of them can reach another. Clones
/// share script and record.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    script: HashMap<Token, Decision>,
    calls: Vec<(Token, Call)>,
}

/// One review that the webhook was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The version that the apiserver spoke.
    pub api_version: ApiVersion,
    /// The audiences that it asked for.
    pub audiences: Vec<String>,
    /// What it was told.
    pub decision: Decision,
    /// When it was told so.
    pub at: Instant,
}

impl Scripted {
    /// An empty script: every token is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws a fresh token and scripts it.
    pub fn token(&self, decision: Decision) -> Token {
        let token = fresh_token();
        self.script(&token, decision);
        token
    }

    /// From now on the webhook answers this token so.
    pub fn script(&self, token: &Token, decision: Decision) {
        self.state().script.insert(token.clone(), decision);
    }

    /// What the webhook was asked about this token, in order.
    pub fn calls(&self, token: &Token) -> Vec<Call> {
        let state = self.state();
        let calls = state.calls.iter().filter(|(asked, _)| asked == token);
        calls.map(|(_, call)| call.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token that nobody has used before. It is unique, not secret.
pub fn fresh_token() -> Token {
    Token::from(format!("lab-{}", random_name()))
}

impl Authenticator for Scripted {
    async fn authenticate(&self, review: &Review) -> Decision {
        let mut state = self.state();
        let decision = state.script.get(&review.token).cloned();
        let decision = decision.unwrap_or(Decision::Refused);
        let call = Call {
            api_version: review.api_version,
            audiences: review.audiences.clone(),
            decision: decision.clone(),
            at: Instant::now(),
        };
        state.calls.push((review.token.clone(), call));
        decision
    }
}

#[cfg(test)]
mod tests {
    use tokenlab_webhook::User;

    use super::*;

    #[tokio::test]
    async fn each_token_has_its_own_script_and_record() {
        let webhook = Scripted::new();
        let known = webhook.token(Decision::authenticated(User::new("ann")));
        let unknown = fresh_token();
        let answer = webhook.authenticate(&Review::new(known.clone())).await;
        assert!(matches!(answer, Decision::Authenticated { user, .. } if user.username == "ann"));
        let answer = webhook.authenticate(&Review::new(unknown.clone())).await;
        assert!(matches!(answer, Decision::Refused));
        webhook.script(&known, Decision::Refused);
        let answer = webhook.authenticate(&Review::new(known.clone())).await;
        assert!(matches!(answer, Decision::Refused));
        assert_eq!(webhook.calls(&known).len(), 2);
        assert_eq!(webhook.calls(&unknown).len(), 1);
    }
}
