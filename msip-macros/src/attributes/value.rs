//! The values of options.

use msip_schema::closest_name;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote};
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{LitBool, LitInt, LitStr, Path, Token};

use super::option_value::OptionValue;

/// What follows the name of an option.
pub(super) enum Argument {
    None,
    Value(TokenStream),
    List(TokenStream),
}

/// The encoding of a field's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// One value, or a list of them.
    One(&'static str),
    /// Keys and values of a map; `Plain` for the usual encoding.
    Map(&'static str, &'static str),
}

/// A tag or a name that must not be reused.
#[derive(Debug, Clone)]
pub(crate) enum Reserved {
    Numbers(OptionValue<(i64, i64)>),
    Name(OptionValue<String>),
}

/// The values of `as`, each with the runtime's marker.
const ENCODINGS: [(&str, &str); 6] = [
    ("sint32", "Sint32"),
    ("sint64", "Sint64"),
    ("fixed32", "Fixed32"),
    ("fixed64", "Fixed64"),
    ("sfixed32", "Sfixed32"),
    ("sfixed64", "Sfixed64"),
];

/// The values of a part of `map<…, …>` besides [`ENCODINGS`]: the usual encodings.
const USUAL: [&str; 10] = [
    "int32", "int64", "uint32", "uint64", "bool", "string", "bytes", "float", "double", "_",
];

/// The numbers that may be reserved: those of enums. Fields have fewer, which is checked with their tags.
const RESERVABLE: std::ops::RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

