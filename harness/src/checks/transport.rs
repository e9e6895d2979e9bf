//! How it is reached: protocols, callers, many at once.

use futures::future::try_join_all;
use http::{StatusCode, Version};
use tokenlab_webhook::ApiVersion;

use super::subject::{Question, Subject};
use super::{Not, Seen};
use crate::kubeconfig::Identity;
use crate::webhook::PostError;

/// By all that was asked before.
pub(super) fn in_time(subject: &Subject) -> Seen {
    let (slowest, patience) = (subject.slowest(), subject.patience);
    let told = format!("the slowest took {slowest:.2?}, and {patience:?} are given");
    if slowest > patience {
        return Err(Not::But(told));
    }
    Ok(told)
}

/// How many questions are asked at once.
const TOGETHER: usize = 32;

pub(super) async fn answers(subject: &Subject) -> Seen {
    let review = subject.review(ApiVersion::V1Beta1, &subject.unknown);
    let reply = subject.ask(&Question::of(&review)).await?;
    Ok(format!("the HTTP status is {}", reply.status))
}

pub(super) async fn speaks(subject: &Subject, alpn: &[u8], version: Version) -> Seen {
    let review = subject.review(ApiVersion::V1Beta1, &subject.unknown);
    let way = subject.way(Some(alpn)).await?;
    let reply = way.ask(&Question::of(&review)).await?;
    if reply.version != version {
        return Err(Not::But(format!("it answers in {:?}", reply.version)));
    }
    Ok("it does".to_owned())
}

/// A caller whose certificate is refused hears of it when the handshake is over, which HTTP/2 has
/// lost by then; HTTP/1.1 tells.
pub(super) async fn wants_a_certificate(subject: &Subject) -> Seen {
    if matches!(subject.config.identity, Identity::Anonymous) {
        let why = "the file has no client certificate to leave out";
        return Err(Not::Made(why.to_owned()));
    }
    let review = subject.review(ApiVersion::V1Beta1, &subject.unknown);
    let way = subject.to_anybody().way(Some(b"http/1.1")).await?;
    match way.ask(&Question::of(&review)).await {
        Ok(reply)
            if matches!(
                reply.status,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            ) =>
        {
            Ok(format!("the HTTP status is {}", reply.status))
        }
        Ok(reply) => Err(Not::But(format!("the HTTP status is {}", reply.status))),
        Err(PostError::Caller(_)) => Ok("the handshake fails".to_owned()),
        Err(error) => Err(error.into()),
    }
}

/// Over one connection where it speaks HTTP/2. With a token that it knows, every other one is of
/// that.
pub(super) async fn together(subject: &Subject) -> Seen {
    let way = subject.way(None).await?;
    let asked = (0..TOGETHER).map(async |turn| {
        let known = subject.known.as_ref().filter(|_| turn % 2 == 0);
        let token = known.unwrap_or(&subject.unknown);
        let review = subject.review(ApiVersion::V1Beta1, token);
        let answer = subject.ask_by(&way, &Question::of(&review)).await?;
        let answer = answer.review()?;
        match known {
            Some(_) => answer.authenticated().map(drop),
            None => answer.refusal().map(drop),
        }
    });
    try_join_all(asked).await?;
    Ok("they are".to_owned())
}
