//! A workflow file that is served, and what it names outside, for people.

use std::path::Path;

use crate::connectors;
use crate::core::identity::identity;
use crate::core::workflow::{InputKind, Trigger, Workflow};
use crate::spec::{Report, Severity};
use crate::view::{ConnectionView, Examination, InputView, ServedView, TriggerView, When};

use super::Declared;
use super::clock::now;
use super::{Engine, doctor};

/// What the file says now; a mistake in it is told, and is none of whoever looks.
pub(super) fn view(workflow: &str, file: &Path, profile: Option<&str>, listened_to: &Declared) -> ServedView {
    let known = ServedView {
        workflow: workflow.to_owned(),
        file: file.display().to_string(),
        profile: profile.map(str::to_owned),
        ..ServedView::default()
    };
    match Engine::check(file, profile) {
        Ok(checked) => ServedView {
            description: checked.workflow.description.clone(),
            input: inputs(&checked.workflow),
            triggers: checked.workflow.triggers.iter().map(trigger).collect(),
            connections: connections(&checked.workflow),
            outdated: Declared::of(&checked.workflow) != *listened_to,
            ..known
        },
        Err(report) => ServedView { mistakes: mistakes(&report), ..known },
    }
}

/// Looks at everything that a workflow file names outside. Changes nothing there.
///
/// # Errors
/// Every mistake in the file.
pub async fn examine(file: &Path, profile: Option<&str>, state: &Path) -> Result<Examination, Report> {
    let connections = doctor(file, profile, state).await?;
    Ok(Examination { at: When(now()), connections })
}

fn inputs(workflow: &Workflow) -> Vec<InputView> {
    let kind = |kind| match kind {
        InputKind::Uri => "uri",
        InputKind::Text => "text",
        InputKind::Number => "number",
        InputKind::Bool => "bool",
    };
    let inputs = workflow.input.iter().map(|(name, input)| InputView {
        name: name.clone(),
        kind: kind(input.kind).to_owned(),
        default: input.default.clone(),
    });
    inputs.collect()
}

fn trigger(trigger: &Trigger) -> TriggerView {
    let Trigger { name, uses, connection, .. } = trigger.clone();
    TriggerView { trigger: name, uses, connection }
}

fn connections(workflow: &Workflow) -> Vec<ConnectionView> {
    let catalog = connectors::catalog();
    let connections = workflow.connections.iter().map(|(name, connection)| {
        let over = workflow.steps.iter().chain(&workflow.on_failure);
        let over = over.filter(|step| step.connection.as_ref() == Some(name));
        let kind = catalog.connection(&connection.kind);
        ConnectionView {
            connection: name.clone(),
            kind: connection.kind.clone(),
            identity: kind.map(|kind| identity(kind, &connection.fields)).unwrap_or_default(),
            steps: over.map(|step| step.name.clone()).collect(),
        }
    });
    connections.collect()
}

fn mistakes(report: &Report) -> Vec<String> {
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| format!("{}: {}", finding.code, finding.message)).collect()
}
