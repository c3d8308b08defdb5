//! Files that are uploaded: which, how large, and how they reach a message.

use msip_schema::FieldType;
use serde_json::{Map, Value, json};

use super::{method::Method, refusal::Refusal, signature::mime_type};
use crate::base64;

/// What may be uploaded. Files are kept in memory, and for one request only: nothing is left behind, whatever happens.
#[derive(Debug, Clone)]
pub(super) struct Uploads {
    /// The MIME types that are taken, by signature.
    pub(super) types: Vec<String>,
    /// The longest file, in bytes.
    pub(super) max_file: usize,
    /// All that one request brings, in bytes.
    pub(super) max_total: usize,
    /// The most files of one request.
    pub(super) max_files: usize,
}

/// A file.
#[derive(Debug)]
pub(super) struct File {
    original_name: String,
    mime_type: &'static str,
    content: Vec<u8>,
}

impl Uploads {
    /// A file, if its type is taken.
    pub(super) fn file(&self, original_name: String, content: Vec<u8>) -> Result<File, Refusal> {
        let mime_type = mime_type(&content);
        if !self.types.iter().any(|taken| taken == mime_type) {
            let taken = self.types.join(", ");
            return Err(Refusal::file(format!(
                "a file is {mime_type}, and not one of {taken}"
            )));
        }
        Ok(File {
            original_name,
            mime_type,
            content,
        })
    }
}

impl File {
    /// The file as the field of a request: its content where that is bytes; where it is a message, those of `fieldname`,
    /// `originalname`, `mimetype`, `size` and `content` that it has. `None` where the request has no such field.
    pub(super) fn into_field(self, method: &Method, name: &str) -> Option<Value> {
        match method.file_field(name)? {
            FieldType::Bytes => Some(json!(base64::encode(&self.content))),
            FieldType::Message(ty) => {
                let known = method.fields_of(ty);
                let mut all = Map::new();
                all.insert("fieldname".to_owned(), json!(name));
                all.insert("originalname".to_owned(), json!(self.original_name));
                all.insert("mimetype".to_owned(), json!(self.mime_type));
                all.insert("size".to_owned(), json!(self.content.len()));
                all.insert("content".to_owned(), json!(base64::encode(&self.content)));
                all.retain(|key, _| known.contains(&key.as_str()));
                Some(Value::Object(all))
            }
            _ => None,
        }
    }
}
