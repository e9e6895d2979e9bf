//! A token on its way through the socket, which is the user's alone: the one text that it is
//! written into.

use serde::{Deserialize as _, Deserializer, Serializer};
use tokenlab_webhook::Token;

pub(super) fn serialize<S: Serializer>(token: &Token, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Token, D::Error> {
    Ok(Token::from(String::deserialize(deserializer)?))
}
