//! Paths in the token stream of a macro: its arguments, or its rules.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::import::plain;

/// A path as it stands in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenPath {
    /// `$crate` is `crate` here.
    pub(crate) segments: Vec<String>,
    pub(crate) absolute: bool,
    /// Ends with `::*`.
    pub(crate) is_glob: bool,
    pub(crate) line: usize,
}

pub(crate) fn paths(tokens: TokenStream) -> Vec<TokenPath> {
    let mut found = Vec::new();
    scan(tokens, &mut found);
    found
}

fn scan(tokens: TokenStream, found: &mut Vec<TokenPath>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => {
                scan(group.stream(), found);
                at += 1;
            }
            // A field, a method, a lifetime, an attribute's or a macro's variable; but `..` is a range.
            TokenTree::Punct(punct)
                if matches!(punct.as_char(), '\'' | '.')
                    && !(punct.as_char() == '.' && at > 0 && is_punct(&tokens[at - 1], '.')) =>
            {
                at += 1;
                if matches!(tokens.get(at), Some(TokenTree::Ident(_))) {
                    at += 1;
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '$' => {
                at += 1;
                if let Some(TokenTree::Ident(ident)) = tokens.get(at)
                    && ident != "crate"
                {
                    // `$name::rest` begins with what is not known here.
                    at = skip_segments(&tokens, at + 1);
                }
            }
            TokenTree::Ident(_) => at = path(&tokens, at, Vec::new(), None, found),
            _ => at += 1,
        }
    }
}

/// Reads a path at an identifier, and says where it ends.
fn path(
    tokens: &[TokenTree],
    mut at: usize,
    mut segments: Vec<String>,
    prefix_absolute: Option<bool>,
    found: &mut Vec<TokenPath>,
) -> usize {
    let absolute = prefix_absolute.unwrap_or_else(|| is_absolute(tokens, at));
    let mut line = tokens[at].span().start().line;
    while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
        line = ident.span().start().line;
        segments.push(plain(ident));
        at += 1;
        if !is_separator(tokens, at) {
            break;
        }
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(_)) => at += 2,
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                tree(group.stream(), &segments, absolute, found);
                return at + 3;
            }
            Some(token) if is_punct(token, '*') => {
                found.push(TokenPath {
                    segments,
                    absolute,
                    is_glob: true,
                    line,
                });
                return at + 3;
            }
            _ => {
                at += 2;
                break;
            }
        }
    }
    found.push(TokenPath {
        segments,
        absolute,
        is_glob: false,
        line,
    });
    at
}

/// The inside of `use prefix::{..}`.
fn tree(tokens: TokenStream, prefix: &[String], absolute: bool, found: &mut Vec<TokenPath>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for part in tokens.split(|token| is_punct(token, ',')) {
        match part.first() {
            Some(TokenTree::Ident(ident)) if ident == "self" => found.push(TokenPath {
                segments: prefix.to_vec(),
                absolute,
                is_glob: false,
                line: ident.span().start().line,
            }),
            Some(TokenTree::Ident(_)) => {
                path(part, 0, prefix.to_vec(), Some(absolute), found);
            }
            _ => {}
        }
    }
}

/// `::` before it, with nothing before that which it could belong to.
fn is_absolute(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_separator(tokens, at - 2)
}

fn skip_segments(tokens: &[TokenTree], mut at: usize) -> usize {
    while is_separator(tokens, at) && matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
        at += 3;
    }
    at
}

fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| is_punct(token, ':'))
        && tokens.get(at + 1).is_some_and(|token| is_punct(token, ':'))
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