impl Encoding {
    /// The marker of the runtime.
    pub(crate) fn marker(self, runtime: &TokenStream) -> TokenStream {
        let path = |name: &str| {
            let ident = Ident::new(name, Span::call_site());
            quote!(#runtime::describe::#ident)
        };
        match self {
            Self::One(name) => path(name),
            Self::Map(key, value) => {
                let (key, value) = (path(key), path(value));
                quote!((#key, #value))
            }
        }
    }
}

impl Argument {
    fn value(self, at: &Path, example: &str) -> syn::Result<TokenStream> {
        match self {
            Self::Value(value) if !value.is_empty() => Ok(value),
            _ => {
                let name = at.to_token_stream().to_string();
                Err(syn::Error::new_spanned(
                    at,
                    format!(
                        "`{name}` needs a value [option-value]\nhelp: write it as in `{name} = {example}`"
                    ),
                ))
            }
        }
    }

    pub(super) fn text(self, at: &Path) -> syn::Result<OptionValue<String>> {
        let value = self.value(at, "\"…\"")?;
        let text: LitStr = parse(value, |shown| {
            let bare = shown.replace(' ', "");
            format!("a text in quotes belongs here, as in `\"{bare}\"`")
        })?;
        Ok(OptionValue {
            value: text.value(),
            span: text.span(),
        })
    }

    pub(super) fn number(self, at: &Path) -> syn::Result<OptionValue<i64>> {
        let value = self.value(at, "1")?;
        let Number(said) = parse(value, |shown| {
            let bare = shown.trim_matches('"');
            if !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit()) {
                format!("write the number without quotes: `{bare}`")
            } else {
                "a whole number belongs here, as in `1`".to_owned()
            }
        })?;
        Ok(said)
    }

    pub(super) fn flag(self, at: &Path) -> syn::Result<OptionValue<bool>> {
        let name = at.to_token_stream().to_string();
        match self {
            Self::None => Ok(OptionValue {
                value: true,
                span: at.span(),
            }),
            Self::Value(value) if !value.is_empty() => {
                let flag: LitBool = parse(value, |_| {
                    format!("write `{name}` alone, or `{name} = false`")
                })?;
                Ok(OptionValue {
                    value: flag.value,
                    span: flag.span,
                })
            }
            _ => Err(syn::Error::new_spanned(
                at,
                format!(
                    "`{name}` has no list [option-value]\nhelp: write `{name}` alone, or `{name} = false`"
                ),
            )),
        }
    }

    pub(super) fn path(self, at: &Path) -> syn::Result<OptionValue<Path>> {
        let text = self.text(at)?;
        let path = Path::parse_mod_style.parse_str(&text.value).map_err(|_| {
            syn::Error::new(
                text.span,
                "a path belongs here, as in `\"::msip_runtime\"` [option-value]",
            )
        })?;
        Ok(OptionValue {
            value: path,
            span: text.span,
        })
    }

    /// One of several words, with or without quotes.
    pub(super) fn one_of<T: Copy>(
        self,
        at: &Path,
        words: &[(&'static str, T)],
    ) -> syn::Result<OptionValue<T>> {
        let all = || {
            let names: Vec<_> = words.iter().map(|(name, _)| format!("`{name}`")).collect();
            names.join(", ")
        };
        let example = words.first().map_or("…", |(name, _)| name);
        let value = self.value(at, example)?;
        let Word(word) = parse(value, |_| format!("one of {} belongs here", all()))?;
        let found = words.iter().find(|(name, _)| *name == word.value);
        let Some((_, value)) = found else {
            let help = match closest_name(&word.value, words.iter().map(|(name, _)| *name)) {
                Some(close) => format!("did you mean `{close}`?"),
                None if words.len() == 1 => format!("write {}", all()),
                None => format!("write one of {}", all()),
            };
            let name = at.to_token_stream().to_string();
            return Err(syn::Error::new(
                word.span,
                format!(
                    "`{}` is no `{name}` [option-value]\nhelp: {help}",
                    word.value
                ),
            ));
        };
        Ok(OptionValue {
            value: *value,
            span: word.span,
        })
    }

    /// `"250ms"`, `"5s"`, `"2m"`, `"1h"`, in milliseconds.
    pub(super) fn duration(self, at: &Path) -> syn::Result<OptionValue<u32>> {
        let text = self.text(at).map_err(|error| {
            syn::Error::new(
                error.span(),
                "a time limit is a text with a unit [option-value]\nhelp: write it as in `timeout = \"5s\"` or `timeout_ms = 5000`",
            )
        })?;
        let value = milliseconds(&text.value).ok_or_else(|| {
            syn::Error::new(
                text.span,
                format!(
                    "`{}` is no time limit [option-value]\nhelp: write a whole number and one of `ms`, `s`, `m`, `h`, as in \
                     `\"5s\"`; at most 49 days",
                    text.value
                ),
            )
        })?;
        Ok(OptionValue {
            value,
            span: text.span,
        })
    }

    pub(super) fn encoding(self, at: &Path) -> syn::Result<OptionValue<Encoding>> {
        let text = self.text(at)?;
        let Some(value) = encoding(&text.value) else {
            let names = ENCODINGS.iter().map(|(name, _)| *name);
            let help = if USUAL.contains(&text.value.as_str()) {
                "remove `as`: that is what the type's usual encoding is called, if the type has it at all".to_owned()
            } else if let Some(close) = closest_name(&text.value, names.clone()) {
                format!("did you mean `{close}`?")
            } else {
                let names: Vec<_> = names.map(|name| format!("`\"{name}\"`")).collect();
                format!(
                    "write one of {}, or for a map `\"map<sint32, fixed64>\"`",
                    names.join(", ")
                )
            };
            return Err(syn::Error::new(
                text.span,
                format!(
                    "there is no encoding `{}` [option-value]\nhelp: {help}",
                    text.value
                ),
            ));
        };
        Ok(OptionValue {
            value,
            span: text.span,
        })
    }

    /// `(3, 5..=7, "old")`
    pub(super) fn reserved(self, at: &Path) -> syn::Result<Vec<Reserved>> {
        let Self::List(list) = self else {
            return Err(syn::Error::new_spanned(
                at,
                "`reserved` has a list [option-value]\nhelp: write numbers and names that may not be used again, as in \
                 `reserved(3, 5..=7, \"old\")`",
            ));
        };
        let parser = Punctuated::<Reserved, Token![,]>::parse_terminated;
        Ok(parser.parse2(list)?.into_iter().collect())
    }
}

/// Parses a value, or reports what is expected.
fn parse<T: Parse>(value: TokenStream, help: impl FnOnce(&str) -> String) -> syn::Result<T> {
    syn::parse2(value.clone()).map_err(|_| {
        let shown = value.to_string();
        syn::Error::new_spanned(
            &value,
            format!(
                "`{shown}` is not a value of this option [option-value]\nhelp: {}",
                help(&shown)
            ),
        )
    })
}

/// A whole number, negative ones too.
struct Number(OptionValue<i64>);

impl Parse for Number {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let minus: Option<Token![-]> = input.parse()?;
        let literal: LitInt = input.parse()?;
        let value: i64 = literal.base10_parse()?;
        Ok(Self(OptionValue {
            value: if minus.is_some() { -value } else { value },
            span: literal.span(),
        }))
    }
}

/// A word, with or without quotes.
struct Word(OptionValue<String>);

impl Parse for Word {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            return Ok(Self(OptionValue {
                value: text.value(),
                span: text.span(),
            }));
        }
        let word: Ident = input.parse()?;
        Ok(Self(OptionValue {
            value: word.to_string(),
            span: word.span(),
        }))
    }
}

impl Parse for Reserved {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            return Ok(Self::Name(OptionValue {
                value: name.value(),
                span: name.span(),
            }));
        }
        let Number(first) = input.parse().map_err(|error: syn::Error| {
            syn::Error::new(
                error.span(),
                "a number, a range or a name in quotes belongs here, as in `reserved(3, 5..=7, \"old\")` [option-value]",
            )
        })?;
        let last = if input.peek(Token![..=]) {
            input.parse::<Token![..=]>()?;
            if input.is_empty() || input.peek(Token![,]) {
                *RESERVABLE.end()
            } else {
                input.parse::<Number>()?.0.value
            }
        } else if input.peek(Token![..]) {
            return Err(
                input.error("write the range with its last number, as in `5..=7` [option-value]")
            );
        } else {
            first.value
        };
        let is_in_bounds = RESERVABLE.contains(&first.value) && RESERVABLE.contains(&last);
        if last < first.value || !is_in_bounds {
            return Err(syn::Error::new(
                first.span,
                "a range begins with its smaller number, and its numbers have 32 bits [option-value]",
            ));
        }
        Ok(Self::Numbers(OptionValue {
            value: (first.value, last),
            span: first.span,
        }))
    }
}

fn milliseconds(text: &str) -> Option<u32> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let factor = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(factor)
}

fn encoding(text: &str) -> Option<Encoding> {
    let marker = |name: &str| {
        ENCODINGS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, marker)| *marker)
    };
    if let Some(marker) = marker(text) {
        return Some(Encoding::One(marker));
    }
    let (key, value) = text
        .strip_prefix("map<")?
        .strip_suffix('>')?
        .split_once(',')?;
    let part = |name: &str| marker(name).or_else(|| USUAL.contains(&name).then_some("Plain"));
    Some(Encoding::Map(part(key.trim())?, part(value.trim())?))
}
