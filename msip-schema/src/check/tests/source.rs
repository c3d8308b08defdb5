//! A small schema language for tests: like `.proto` files, with less around it.
//!
//! ```text
//! package chat;
//! ClientToServer { ConnectReq connect_req = 1 [timeout_ms = 500, response = "welcome"]; }
//! message ConnectReq { string user = 1; optional int32 age = 2; map<string, int64> marks = 3; oneof how { … } }
//! enum Colour { RED = 0; }
//! rpc Connect(ConnectReq) returns (stream ConnectRsp) idempotent; (or `safe`: without side effects)
//! ```
//!
//! A text between slashes, `/like this/`, is the comment of what follows; `deprecated` comes before a type, a field
//! or a value, and after a method; `expanded` before the type of a field that has `packed = false`.

use std::collections::BTreeSet;
use std::ops::Range;

use super::model::{
    Cardinality, Compression, Draft, DraftEnvelope, DraftMember, DraftMethod, EnumType, EnumValue,
    Field, FieldType, FileId, MemberOptions, MessageType, MsgKind, Oneof, Payload, Reply, Reserved,
    SourceMap, Span, Spanned, TypeDef, TypeName, Types,
};

/// Parses a test's source; panics if it is malformed.
pub(crate) fn parse(text: &str) -> (SourceMap, Draft) {
    let mut sources = SourceMap::new();
    let file = sources.add_file("chat.proto", text);
    let tokens = tokens(text);
    let enums = tokens
        .windows(2)
        .filter(|pair| pair[0].0 == "enum")
        .map(|pair| pair[1].0.clone())
        .collect();
    let mut parser = Parser {
        sources,
        file,
        tokens,
        at: 0,
        enums,
        package: String::new(),
    };
    let draft = parser.draft();
    (parser.sources, draft)
}

fn tokens(text: &str) -> Vec<(String, Range<usize>)> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        let mut end = start + c.len_utf8();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        if c.is_whitespace() {
            continue;
        }
        if is_word(c) {
            while let Some((at, c)) = rest.next_if(|(_, c)| is_word(*c)) {
                end = at + c.len_utf8();
            }
        } else if matches!(c, '"' | '/') {
            for (at, next) in rest.by_ref() {
                end = at + next.len_utf8();
                if next == c {
                    break;
                }
            }
        }
        tokens.push((text[start..end].to_owned(), start..end));
    }
    tokens
}

struct Parser {
    sources: SourceMap,
    file: FileId,
    tokens: Vec<(String, Range<usize>)>,
    at: usize,
    enums: BTreeSet<String>,
    package: String,
}

