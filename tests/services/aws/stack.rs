//! The template in `deploy/aws`, deployed with names of its own.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::{Aws, Queue, Wiring, environment, unique};

/// What the template made.
pub(crate) struct Stack<'a> {
    aws: &'a Aws,
    name: String,
    outputs: BTreeMap<String, String>,
}

impl<'a> Stack<'a> {
    /// Returns once everything is made. `parameters` are those of the template beside the names.
    pub(crate) fn deploy(aws: &'a Aws, parameters: &[(&str, &str)]) -> Self {
        // Names of buckets and queues begin with it, and they have to be short.
        let name = unique("s");
        let mut line = vec!["deploy".to_owned(), name.clone(), template()];
        line.extend([format!("Prefix={name}"), format!("EventBusName={name}")]);
        line.extend(parameters.iter().map(|(name, value)| format!("{name}={value}")));
        let outputs = serde_json::from_str(&python(aws, &line)).unwrap();
        Self { aws, name, outputs }
    }

    /// A value that the template gives out.
    pub(crate) fn output(&self, name: &str) -> &str {
        &self.outputs[name]
    }

    /// A queue that the template gives out by this name.
    pub(crate) fn queue(&self, output: &str) -> Queue {
        self.aws.queue_called(self.output(output))
    }

    /// The way of an event.
    pub(crate) fn wiring(&self) -> Wiring {
        Wiring {
            bus: self.output("EventBus").to_owned(),
            rule: format!("{}-events", self.name),
            queue: self.queue("Queue"),
            dead_letters: self.queue("DeadLetterQueue"),
        }
    }

    /// What the alarm tells comes to this queue from now on.
    pub(crate) fn subscribe(&self, queue: &Queue) {
        python(self.aws, &["subscribe".to_owned(), self.output("AlarmTopic").to_owned(), queue.arn.clone()]);
    }

    /// Returns once everything is gone, except the bucket, which the template keeps.
    pub(crate) fn delete(self) {
        python(self.aws, &["delete".to_owned(), self.name]);
    }
}

fn template() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/aws/template.yaml").to_owned()
}

/// What our script says to this line.
fn python(aws: &Aws, line: &[String]) -> String {
    let python = std::env::var("MILEPOST_TEST_AWS_PYTHON");
    let python = python.expect("MILEPOST_TEST_AWS_PYTHON names no Python; start with tests/services/run aws");
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services/aws/stack.py")).args(line);
    command.envs(environment(aws.endpoint())).env("AWS_DEFAULT_REGION", "us-east-1").stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
