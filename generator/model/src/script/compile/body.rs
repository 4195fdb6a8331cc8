//! Request content: texts, JSON, forms and files, in pieces.

use super::Compiler;
use super::pieces::Pieces;
use crate::content::{form, multipart};
use crate::expr::{Escape, Stage};
use crate::scenario::file::{Body, Entries, Json, PartContent, Scalar, Text};
use crate::script::call::Piece;

/// Content in pieces, and its type where it has one.
#[derive(Default)]
pub(super) struct Content {
    pub(super) pieces: Vec<Piece>,
    pub(super) content_type: Option<String>,
}

impl Compiler<'_> {
    pub(super) fn content(&mut self, body: &Body) -> Option<Content> {
        let mut pieces = Pieces::default();
        let content_type = match body {
            Body::Text(text) => {
                let template = self.template(text, Stage::Request)?;
                pieces.template(&template, Escape::None);
                "text/plain; charset=utf-8".to_owned()
            }
            Body::Json(json) => {
                self.json(json, &mut pieces)?;
                "application/json".to_owned()
            }
            Body::Form(entries) => {
                self.form(entries, &mut pieces)?;
                form::CONTENT_TYPE.to_owned()
            }
            Body::File(name) => {
                pieces.bytes(self.file_bytes(name)?);
                "application/octet-stream".to_owned()
            }
            Body::Multipart(parts) => {
                // One boundary a request: what users fill in is checked against it by nobody, so it is long and random.
                let boundary = multipart::boundary(self.calls.len() as u64);
                for part in parts {
                    self.part(part, &boundary, &mut pieces)?;
                }
                pieces.text(&format!("--{boundary}--\r\n"));
                multipart::content_type(&boundary)
            }
        };
        Some(Content { pieces: pieces.finish(), content_type: Some(content_type) })
    }

    fn form(&mut self, entries: &Entries<Text>, pieces: &mut Pieces) -> Option<()> {
        for (position, (name, value)) in entries.iter().enumerate() {
            if position > 0 {
                pieces.text("&");
            }
            let mut encoded = Vec::new();
            Escape::Form.write(&name.value, &mut encoded).ok()?;
            pieces.bytes(&encoded);
            pieces.text("=");
            let template = self.template(value, Stage::Request)?;
            pieces.escaped(&template, Escape::Form);
        }
        Some(())
    }

    /// A text that is one expression becomes its value, with its type; the reader bounds how deep values nest.
    fn json(&mut self, json: &Json, pieces: &mut Pieces) -> Option<()> {
        match json {
            Json::Scalar(Scalar::Null) => pieces.text("null"),
            Json::Scalar(Scalar::Bool(value)) => pieces.text(if *value { "true" } else { "false" }),
            Json::Scalar(Scalar::Int(value)) => pieces.text(&value.to_string()),
            Json::Scalar(Scalar::Float(value)) => pieces.text(&serde_json::json!(value).to_string()),
            Json::Scalar(Scalar::Text(text)) => {
                let template = self.template(text, Stage::Request)?;
                match template.single() {
                    Some(expr) => pieces.piece(Piece::Json(expr.clone())),
                    None => {
                        pieces.text("\"");
                        pieces.escaped(&template, Escape::Json);
                        pieces.text("\"");
                    }
                }
            }
            Json::List(values) => {
                pieces.text("[");
                for (position, value) in values.iter().enumerate() {
                    if position > 0 {
                        pieces.text(",");
                    }
                    self.json(value, pieces)?;
                }
                pieces.text("]");
            }
            Json::Map(entries) => {
                pieces.text("{");
                for (position, (name, value)) in entries.iter().enumerate() {
                    if position > 0 {
                        pieces.text(",");
                    }
                    pieces.text(&serde_json::json!(name.value).to_string());
                    pieces.text(":");
                    self.json(value, pieces)?;
                }
                pieces.text("}");
            }
        }
        Some(())
    }

    fn part(
        &mut self,
        part: &crate::scenario::file::Part,
        boundary: &str,
        pieces: &mut Pieces,
    ) -> Option<()> {
        pieces.text(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\""));
        self.quoted(&part.name, pieces)?;
        pieces.text("\"");
        let of_file = match &part.content {
            // As browsers and curl do it.
            PartContent::File(name) => {
                Some(Text::new(base_name(&name.value).replace("{{", "%7B%7B"), name.at))
            }
            PartContent::Text(_) => None,
        };
        if let Some(filename) = part.filename.as_ref().or(of_file.as_ref()) {
            pieces.text("; filename=\"");
            self.quoted(filename, pieces)?;
            pieces.text("\"");
        }
        pieces.text("\r\n");
        match (&part.content_type, &part.content) {
            (Some(content_type), _) => {
                pieces.text("Content-Type: ");
                let template = self.header(content_type)?;
                pieces.template(&template, Escape::Header);
                pieces.text("\r\n");
            }
            (None, PartContent::File(_)) => pieces.text("Content-Type: application/octet-stream\r\n"),
            (None, PartContent::Text(_)) => {}
        }
        pieces.text("\r\n");
        match &part.content {
            PartContent::Text(text) => {
                let template = self.template(text, Stage::Request)?;
                pieces.template(&template, Escape::None);
            }
            PartContent::File(name) => pieces.bytes(self.file_bytes(name)?),
        }
        pieces.text("\r\n");
        Some(())
    }

    /// A name in quotes: what would end it is percent-encoded, in slots all that is reserved.
    fn quoted(&mut self, text: &Text, pieces: &mut Pieces) -> Option<()> {
        let template = self.template(text, Stage::Request)?;
        for part in template.parts() {
            match part {
                crate::expr::Part::Literal(text) => {
                    pieces.text(&text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A"));
                }
                crate::expr::Part::Slot(expr) => pieces.piece(Piece::Slot(expr.clone(), Escape::Url)),
            }
        }
        Some(())
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
