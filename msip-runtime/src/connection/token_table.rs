//! The table of those who wait for exchanges, by the tokens that the session knows them by.

use msip_session::Token;
use slab::{Slab, VacantEntry};

/// Values by the token that each of them got.
#[derive(Debug)]
pub(super) struct TokenTable<T>(Slab<T>);

impl<T> Default for TokenTable<T> {
    fn default() -> Self {
        Self(Slab::new())
    }
}

/// A free token, taken while an exchange is being opened under it. Dropped without [`insert`](Self::insert), it stays free.
#[derive(Debug)]
pub(super) struct VacantToken<'a, T>(VacantEntry<'a, T>);

impl<T> VacantToken<'_, T> {
    #[inline]
    pub(super) fn token(&self) -> Token {
        Token::new(self.0.key())
    }

    #[inline]
    pub(super) fn insert(self, value: T) -> Token {
        let token = self.token();
        self.0.insert(value);
        token
    }
}

impl<T> TokenTable<T> {
    /// A free token.
    #[inline]
    pub(super) fn vacant(&mut self) -> VacantToken<'_, T> {
        VacantToken(self.0.vacant_entry())
    }

    #[inline]
    pub(super) fn get(&self, token: Token) -> Option<&T> {
        self.0.get(token.index())
    }

    #[inline]
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.0.get_mut(token.index())
    }

    #[inline]
    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        self.0.try_remove(token.index())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }
}
