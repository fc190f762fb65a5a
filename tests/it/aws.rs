//! What is said about a connection to AWS on a machine that has none.

use crate::site::Site;
use crate::tame;

const BUS: &str = "    use: embedded\n    rules: [{ detail_type: ProductIngested, queue: product-events }]\n";

/// What `check` says about a workflow that only publishes, over a bus of these fields.
fn checked(fields: &str) -> String {
    let mut site = Site::new();
    // No region, no credentials, and nobody who could be asked for them.
    site.env.push(("AWS_EC2_METADATA_DISABLED", "true".to_owned()));
    site.env.push(("AWS_CONFIG_FILE", "/nowhere".to_owned()));
    site.env.push(("AWS_SHARED_CREDENTIALS_FILE", "/nowhere".to_owned()));
    let consume = "  consume:\n    needs: [publish]\n    uses: sqs.consume\n    connection: bus\n    \
                   with: { queue: product-events, wait: 5s, visibility_timeout: 30s, max_receives: 3, delete_after: pim }\n\n";
    let bus = format!("    use: aws\n{fields}");
    site.edit("product-sync.yaml", &[(BUS, &bus), (consume, ""), ("needs: [consume]", "needs: [publish]")]);
    let told = site.milepost(&["check", "workflows/product-sync.yaml"]);
    format!("exit {}\n{}", told.code.unwrap(), tame(&site, &told.stderr))
}

#[test]
fn a_bus_of_aws_is_checked_without_any_configuration_of_aws() {
    assert_eq!(checked("    event_bus: products\n    oversize: s3\n    bucket: large\n"), "exit 0\n");
}

#[test]
fn what_a_bus_of_aws_lacks_is_named() {
    insta::assert_snapshot!(checked("    queue: product-events\n"), @"
    exit 2
    error[E801]: step 'publish': 'event_bus' is missing
      --> workflows/product-sync.yaml:66:11
       |
    66 |     uses: eventbridge.publish
       |           ^^^^^^^^^^^^^^^^^^^
       |
       = help: write 'event_bus: …' under the connection 'bus': its name or ARN

    error[E801]: step 'on_failure[0]': 'event_bus' is missing
       --> workflows/product-sync.yaml:100:11
        |
    100 |   - uses: eventbridge.publish
        |           ^^^^^^^^^^^^^^^^^^^
        |
        = help: write 'event_bus: …' under the connection 'bus': its name or ARN

    workflows/product-sync.yaml: 2 mistakes
    next: milepost check workflows/product-sync.yaml
    ");
    let without_bucket = checked("    event_bus: products\n    oversize: s3\n");
    assert!(without_bucket.contains("'oversize: s3' needs a 'bucket'"), "{without_bucket}");
    assert!(without_bucket.contains("workflows/product-sync.yaml:15:15"), "{without_bucket}");
    let elsewhere = checked("    event_bus: products\n    oversize: disk\n");
    assert!(elsewhere.contains("'oversize'") && elsewhere.contains("s3"), "{elsewhere}");
}
