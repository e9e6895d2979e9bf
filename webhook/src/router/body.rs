//! A request's body.

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;

use crate::status::Rejection;

/// Reads a body until it ends or becomes too large: no more than the limit is ever held.
pub(super) async fn collect(body: Body, limit: usize) -> Result<Bytes, Rejection> {
    let too_large = || Rejection::TooLarge { limit };
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(too_large());
    }
    let mut frames = body.into_data_stream();
    // Most bodies come in one frame, which then is not copied.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(Rejection::Cut)?;
        if first.len().max(whole.len()) + frame.len() > limit {
            return Err(too_large());
        }
        if first.is_empty() {
            first = frame;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&frame);
    }
    Ok(if whole.is_empty() {
        first
    } else {
        whole.freeze()
    })
}
