//! The other protocols of a module.
//!
//! A derive sees its own item only, and both halves of a second protocol in one module would meet the first one's: dozens
//! of names and implementations that exist twice, none of which says why. So the file is looked at, as far as it can be
//! seen: what macros or `#[cfg]` make of it is the compiler's to report.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

use crate::case::plain;
use msip_schema::Direction;

/// An enum with one of the two derives, in the order of the file.
#[derive(Debug, PartialEq, Eq)]
struct Half {
    direction: Direction,
    name: String,
    is_conditional: bool,
}

/// What is known of the module of an enum.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Siblings {
    /// The enum is the first of its direction, or nothing is known.
    None,
    /// Another enum of the same direction is before it.
    Second {
        /// The name of that one.
        first: String,
        /// Whether the other direction has a second one too.
        both: bool,
    },
}

impl Siblings {
    /// Looks for them in the file of the enum.
    pub(crate) fn of(ident: &Ident, direction: Direction) -> Self {
        // It panics outside of a procedural macro, and only a derive calls this.
        let Some(path) = ident.span().unwrap().local_file() else {
            return Self::None;
        };
        let Ok(text) = std::fs::read_to_string(path) else {
            return Self::None;
        };
        text.parse().map_or(Self::None, |file| {
            Self::in_file(file, &plain(ident), direction)
        })
    }

    fn in_file(file: TokenStream, name: &str, direction: Direction) -> Self {
        let mut modules = Vec::new();
        collect(file, &mut modules);
        let is_it = |half: &Half| half.direction == direction && half.name == name;
        let mut with_it = modules
            .iter()
            .filter(|module| module.iter().any(is_it))
            .map(|module| Self::in_module(module, name, direction));
        // Several modules of a file may have an enum of this name. Which one is meant cannot be told apart.
        match (with_it.next(), with_it.next()) {
            (Some(only), None) => only,
            _ => Self::None,
        }
    }

    fn in_module(module: &[Half], name: &str, direction: Direction) -> Self {
        if module.iter().any(|half| half.is_conditional) {
            return Self::None;
        }
        let count = |direction| {
            let halves = module.iter();
            halves.filter(|half| half.direction == direction).count()
        };
        let mut same = module.iter().filter(|half| half.direction == direction);
        match same.next() {
            Some(first) if first.name != name => Self::Second {
                first: first.name.clone(),
                both: count(direction.reverse()) > 1,
            },
            _ => Self::None,
        }
    }
}

/// Adds the halves of protocols of each block of the file, the file itself included.
fn collect(block: TokenStream, modules: &mut Vec<Vec<Half>>) {
    let mut halves = Vec::new();
    let mut direction = None;
    let mut is_conditional = false;
    let mut is_after_hash = false;
    let mut is_after_enum = false;
    for token in block {
        let (was_hash, was_enum) = (is_after_hash, is_after_enum);
        (is_after_hash, is_after_enum) = (false, false);
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket && was_hash => {
                let text = group.stream();
                match text.clone().into_iter().next() {
                    Some(TokenTree::Ident(name)) if name == "derive" => {
                        direction = direction.or_else(|| derived(text));
                    }
                    Some(TokenTree::Ident(name)) if name == "cfg" || name == "cfg_attr" => {
                        is_conditional = true;
                    }
                    _ => {}
                }
            }
            TokenTree::Group(group) => {
                if group.delimiter() == Delimiter::Brace {
                    collect(group.stream(), modules);
                    (direction, is_conditional) = (None, false);
                }
            }
            TokenTree::Ident(ident) if was_enum => {
                if let Some(direction) = direction {
                    halves.push(Half {
                        direction,
                        name: plain(&ident),
                        is_conditional,
                    });
                }
            }
            TokenTree::Ident(ident) => is_after_enum = ident == "enum",
            TokenTree::Punct(punct) => match punct.as_char() {
                '#' => is_after_hash = true,
                ';' => (direction, is_conditional) = (None, false),
                _ => {}
            },
            TokenTree::Literal(_) => {}
        }
    }
    if !halves.is_empty() {
        modules.push(halves);
    }
}

/// The direction that `derive(Debug, ClientToServer)` names.
fn derived(attribute: TokenStream) -> Option<Direction> {
    attribute.into_iter().find_map(|token| match token {
        TokenTree::Group(list) => derived(list.stream()),
        TokenTree::Ident(name) if name == "ClientToServer" => Some(Direction::ClientToServer),
        TokenTree::Ident(name) if name == "ServerToClient" => Some(Direction::ServerToClient),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn siblings(text: &str, name: &str, direction: Direction) -> Siblings {
        let file = text.parse().expect("tokens");
        Siblings::in_file(file, name, direction)
    }

    fn second(first: &str, both: bool) -> Siblings {
        Siblings::Second {
            first: first.to_owned(),
            both,
        }
    }

    const UP: Direction = Direction::ClientToServer;
    const DOWN: Direction = Direction::ServerToClient;

    #[test]
    fn the_second_of_a_module_is_found() {
        let text = "
            mod a {
                #[derive(Debug, ClientToServer)] #[msip(protocol = \"a\")] pub enum Up { A }
                #[derive(msip_runtime::ServerToClient)] enum Down { #[msip(tag = 1)] A }
                #[derive(Debug)] enum Other { A }
                #[derive(ClientToServer)] enum Up2 { A }
                #[derive(ServerToClient)] enum Down2 { A }
            }
            #[derive(ClientToServer)] enum Outer { A }
        ";
        assert_eq!(siblings(text, "Up", UP), Siblings::None);
        assert_eq!(siblings(text, "Up2", UP), second("Up", true));
        assert_eq!(siblings(text, "Down2", DOWN), second("Down", true));
        assert_eq!(siblings(text, "Outer", UP), Siblings::None);
        assert_eq!(siblings(text, "Nowhere", UP), Siblings::None);
    }

    #[test]
    fn one_half_may_be_there_twice() {
        let text = "#[derive(ClientToServer)] enum Up { A }
            #[derive(ServerToClient)] enum Down { A }
            #[derive(ServerToClient)] enum Down2 { A }";
        assert_eq!(siblings(text, "Down2", DOWN), second("Down", false));
    }

    #[test]
    fn nothing_is_said_of_what_cannot_be_seen() {
        let conditional = "#[cfg(a)] #[derive(ClientToServer)] enum Up { A }
            #[cfg(not(a))] #[derive(ClientToServer)] enum Up2 { A }";
        assert_eq!(siblings(conditional, "Up2", UP), Siblings::None);
        let same_names = "
            mod a { #[derive(ClientToServer)] enum Up { A } #[derive(ClientToServer)] enum Up2 { A } }
            mod b { #[derive(ClientToServer)] enum Up2 { A } }";
        assert_eq!(siblings(same_names, "Up2", UP), Siblings::None);
    }
}
