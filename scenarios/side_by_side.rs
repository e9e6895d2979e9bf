//! Requests that take seconds, made side by side: the scenario that comes first makes all of them, and
//! the others find theirs made.

use std::fmt::Debug;

use futures::future::join_all;
use tokenlab_harness::{Play, SharedLab};
use tokio::sync::OnceCell;

use crate::evidence::Asked;

/// What a webhook does in each of some cases, and what came of a request in each.
pub(crate) struct SideBySide<K: 'static> {
    cases: &'static [K],
    asked: OnceCell<Vec<Asked>>,
}

impl<K: Copy + Debug + PartialEq> SideBySide<K> {
    pub(crate) const fn of(cases: &'static [K]) -> Self {
        Self {
            cases,
            asked: OnceCell::const_new(),
        }
    }

    /// What came of one request under a token of its own, of which the webhook made this.
    pub(crate) async fn asked(&self, lab: &SharedLab, case: K, play: impl Fn(K) -> Play) -> Asked {
        let asked = self.asked.get_or_init(|| async {
            let plays = self.cases.iter().map(|&case| play(case));
            let asked = plays.map(async |play| {
                let token = lab.scripted().token(play);
                Asked::new(lab, lab.scripted(), &token).await
            });
            join_all(asked).await
        });
        let place = self.cases.iter().position(|&of| of == case);
        let place = place.unwrap_or_else(|| panic!("{case:?} must be one of {:?}", self.cases));
        asked.await[place].clone()
    }
}
