//! Tokens: who knows it may ask.

use std::fmt;

use crate::InvalidToken;

/// A secret that whoever asks must show. Only digests are kept, so that comparing takes the same time
/// whatever is shown, and the cookie does not hold the secret itself.
#[derive(Clone)]
pub struct Token {
    digest: blake3::Hash,
    cookie: String,
}

impl Token {
    /// The shortest token, in characters.
    pub const MIN_LEN: usize = 16;
    /// The longest token, in characters.
    pub const MAX_LEN: usize = 256;

    /// A token of this text.
    ///
    /// # Errors
    /// [`InvalidToken`] when it is too short, too long or holds something else than visible ASCII.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken::Character);
        }
        match text.len() {
            ..Self::MIN_LEN => Err(InvalidToken::Short { min: Self::MIN_LEN }),
            length if length > Self::MAX_LEN => Err(InvalidToken::Long { max: Self::MAX_LEN }),
            _ => Ok(Self::of(text)),
        }
    }

    /// A token that nobody can guess, with its text.
    #[must_use]
    pub fn random() -> (Self, String) {
        let text = format!("{:032x}", rand::random::<u128>());
        (Self::of(&text), text)
    }

    fn of(text: &str) -> Self {
        let cookie = blake3::derive_key("mambafleet 2026 cookie of a token", text.as_bytes());
        let cookie = blake3::Hash::from_bytes(cookie).to_hex().to_string();
        Self { digest: blake3::hash(text.as_bytes()), cookie }
    }

    /// Whether this is the token. Takes the same time for all texts of a length.
    pub(crate) fn is(&self, shown: &str) -> bool {
        // Hashes are compared in constant time.
        blake3::hash(shown.as_bytes()) == self.digest
    }

    /// Whether this is the value that the cookie has.
    pub(crate) fn is_cookie(&self, shown: &str) -> bool {
        blake3::hash(shown.as_bytes()) == blake3::hash(self.cookie.as_bytes())
    }

    /// The value of the cookie.
    pub(crate) fn cookie(&self) -> &str {
        &self.cookie
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(...)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_enough_and_fit_into_a_request() {
        let refused = |text: &str| Token::new(text).err();
        assert_eq!(refused("fifteen-letters"), Some(InvalidToken::Short { min: 16 }));
        assert_eq!(refused(&"a".repeat(257)), Some(InvalidToken::Long { max: 256 }));
        assert_eq!(refused("sixteen letters!"), Some(InvalidToken::Character));
        assert_eq!(refused("sixteen-l\u{e9}tters"), Some(InvalidToken::Character));
        assert_eq!(refused("sixteen-letters+"), None);
    }

    #[test]
    fn only_the_token_is_the_token_and_the_cookie_is_another_text() {
        let (token, text) = Token::random();
        assert!(
            token.is(&text) && !token.is(&text[1..]) && !token.is("") && !token.is(token.cookie())
        );
        assert!(token.is_cookie(token.cookie()) && !token.is_cookie(&text));
        assert_ne!(Token::random().1, text);
        assert_eq!(format!("{token:?}"), "Token(...)");
    }
}
