//! The methods of a gateway, by name.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    error::MethodsError,
    method::{Method, MethodConfig, method_name},
};
use crate::{Operation, ProtocolModel, Shape};

/// The methods of a gateway with the interface of jesus.
///
/// Without a file they are all messages that a client may send and that are no streams of requests, private, by their names
/// without the last word: `test_schema_req` is `testSchema`. A file is jesus' `methods.json`, and lists all there are:
///
/// ```json
/// {
///   "testSchema": { "public": true, "responseType": "response", "requestSchema": { "type": "object" } },
///   "say": { "request": "say_ind", "responseType": "aknowlegment", "required": ["text"] }
/// }
/// ```
///
/// `request` names the message where it has another name, and `required` the properties that the schema of the message
/// requires; both are MSIP's own. `requestSchema: false` leaves data unchecked, and without one the schema is that of the message.
#[derive(Debug, Clone)]
pub struct Methods(Arc<BTreeMap<String, Method>>);

impl Methods {
    /// The methods of these protocols, by a file's text or, without one, all of them. `coerces` says whether types are coerced
    /// before data is checked, as in jesus: `"5"` becomes 5.
    ///
    /// # Errors
    ///
    /// The text is not JSON, a method is of no message, or its schema has what is not supported.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use msip_gateway::{ProtocolModel, jesus::Methods};
    ///
    /// let models = ProtocolModel::from_protos(&["proto/shop.proto"], &["proto"])?;
    /// let methods = Methods::new(&models, Some(r#"{"order": {"public": true}}"#), true)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        models: &[ProtocolModel],
        file: Option<&str>,
        coerces: bool,
    ) -> Result<Self, MethodsError> {
        let configs: BTreeMap<String, MethodConfig> = match file {
            Some(text) => serde_json::from_str(text)?,
            None => {
                let operations = models.iter().flat_map(ProtocolModel::operations);
                let operations = operations.filter(|operation| {
                    !matches!(
                        operation.shape(),
                        Shape::Call {
                            request_stream: true,
                            ..
                        }
                    )
                });
                operations
                    .map(|operation| (method_name(operation.name()), MethodConfig::default()))
                    .collect()
            }
        };
        let methods = configs.into_iter().map(|(name, config)| {
            let (model, operation) = find(models, &name, config.request.as_deref())?;
            let method = Method::new(&name, config, model, operation, coerces)?;
            Ok((name, method))
        });
        Ok(Self(Arc::new(
            methods.collect::<Result<_, MethodsError>>()?,
        )))
    }

    /// The methods of this file, as [`new`](Self::new) has them.
    ///
    /// # Errors
    ///
    /// Those of `new`, and the file cannot be read.
    pub fn read(
        models: &[ProtocolModel],
        path: &Path,
        coerces: bool,
    ) -> Result<Self, MethodsError> {
        let text = std::fs::read_to_string(path).map_err(|source| MethodsError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::new(models, Some(&text), coerces)
    }

    /// The names of all methods, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The method of this name, where this gateway has it.
    pub(super) fn find(&self, name: &str, is_public: bool) -> Option<&Method> {
        let method = self.0.get(name)?;
        (method.is_public || !is_public).then_some(method)
    }
}

/// The message of a method: the one that it names, or the one whose name fits.
fn find<'a>(
    models: &'a [ProtocolModel],
    name: &str,
    request: Option<&str>,
) -> Result<(&'a ProtocolModel, &'a Arc<Operation>), MethodsError> {
    let all = models
        .iter()
        .flat_map(|model| model.operations().map(move |operation| (model, operation)));
    let mut found = all.filter(|(_, operation)| match request {
        Some(request) => operation.name() == request,
        None => operation.name() == name || method_name(operation.name()) == name,
    });
    let wrong = |what| {
        Err(MethodsError::Method {
            method: name.to_owned(),
            what,
        })
    };
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => wrong(
            "several messages fit: name one by `request`, or serve one protocol at each shared"
                .to_owned(),
        ),
        (None, _) => wrong(match request {
            Some(request) => format!("no client may send `{request}`"),
            None => "no message fits: name one by `request`".to_owned(),
        }),
    }
}
