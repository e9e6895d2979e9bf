//! An authenticator that answers by script, token by token, and keeps a record.

mod act;
mod stage;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokenlab_webhook::{ApiVersion, Authenticator, BoxAuthenticator, Decision, Review, Token};

use crate::digest::sha256;
use crate::journal::clipped;
use crate::run_folder::random_name;

pub use act::{Act, Play, RawAnswer};
pub use stage::Posted;
pub(crate) use stage::stage;
use stage::{CUE, Cue};

/// How many calls are on record: a lab that stays for weeks must not grow.
const RECORD: usize = 10_000;

/// Of how many of them it is on record how they came: that may be some 30 KiB each.
const RECORD_POSTED: usize = 1000;

/// Answers each token as it was told to; any other token with a refusal, or as another
/// authenticator does ([`over`](Self::over)).
///
/// A test draws a token of its own and scripts it; so any number of tests share one control
/// plane, and nothing that the apiserver caches for one of them can reach another. Clones
/// share script and record.
///
/// As a lab's [webhook](crate::LabBuilder::webhook) it plays all acts. As an
/// [authenticator](crate::LabBuilder::authenticator), somewhere below the routes, it can only decide:
/// the other acts, an answer of any form and none, are errors there.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    otherwise: Option<BoxAuthenticator>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    script: HashMap<Token, Scene>,
    /// By the token's digest: a token that nobody scripted is not kept.
    calls: VecDeque<(String, Call)>,
}

/// A token's play, and how much of it was played.
#[derive(Debug)]
struct Scene {
    play: Play,
    begun: usize,
}

/// One review that the webhook was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The version that the apiserver spoke.
    pub api_version: ApiVersion,
    /// The audiences that it asked for, the first 16.
    pub audiences: Vec<String>,
    /// What it got.
    pub act: Act,
    /// When that was decided; an act that takes its time began then.
    pub at: Instant,
    /// How it came over the wire; `None` where only the authenticator was asked, and when a thousand
    /// calls came later.
    pub posted: Option<Posted>,
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
    pub fn token(&self, play: impl Into<Play>) -> Token {
        let token = fresh_token();
        self.script(&token, play);
        token
    }

    /// From now on the webhook answers this token so, from the play's beginning.
    pub fn script(&self, token: &Token, play: impl Into<Play>) {
        let scene = Scene {
            play: play.into(),
            begun: 0,
        };
        self.state().script.insert(token.clone(), scene);
    }

    /// From now on this token is answered as one without a script; tells whether it had one.
    pub fn forget(&self, token: &Token) -> bool {
        self.state().script.remove(token).is_some()
    }

    /// The tokens that have a script, in no order, with what comes next for them.
    pub fn scripts(&self) -> Vec<(Token, Act)> {
        let state = self.state();
        let scripts = state.script.iter();
        scripts
            .map(|(token, scene)| (token.clone(), scene.play.act(scene.begun).clone()))
            .collect()
    }

    /// What the webhook was asked about this token, one attempt after the other: as much of it as is
    /// among the last ten thousand calls.
    pub fn calls(&self, token: &Token) -> Vec<Call> {
        let digest = sha256(token.expose().as_bytes());
        let state = self.state();
        let calls = state.calls.iter().filter(|(asked, _)| *asked == digest);
        calls.map(|(_, call)| call.clone()).collect()
    }

    /// The act for the next review of this token, if it has a script.
    fn next(&self, token: &Token) -> Option<Act> {
        let mut state = self.state();
        let scene = state.script.get_mut(token)?;
        let act = scene.play.act(scene.begun).clone();
        scene.begun += 1;
        Some(act)
    }

    fn record(&self, review: &Review, act: Act, posted: Option<Posted>) {
        let call = Call {
            api_version: review.api_version,
            audiences: clipped(&review.audiences),
            act,
            at: Instant::now(),
            posted,
        };
        let mut state = self.state();
        if state.calls.len() == RECORD {
            state.calls.pop_front();
        }
        let digest = sha256(review.token.expose().as_bytes());
        state.calls.push_back((digest, call));
        let old = state.calls.iter_mut().rev().nth(RECORD_POSTED);
        if let Some((_, old)) = old {
            old.posted = None;
        }
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
        let (act, posted, is_on_record) = match CUE.try_with(Clone::clone) {
            Ok(Cue::Act(act)) => (Some(act), None, true),
            // It is not for this one, where one stands behind the other.
            Ok(Cue::Posted(posted)) => (self.next(&review.token), Some(posted), false),
            Err(_asked_alone) => (self.next(&review.token), None, false),
        };
        let decision = match (&act, &self.otherwise) {
            (Some(act), _) => (act.decision().cloned()).unwrap_or(Decision::Unavailable {
                reason: "only a lab's webhook plays this".to_owned(),
            }),
            (None, Some(otherwise)) => otherwise.authenticate(review).await,
            (None, None) => Decision::Refused,
        };
        if !is_on_record {
            let act = act.unwrap_or_else(|| decision.clone().into());
            self.record(review, act, posted);
        }
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
        assert_eq!(
            webhook.scripts(),
            [(token.clone(), Decision::Refused.into())]
        );
        assert!(webhook.forget(&token));
        assert!(!webhook.forget(&token));
        let mock = Mock.authenticate(&review).await;
        assert_eq!(webhook.authenticate(&review).await, mock);
        assert_eq!(webhook.calls(&token).len(), 2);
    }

    #[tokio::test]
    async fn a_play_is_played_in_turn_and_its_last_act_repeated() {
        let webhook = Scripted::new();
        let away = || Decision::Unavailable {
            reason: "away".to_owned(),
        };
        let play = Act::decide(away()).times(2).then(Decision::Refused);
        let review = Review::new(webhook.token(play));
        let expected = [away(), away(), Decision::Refused, Decision::Refused];
        for decision in &expected {
            assert_eq!(webhook.authenticate(&review).await, *decision);
        }
        let calls = webhook.calls(&review.token);
        let decisions: Vec<_> = calls
            .iter()
            .filter_map(|call| call.act.decision())
            .collect();
        assert_eq!(decisions, expected.iter().collect::<Vec<_>>());
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

    #[test]
    fn how_the_last_calls_came_is_on_record() {
        let webhook = Scripted::new();
        let review = Review::new(fresh_token());
        let posted = Posted {
            path: tokenlab_webhook::PATH.to_owned(),
            version: http::Version::HTTP_2,
            headers: http::HeaderMap::new(),
            body: serde_json::Value::Null,
        };
        for _ in 0..=RECORD_POSTED {
            webhook.record(&review, Decision::Refused.into(), Some(posted.clone()));
        }
        let calls = webhook.calls(&review.token);
        let came = calls.iter().filter(|call| call.posted.is_some()).count();
        assert_eq!((calls.len(), came), (RECORD_POSTED + 1, RECORD_POSTED));
        assert!(calls[0].posted.is_none());
    }
}
