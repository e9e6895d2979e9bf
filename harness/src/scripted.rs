//! An authenticator that answers by script, token by token, and keeps a record.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokenlab_webhook::{ApiVersion, Authenticator, BoxAuthenticator, Decision, Review, Token};

use crate::digest::sha256;
use crate::journal::clipped;
use crate::run_folder::random_name;

/// How many calls are on record: a lab that stays for weeks must not grow.
const RECORD: usize = 10_000;

/// Answers each token as it was told to; any other token with a refusal, or as another
/// authenticator does ([`over`](Self::over)).
///
/// A test draws a token of its own and scripts it; so any number of tests share one control
/// plane, and nothing that the apiserver caches for one of them can reach another. Clones
/// share script and record.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    otherwise: Option<BoxAuthenticator>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    script: HashMap<Token, Decision>,
    /// By the token's digest: a token that nobody scripted is not kept.
    calls: VecDeque<(String, Call)>,
}

/// One review that the webhook was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The version that the apiserver spoke.
    pub api_version: ApiVersion,
    /// The audiences that it asked for, the first 16.
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

    /// An empty script: every token is answered by `otherwise`, until it has a script.
    pub fn over(otherwise: impl Authenticator) -> Self {
        Self {
            otherwise: Some(BoxAuthenticator::new(otherwise)),
            state: Arc::default(),
        }
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

    /// From now on this token is answered as one without a script; tells whether it had one.
    pub fn forget(&self, token: &Token) -> bool {
        self.state().script.remove(token).is_some()
    }

    /// The tokens that have a script, in no order.
    pub fn scripts(&self) -> Vec<(Token, Decision)> {
        let state = self.state();
        let scripts = state.script.iter();
        scripts
            .map(|(token, decision)| (token.clone(), decision.clone()))
            .collect()
    }

    /// What the webhook was asked about this token, in order: as much of it as is among the last
    /// ten thousand calls.
    pub fn calls(&self, token: &Token) -> Vec<Call> {
        let digest = sha256(token.expose().as_bytes());
        let state = self.state();
        let calls = state.calls.iter().filter(|(asked, _)| *asked == digest);
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
        let scripted = self.state().script.get(&review.token).cloned();
        let decision = match (scripted, &self.otherwise) {
            (Some(decision), _) => decision,
            (None, Some(otherwise)) => otherwise.authenticate(review).await,
            (None, None) => Decision::Refused,
        };
        let call = Call {
            api_version: review.api_version,
            audiences: clipped(&review.audiences),
            decision: decision.clone(),
            at: Instant::now(),
        };
        let mut state = self.state();
        if state.calls.len() == RECORD {
            state.calls.pop_front();
        }
        let digest = sha256(review.token.expose().as_bytes());
        state.calls.push_back((digest, call));
        decision
    }
}

#[cfg(test)]
mod tests {
    use tokenlab_webhook::{Mock, User};

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

    #[tokio::test]
    async fn a_token_without_a_script_gets_what_it_gets_otherwise() {
        let webhook = Scripted::over(Mock);
        let token = webhook.token(Decision::Refused);
        let review = Review::new(token.clone());
        assert_eq!(webhook.authenticate(&review).await, Decision::Refused);
        assert_eq!(webhook.scripts(), [(token.clone(), Decision::Refused)]);
        assert!(webhook.forget(&token));
        assert!(!webhook.forget(&token));
        let mock = Mock.authenticate(&review).await;
        assert_eq!(webhook.authenticate(&review).await, mock);
        assert_eq!(webhook.calls(&token).len(), 2);
    }

    #[tokio::test]
    async fn the_record_is_bounded() {
        let webhook = Scripted::new();
        let (first, rest) = (fresh_token(), fresh_token());
        webhook.authenticate(&Review::new(first.clone())).await;
        for _ in 0..RECORD {
            webhook.authenticate(&Review::new(rest.clone())).await;
        }
        assert!(webhook.calls(&first).is_empty());
        assert_eq!(webhook.calls(&rest).len(), RECORD);
    }
}
