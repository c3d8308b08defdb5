//! Extensions: values that a server's handlers keep for one peer.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

type Values = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// Values that the application attaches to a peer, one of each type: its name, its permissions, its place in a game.
///
/// They live as long as the peer's session. A value that changes needs a type with a lock of its own.
///
/// # Examples
///
/// ```
/// use msip_runtime::{Peer, Protocol, Status};
///
/// /// Under which name a peer plays.
/// struct Nickname(String);
///
/// fn log_in<P: Protocol>(peer: &Peer<P>, name: &str) {
///     peer.extensions().insert(Nickname(name.to_owned()));
/// }
///
/// fn nickname<P: Protocol>(peer: &Peer<P>) -> Result<String, Status> {
///     match peer.extensions().get::<Nickname>() {
///         Some(nickname) => Ok(nickname.0.clone()),
///         None => Err(Status::failed_precondition("log in first")),
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct Extensions {
    values: Mutex<Values>,
}

impl Extensions {
    /// Inserts a value, replacing an earlier one of its type.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) {
        self.lock().insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// The value of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = Arc::clone(self.lock().get(&TypeId::of::<T>())?);
        value.downcast().ok()
    }

    /// Removes and returns the value of this type.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.lock().remove(&TypeId::of::<T>())?;
        value.downcast().ok()
    }

    /// All of them; none is left.
    pub(crate) fn take(&self) -> Self {
        let mut values = std::mem::take(&mut *self.lock());
        values.shrink_to_fit();
        Self {
            values: Mutex::new(values),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_value_of_each_type() {
        let extensions = Extensions::default();
        extensions.insert("ada".to_owned());
        extensions.insert(7_u32);
        extensions.insert("bob".to_owned());
        assert_eq!(
            extensions.get::<String>().as_deref().map(String::as_str),
            Some("bob")
        );
        assert_eq!(extensions.remove::<u32>().as_deref(), Some(&7));
        assert_eq!(extensions.get::<u32>(), None);
    }
}
