//! Sources that are files of this machine.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::connectors::Site;
use crate::connectors::opening::{Opened, Opener};
use crate::core::fault::{Fault, name};
use crate::ports::{Interest, Unread};

/// Opens paths; relative ones begin at the workflow's folder.
pub(crate) struct Paths {
    base: PathBuf,
    /// The connection's name.
    connection: String,
}

impl Paths {
    /// Paths as the step writes them.
    pub(crate) fn of(site: &Site<'_>) -> Self {
        let connection = site.step.connection.as_deref().unwrap_or("files");
        Self { base: site.base.to_owned(), connection: connection.to_owned() }
    }
}

impl Opener for Paths {
    fn accepts(&self, uri: &str) -> Result<(), Fault> {
        let path = uri.strip_prefix("file://").unwrap_or(uri);
        let Some((scheme, _)) = path.split_once("://") else { return Ok(()) };
        let connection = &self.connection;
        let change = match scheme {
            "s3" => format!("for s3:// write '{connection}: {{ use: s3 }}'"),
            _ => "expected a path".to_owned(),
        };
        let message = format!(
            "the source {uri} is not a path, and the connection '{connection}' is of kind 'local': {change}"
        );
        Err(Fault::new(name::VALIDATION, message))
    }

    fn open(&self, uri: &str, _interest: &Interest) -> Result<Opened, Unread> {
        let path = self.base.join(uri.strip_prefix("file://").unwrap_or(uri));
        let shown = path.display();
        let refuse = |error: &io::Error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                io::ErrorKind::PermissionDenied => "reading it is not permitted".to_owned(),
                _ => error.to_string(),
            };
            Fault::new(name::VALIDATION, format!("failed to open the source {shown}: {why}"))
        };
        let file = File::open(&path).map_err(|error| refuse(&error))?;
        if file.metadata().map_err(|error| refuse(&error))?.is_dir() {
            let message = format!("the source {shown} is a directory: expected a file");
            return Err(Fault::new(name::VALIDATION, message).into());
        }
        Ok(Opened { name: shown.to_string(), bytes: Box::new(file), origin: None })
    }
}
