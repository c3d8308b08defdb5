//! A description that a peer has sent as text is read, within limits.

use std::fmt;
use std::str::SplitWhitespace;

use super::{Description, write::FIRST_LINE};
use crate::{
    Cardinality, Compression, EnumType, EnumValue, Exchange, Field, FieldType, Member, MessageType,
    MsgKind, Payload, Span, TypeDef, TypeName, Types,
};

/// The longest text of a description, in bytes.
pub const MAX_DESCRIPTION_LEN: usize = 256 * 1024;

/// How many members, fields and values a description may have together.
const MAX_ENTRIES: usize = 16_384;

/// How many types it may have.
const MAX_TYPES: usize = 4096;

/// The longest name of a member, field, value or type, in bytes.
const MAX_NAME_LEN: usize = 512;

/// Why a text is not the description of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptionError {
    /// It is longer than [`MAX_DESCRIPTION_LEN`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It is not UTF-8.
    NotText,
    /// A line is not what has to be there.
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// It has too many types, or too many members, fields and values.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
}

impl fmt::Display for DescriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len } => {
                write!(f, "{len} bytes, where {MAX_DESCRIPTION_LEN} are allowed")
            }
            Self::NotText => f.write_str("it is not UTF-8"),
            Self::Line { line, expected } => write!(f, "line {line}: expected {expected}"),
            Self::TooMany { what, max } => write!(f, "more than {max} {what}"),
        }
    }
}

impl std::error::Error for DescriptionError {}

impl Description {
    /// Reads the text of a description, as [`to_text`](Self::to_text) writes it.
    ///
    /// Whatever it contains, this takes time and memory in proportion to its length, of which at most
    /// [`MAX_DESCRIPTION_LEN`] bytes are allowed.
    ///
    /// # Errors
    ///
    /// The text is too long, has too many entries, or a line of it is malformed: see [`DescriptionError`].
    pub fn parse(text: &[u8]) -> Result<Self, DescriptionError> {
        if text.len() > MAX_DESCRIPTION_LEN {
            return Err(DescriptionError::TooLong { len: text.len() });
        }
        let text = std::str::from_utf8(text).map_err(|_| DescriptionError::NotText)?;
        Reader::new(text).description()
    }
}

/// The lines of a text.
struct Reader<'a> {
    lines: std::iter::Peekable<std::str::Lines<'a>>,
    number: usize,
    entries: usize,
}