impl Parser {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", |(token, _)| token)
    }

    fn next(&mut self) -> Spanned<String> {
        let (token, bytes) = self.tokens[self.at].clone();
        self.at += 1;
        Spanned::new(token, self.sources.span(self.file, bytes))
    }

    fn eat(&mut self, token: &str) -> Option<Span> {
        (self.peek() == token).then(|| self.next().span)
    }

    fn expect(&mut self, token: &str) {
        let found = self.next().value;
        assert_eq!(found, token, "token {}", self.at);
    }

    fn number<N: std::str::FromStr>(&mut self) -> Spanned<N> {
        let token = self.next();
        let number = token
            .value
            .parse()
            .unwrap_or_else(|_| panic!("{} is no number", token.value));
        Spanned::new(number, token.span)
    }

    fn doc(&mut self) -> String {
        if self.peek().starts_with('/') {
            self.next().value.trim_matches('/').to_owned()
        } else {
            String::new()
        }
    }

    fn draft(&mut self) -> Draft {
        let empty = || DraftEnvelope {
            span: Span::NONE,
            doc: String::new(),
            members: Vec::new(),
            reserved: Reserved::default(),
        };
        let mut draft = Draft {
            package: Spanned::new(String::new(), Span::NONE),
            doc: self.doc(),
            client_to_server: empty(),
            server_to_client: empty(),
            methods: Vec::new(),
            types: Types::new(),
        };
        while !self.peek().is_empty() {
            let doc = self.doc();
            let deprecated = self.eat("deprecated").is_some();
            let item = self.next();
            match item.value.as_str() {
                "package" => {
                    draft.package = self.next();
                    self.package.clone_from(&draft.package.value);
                    self.expect(";");
                }
                "ClientToServer" => draft.client_to_server = self.envelope(item.span, doc),
                "ServerToClient" => draft.server_to_client = self.envelope(item.span, doc),
                "message" => {
                    let name = self.next();
                    let mut oneofs = Vec::new();
                    let fields = self.fields(None, &mut oneofs);
                    let message = MessageType {
                        package: self.package.clone(),
                        doc,
                        deprecated,
                        fields,
                        oneofs,
                        span: name.span,
                        ..MessageType::default()
                    };
                    draft
                        .types
                        .insert(self.type_name(&name.value), TypeDef::Message(message));
                }
                "enum" => {
                    let name = self.next();
                    let ty = EnumType {
                        package: self.package.clone(),
                        doc,
                        deprecated,
                        values: self.values(),
                        span: name.span,
                    };
                    draft
                        .types
                        .insert(self.type_name(&name.value), TypeDef::Enum(ty));
                }
                "rpc" => draft.methods.push(self.method(doc)),
                other => panic!("{other} begins nothing"),
            }
        }
        draft
    }

    fn type_name(&self, name: &str) -> TypeName {
        let full = if name.contains('.') {
            name.to_owned()
        } else {
            format!("{}.{name}", self.package)
        };
        TypeName::new(if name == "Empty" {
            "google.protobuf.Empty"
        } else {
            &full
        })
    }

    fn envelope(&mut self, span: Span, doc: String) -> DraftEnvelope {
        let mut members = Vec::new();
        self.expect("{");
        while self.eat("}").is_none() {
            let doc = self.doc();
            let ty = self.next();
            let payload = Spanned::new(Payload::Message(self.type_name(&ty.value)), ty.span);
            let name = self.next();
            self.expect("=");
            let number = self.number();
            let options = self.options();
            self.expect(";");
            members.push(DraftMember {
                name,
                number,
                payload,
                doc,
                options,
            });
        }
        DraftEnvelope {
            span,
            doc,
            members,
            reserved: Reserved::default(),
        }
    }

    fn options(&mut self) -> MemberOptions {
        let mut options = MemberOptions::default();
        if self.eat("[").is_none() {
            return options;
        }
        while self.eat("]").is_none() {
            let name = self.next().value;
            self.expect("=");
            let text = self.next();
            let (value, span) = (text.value.trim_matches('"'), text.span);
            match name.as_str() {
                "kind" => options.kind = named(MsgKind::ALL, MsgKind::name, value, span),
                "reply" => options.reply = named(Reply::ALL, Reply::name, value, span),
                "request" => options.request_stream = (value == "STREAM").then_some(span),
                "response" => options.response = Some(Spanned::new(value.to_owned(), span)),
                "timeout_ms" => {
                    options.timeout_ms = value.parse().ok().map(|value| Spanned::new(value, span))
                }
                "urgent" => options.urgent = Some(Spanned::new(value == "true", span)),
                "compress" => options.compress = Some(Spanned::new(Compression::Never, span)),
                "idempotent" => options.idempotent = Some(Spanned::new(value == "true", span)),
                "deprecated" => options.deprecated = value == "true",
                "key" => options.key = Some(Spanned::new(value.to_owned(), span)),
                "code" => options.code = Some(Spanned::new(value.to_owned(), span)),
                other => panic!("{other} is no option"),
            }
            self.eat(",");
        }
        options
    }

    /// The fields between braces; the oneofs among them are added to `oneofs`.
    fn fields(&mut self, oneof: Option<&str>, oneofs: &mut Vec<Oneof>) -> Vec<Field> {
        let mut fields = Vec::new();
        self.expect("{");
        while self.eat("}").is_none() {
            let doc = self.doc();
            if self.eat("oneof").is_some() {
                let name = self.next();
                fields.extend(self.fields(Some(&name.value), oneofs));
                oneofs.push(Oneof {
                    name: name.value,
                    doc,
                    span: name.span,
                });
                continue;
            }
            let deprecated = self.eat("deprecated").is_some();
            let expanded = self.eat("expanded").is_some();
            let (cardinality, ty) = self.field_type(oneof.is_some());
            let name = self.next();
            self.expect("=");
            let number = self.number().value;
            self.expect(";");
            fields.push(Field {
                name: name.value,
                json_name: None,
                number,
                ty,
                cardinality,
                oneof: oneof.map(str::to_owned),
                expanded,
                doc,
                deprecated,
                span: name.span,
            });
        }
        fields
    }

    fn field_type(&mut self, in_oneof: bool) -> (Cardinality, FieldType) {
        let word = self.next().value;
        match word.as_str() {
            "optional" => (Cardinality::Optional, self.field_type(false).1),
            "repeated" => (Cardinality::Repeated, self.field_type(false).1),
            "map" => {
                self.expect("<");
                let key = self.field_type(false).1;
                self.expect(",");
                let ty = self.field_type(false).1;
                self.expect(">");
                (Cardinality::Map(key), ty)
            }
            _ => {
                let ty = match word.as_str() {
                    "int32" => FieldType::Int32,
                    "int64" => FieldType::Int64,
                    "sint32" => FieldType::Sint32,
                    "bool" => FieldType::Bool,
                    "bytes" => FieldType::Bytes,
                    "double" => FieldType::Double,
                    "string" => FieldType::String,
                    name if self.enums.contains(name) => FieldType::Enum(self.type_name(name)),
                    name => FieldType::Message(self.type_name(name)),
                };
                let shows = in_oneof || matches!(ty, FieldType::Message(_));
                (
                    if shows {
                        Cardinality::Optional
                    } else {
                        Cardinality::Implicit
                    },
                    ty,
                )
            }
        }
    }

    fn values(&mut self) -> Vec<EnumValue> {
        let mut values = Vec::new();
        self.expect("{");
        while self.eat("}").is_none() {
            let doc = self.doc();
            let deprecated = self.eat("deprecated").is_some();
            let name = self.next();
            self.expect("=");
            let number = self.number().value;
            self.expect(";");
            values.push(EnumValue {
                name: name.value,
                number,
                doc,
                deprecated,
                span: name.span,
            });
        }
        values
    }

    fn method(&mut self, doc: String) -> DraftMethod {
        let name = self.next();
        let (request_stream, request) = self.method_type();
        self.expect("returns");
        let (response_stream, response) = self.method_type();
        let no_side_effects = self.eat("safe").is_some();
        let idempotent = no_side_effects || self.eat("idempotent").is_some();
        let deprecated = self.eat("deprecated").is_some();
        self.expect(";");
        DraftMethod {
            name,
            request,
            response,
            request_stream,
            response_stream,
            idempotent,
            no_side_effects,
            deprecated,
            doc,
        }
    }

    fn method_type(&mut self) -> (Option<Span>, Spanned<TypeName>) {
        self.expect("(");
        let stream = self.eat("stream");
        let ty = self.next();
        self.expect(")");
        (stream, Spanned::new(self.type_name(&ty.value), ty.span))
    }
}

fn named<T: Copy, const N: usize>(
    all: [T; N],
    name: impl Fn(T) -> &'static str,
    value: &str,
    span: Span,
) -> Option<Spanned<T>> {
    let found = all
        .into_iter()
        .find(|&one| name(one) == value)
        .unwrap_or_else(|| panic!("{value} is no value"));
    Some(Spanned::new(found, span))
}
