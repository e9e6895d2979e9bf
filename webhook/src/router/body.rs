//! A request's body.

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::status::Rejection;

/// How much memory bodies may take that do not come in one frame, and the reviews in them: a permit
/// for each octet. 16 MiB.
///
/// Each body may be as large as an apiserver's head of a request, and whoever can reach the
/// apiserver decides how many there are at a time.
pub(crate) const TOGETHER: usize = 16 * 1024 * 1024;

/// Reads a body until it ends or becomes too large, or until all of them together do. What it has
/// taken of `together` is given back when the permit is dropped.
pub(super) async fn collect(
    body: Body,
    limit: usize,
    together: &Semaphore,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Rejection> {
    let too_large = || Rejection::TooLarge { limit };
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(too_large());
    }
    let mut frames = body.into_data_stream();
    // Most bodies come in one frame, which then is not copied.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    let mut taken: Option<SemaphorePermit<'_>> = None;
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(Rejection::Cut)?;
        if first.len().max(whole.len()) + frame.len() > limit {
            return Err(too_large());
        }
        if first.is_empty() {
            first = frame;
            continue;
        }
        let more = u32::try_from(frame.len()).map_err(|_| too_large())?;
        let more = together
            .try_acquire_many(more)
            .map_err(|_| Rejection::Full)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&frame);
    }
    let body = if whole.is_empty() {
        first
    } else {
        whole.freeze()
    };
    Ok((body, taken))
}
