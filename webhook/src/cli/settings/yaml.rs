//! YAML, as far as settings need it: a tree of which each part knows its place.
//!
//! The parser is that of `serde-saphyr`, and reads all of YAML 1.2; what is made of its events here
//! has no aliases and no tags. `serde-saphyr` itself, made for every type that can be read, would be
//! a tenth of the program.

mod reading;

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde_saphyr::granit_parser::{
    Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, options,
};

/// A part of a document.
#[derive(Debug)]
pub(super) struct Node {
    place: Place,
    value: Value,
}

#[derive(Debug)]
enum Value {
    /// Without quotation marks: what `null`, `true` or `7` stands for depends on who asks.
    Plain(String),
    Quoted(String),
    List(Vec<Node>),
    /// In the order of the document, and without a key twice.
    Mapping(Vec<(Node, Node)>),
}

/// Both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

/// What is wrong, and where if that is known.
#[derive(Debug)]
pub(super) struct YamlError {
    message: String,
    place: Option<Place>,
}

impl Node {
    /// Reads a document; an empty one has no node.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, YamlError> {
        let options = options! { emit_comments: false };
        let mut events = Events(Parser::new_from_str_with_options(text, options));
        let mut root = None;
        loop {
            let (event, span) = events.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                _ if root.is_none() => root = Some(events.node(event, span)?),
                _ => return Err(YamlError::new("there is a second document", span)),
            }
        }
    }

    /// The keys of a mapping with their lines.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, usize)> {
        let entries = match &self.value {
            Value::Mapping(entries) => &entries[..],
            _ => &[],
        };
        let entries = entries.iter();
        entries.filter_map(|(key, _)| Some((key.text()?, key.place.line)))
    }

    fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) | Value::Quoted(text) => Some(text),
            _ => None,
        }
    }
}

struct Events<'a>(Parser<'a, StrInput<'a>>);

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        // Nobody asks after the end.
        let next = self.0.next();
        Ok(next.unwrap_or(Ok((Event::StreamEnd, Span::default())))?)
    }

    /// The node that begins with this event.
    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, YamlError> {
        let (value, tag) = match event {
            Event::Scalar(text, ScalarStyle::Plain, _, tag) => (Value::Plain(owned(text)), tag),
            Event::Scalar(text, _, _, tag) => (Value::Quoted(owned(text)), tag),
            Event::SequenceStart(_, _, tag) => (Value::List(self.list()?), tag),
            Event::MappingStart(_, _, tag) => (Value::Mapping(self.mapping()?), tag),
            _ => return Err(YamlError::new("aliases cannot be used here", span)),
        };
        if tag.is_some() {
            return Err(YamlError::new("tags cannot be used here", span));
        }
        let place = span.start.into();
        Ok(Node { place, value })
    }

    fn list(&mut self) -> Result<Vec<Node>, YamlError> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, span) => nodes.push(self.node(event, span)?),
            }
        }
    }

    fn mapping(&mut self) -> Result<Vec<(Node, Node)>, YamlError> {
        let mut nodes: Vec<(Node, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(nodes),
                (event, span) => self.node(event, span)?,
            };
            if let Some(text) = key.text()
                && nodes.iter().any(|(other, _)| other.text() == Some(text))
            {
                let message = format!("`{text}` is there twice");
                return Err(YamlError::from(message).at(key.place));
            }
            let (event, span) = self.next()?;
            nodes.push((key, self.node(event, span)?));
        }
    }
}

fn owned(text: Cow<'_, str>) -> String {
    text.into_owned()
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self {
            line: marker.line(),
            column: marker.col() + 1,
        }
    }
}

impl YamlError {
    fn new(message: &str, span: Span) -> Self {
        Self::from(message.to_owned()).at(span.start.into())
    }

    /// The same error there, unless a smaller part has it.
    fn at(self, place: Place) -> Self {
        let place = self.place.or(Some(place));
        Self { place, ..self }
    }
}

impl From<String> for YamlError {
    fn from(message: String) -> Self {
        Self {
            message,
            place: None,
        }
    }
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        Self::from(error.info()).at((*error.marker()).into())
    }
}

impl Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.place {
            Some(Place { line, column }) => write!(f, " at line {line}, column {column}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for YamlError {}