/// The number of the member that answers each call, until the names of those are known.
type Answers = Vec<Option<u16>>;

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            lines: text.lines().peekable(),
            number: 0,
            entries: 0,
        }
    }

    fn description(mut self) -> Result<Description, DescriptionError> {
        const FIRST: &str = "`msip-description 1`, the version that is understood";
        if self.next() != Some(FIRST_LINE) {
            return Err(self.expected(FIRST));
        }
        let package = self.next().and_then(|line| line.strip_prefix("package "));
        let package = package
            .filter(|name| is_type_name(name))
            .ok_or_else(|| self.expected("`package`, and its name"))?;
        if self.next() != Some("client-to-server") {
            return Err(self.expected("`client-to-server`"));
        }
        let (mut client, client_answers) = self.members("server-to-client")?;
        let (mut server, server_answers) = self.members("types")?;
        if !(name_answers(&mut client, client_answers, &server)
            && name_answers(&mut server, server_answers, &client))
        {
            return Err(self.expected("each call's answer to be a member"));
        }
        let types = self.types()?;
        if !(client
            .iter()
            .chain(&server)
            .all(|member| is_declared_for(member, &types))
            && types.values().all(|ty| is_complete(ty, &types)))
        {
            return Err(self.expected("each type that is mentioned to be there"));
        }
        Ok(Description::new(package, client, server, types))
    }

    /// Members, up to the line `end`.
    fn members(&mut self, end: &str) -> Result<(Vec<Member>, Answers), DescriptionError> {
        const EXPECTED: &str = "a member, with a higher number than the one before";
        let mut members: Vec<Member> = Vec::new();
        let mut answers = Vec::new();
        loop {
            let line = self.next().ok_or_else(|| self.expected(EXPECTED))?;
            if line == end {
                return Ok((members, answers));
            }
            self.count_entry()?;
            let (member, answer) = member(line).ok_or_else(|| self.expected(EXPECTED))?;
            if members
                .last()
                .is_some_and(|last| last.number >= member.number)
            {
                return Err(self.expected(EXPECTED));
            }
            members.push(member);
            answers.push(answer);
        }
    }

    fn types(&mut self) -> Result<Types, DescriptionError> {
        const EXPECTED: &str = "`message` or `enum`, and a new name";
        let mut types = Types::new();
        while let Some(line) = self.next() {
            if types.len() >= MAX_TYPES {
                let (what, max) = ("types", MAX_TYPES);
                return Err(DescriptionError::TooMany { what, max });
            }
            let (name, is_message) = match line.split_once(' ') {
                Some(("message", name)) => (name, true),
                Some(("enum", name)) => (name, false),
                _ => return Err(self.expected(EXPECTED)),
            };
            let name = Some(name)
                .filter(|name| is_type_name(name))
                .map(TypeName::new)
                .filter(|name| !name.is_well_known() && !types.contains_key(name))
                .ok_or_else(|| self.expected(EXPECTED))?;
            let def = if is_message {
                TypeDef::Message(self.message()?)
            } else {
                TypeDef::Enum(self.enumeration()?)
            };
            types.insert(name, def);
        }
        Ok(types)
    }

    fn message(&mut self) -> Result<MessageType, DescriptionError> {
        const EXPECTED: &str = "a field, with a higher number than the one before";
        let mut message = MessageType::default();
        while let Some(line) = self.next_entry()? {
            let field = field(line).ok_or_else(|| self.expected(EXPECTED))?;
            let last = message.fields.last().map(|last: &Field| last.number);
            if last.is_some_and(|last| last >= field.number) {
                return Err(self.expected(EXPECTED));
            }
            message.fields.push(field);
        }
        Ok(message)
    }

    fn enumeration(&mut self) -> Result<EnumType, DescriptionError> {
        let mut ty = EnumType::default();
        while let Some(line) = self.next_entry()? {
            let value = line.split_once(' ').and_then(|(number, name)| {
                Some(EnumValue {
                    number: number.parse().ok()?,
                    name: identifier(name)?,
                    doc: String::new(),
                    deprecated: false,
                    span: Span::NONE,
                })
            });
            let value = value.ok_or_else(|| self.expected("the number and the name of a value"))?;
            ty.values.push(value);
        }
        Ok(ty)
    }

    fn next(&mut self) -> Option<&'a str> {
        self.number += 1;
        self.lines.next()
    }

    /// The next line, if it begins with a number.
    fn next_entry(&mut self) -> Result<Option<&'a str>, DescriptionError> {
        let is_entry = |line: &&str| line.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if !self.lines.peek().is_some_and(is_entry) {
            return Ok(None);
        }
        self.count_entry()?;
        Ok(self.next())
    }

    fn count_entry(&mut self) -> Result<(), DescriptionError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            let (what, max) = ("members, fields and values", MAX_ENTRIES);
            return Err(DescriptionError::TooMany { what, max });
        }
        Ok(())
    }

    const fn expected(&self, expected: &'static str) -> DescriptionError {
        DescriptionError::Line {
            line: self.number,
            expected,
        }
    }
}

/// Whether the message of a member is there.
fn is_declared_for(member: &Member, types: &Types) -> bool {
    match &member.payload {
        Payload::Message(name) => is_message(name, types),
        Payload::Empty => true,
    }
}

/// Whether the types of all fields are there.
fn is_complete(ty: &TypeDef, types: &Types) -> bool {
    let fields: &[Field] = match ty {
        TypeDef::Message(message) => &message.fields,
        TypeDef::Enum(_) => &[],
    };
    fields.iter().all(|field| match &field.ty {
        FieldType::Message(name) => is_message(name, types),
        FieldType::Enum(name) => {
            name.is_well_known() || matches!(types.get(name), Some(TypeDef::Enum(_)))
        }
        _ => true,
    })
}

fn is_message(name: &TypeName, types: &Types) -> bool {
    name.is_well_known() || matches!(types.get(name), Some(TypeDef::Message(_)))
}

/// Gives each call the name of its answer. Whether each has one.
fn name_answers(members: &mut [Member], numbers: Answers, others: &[Member]) -> bool {
    members.iter_mut().zip(numbers).all(|(member, number)| {
        let (Exchange::Call { response, .. }, Some(number)) = (&mut member.exchange, number) else {
            return true;
        };
        let answer = others.binary_search_by_key(&number, |other| other.number);
        match answer.ok().and_then(|index| others.get(index)) {
            Some(answer) => {
                response.clone_from(&answer.name);
                true
            }
            None => false,
        }
    })
}

/// `1 connect_req COMMAND call single single 1 .chat.ConnectReq`, and the number of its answer.
fn member(line: &str) -> Option<(Member, Option<u16>)> {
    let mut words = line.split_whitespace();
    let number: u16 = words.next()?.parse().ok().filter(|number| *number > 0)?;
    let name = identifier(words.next()?)?;
    let kind = words.next()?;
    let kind = MsgKind::ALL
        .into_iter()
        .find(|known| known.name() == kind)?;
    let mut answer = None;
    let exchange = match words.next()? {
        "one-way" => Exchange::OneWay,
        "acknowledged" => Exchange::Acknowledged,
        "answer" => Exchange::Answer,
        "call" => {
            let (request_stream, response_stream) = (stream(&mut words)?, stream(&mut words)?);
            answer = Some(words.next()?.parse().ok()?);
            Exchange::Call {
                response: String::new(),
                request_stream,
                response_stream,
            }
        }
        _ => return None,
    };
    let payload = match words.next()? {
        "empty" => Payload::Empty,
        mention => Payload::Message(type_name(mention)?),
    };
    if words.next().is_some() {
        return None;
    }
    let member = Member {
        name,
        number,
        payload,
        doc: String::new(),
        kind,
        exchange,
        timeout: None,
        urgent: false,
        compress: Compression::Negotiated,
        idempotent: false,
        no_side_effects: false,
        key: None,
        code: None,
        deprecated: false,
        span: Span::NONE,
    };
    Some((member, answer))
}

fn stream(words: &mut SplitWhitespace<'_>) -> Option<bool> {
    match words.next()? {
        "single" => Some(false),
        "stream" => Some(true),
        _ => None,
    }
}

/// `1 user implicit string`, and its name in JSON where that is another than usual.
fn field(line: &str) -> Option<Field> {
    let mut words = line.splitn(5, ' ');
    let number: u32 = words.next()?.parse().ok()?;
    let name = identifier(words.next()?)?;
    let mut oneof = None;
    let cardinality = match words.next()? {
        "implicit" => Cardinality::Implicit,
        "optional" => Cardinality::Optional,
        "repeated" => Cardinality::Repeated,
        presence => match presence.split_once(':')? {
            ("map", key) => Cardinality::Map(scalar(key)?),
            ("oneof", lowest) => {
                // Oneofs have no names on the wire.
                let lowest: u32 = lowest.parse().ok().filter(|lowest| *lowest <= number)?;
                oneof = Some(lowest.to_string());
                Cardinality::Optional
            }
            _ => return None,
        },
    };
    let ty = match words.next()? {
        mention if mention.starts_with('.') => FieldType::Message(type_name(mention)?),
        mention => match mention.strip_prefix("enum:") {
            Some(mention) => FieldType::Enum(type_name(mention)?),
            None => scalar(mention)?,
        },
    };
    let json_name = words.next().map(str::to_owned);
    let is_json_name = |name: &String| {
        !name.is_empty() && name.len() <= MAX_NAME_LEN && !name.contains(char::is_control)
    };
    if !json_name.as_ref().is_none_or(is_json_name) {
        return None;
    }
    Some(Field {
        name,
        json_name,
        number,
        ty,
        cardinality,
        oneof,
        expanded: false,
        doc: String::new(),
        deprecated: false,
        span: Span::NONE,
    })
}

fn scalar(name: &str) -> Option<FieldType> {
    const ALL: [FieldType; 15] = [
        FieldType::Double,
        FieldType::Float,
        FieldType::Int32,
        FieldType::Int64,
        FieldType::Uint32,
        FieldType::Uint64,
        FieldType::Sint32,
        FieldType::Sint64,
        FieldType::Fixed32,
        FieldType::Fixed64,
        FieldType::Sfixed32,
        FieldType::Sfixed64,
        FieldType::Bool,
        FieldType::String,
        FieldType::Bytes,
    ];
    ALL.into_iter().find(|ty| ty.scalar_name() == Some(name))
}

/// A type's full name after a dot, as fields mention it.
fn type_name(mention: &str) -> Option<TypeName> {
    let name = mention.strip_prefix('.')?;
    is_type_name(name).then(|| TypeName::new(name))
}

/// Identifiers, with dots between them.
fn is_type_name(name: &str) -> bool {
    name.len() <= MAX_NAME_LEN && name.split('.').all(is_word)
}

fn identifier(name: &str) -> Option<String> {
    (name.len() <= MAX_NAME_LEN && is_word(name)).then(|| name.to_owned())
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}
