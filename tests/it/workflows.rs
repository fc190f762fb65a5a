//! Every shipped workflow is checked and run.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::channel;

use super::site::relay::message;
use super::{Site, WORKFLOW, tame};

#[test]
fn every_shipped_workflow_passes_check_and_runs_as_it_is() {
    let site = Site::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(site.path("workflows")).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|extension| extension == "yaml") {
            names.push(format!("workflows/{}", entry.file_name().to_string_lossy()));
        }
    }
    names.sort();
    assert!(names.contains(&WORKFLOW.to_owned()));
    for name in &names {
        let checked = site.milepost(&["check", name]);
        assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:?}");
        let told = site.milepost(&["run", name, "--json"]);
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.stdout.contains(r#""status": "succeeded""#), "{told:?}");
    }
}

#[test]
fn hello_says_hello_waits_and_says_goodbye() {
    let site = Site::new();
    let told = site.milepost(&["run", "workflows/hello.yaml", "--input", "name=Ada"]);
    insta::assert_snapshot!(tame(&site, &format!("{}\n\n{}", sorted(&told.stderr), told.stdout)), @r#"
alert: Goodbye, Ada.
alert: Hello, Ada!

RUN
RUN  hello  succeeded
  file     SITE/workflows/hello.yaml
  time     started TIME, took TIME

step     status     attempts
hello    succeeded         1
wait     succeeded         -
goodbye  succeeded         1
"#);
}

#[test]
fn fan_out_calls_nobody_until_it_is_told_whom() {
    let site = Site::new();
    let told = site.milepost(&["run", "workflows/fan-out.yaml"]);
    assert_eq!(told.code, Some(0));
    insta::assert_snapshot!(sorted(&told.stderr), @r#"
alert: A-1001 is packed; stock: not asked; customs: not asked
alert: A-1002 is packed; stock: not asked; customs: not asked
alert: A-1003 is packed; stock: not asked; customs: not asked
alert: A-1004 is packed; stock: not asked; customs: not asked
alert: A-1005 is packed; stock: not asked; customs: not asked
alert: A-1006 is packed; stock: not asked; customs: not asked
"#);
}

#[test]
fn fan_out_calls_each_branch_once_skips_customs_at_home_and_joins() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("url=http://{}", listener.local_addr().unwrap());
    let (asked, calls) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let asked = asked.clone();
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while let Ok(request) = message(&mut stream) {
                    let request = String::from_utf8(request).unwrap();
                    let line = request.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
                    let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
                    asked.send(format!("{line} {body}").trim().to_owned()).unwrap();
                    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"left\":12}";
                    stream.get_mut().write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    let site = Site::new();
    let told = site.milepost(&["run", "workflows/fan-out.yaml", "--input", &url]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let calls: BTreeSet<String> = calls.try_iter().collect();
    insta::assert_snapshot!(calls.into_iter().collect::<Vec<_>>().join("\n"), @r#"
GET /stock/BLANKET
GET /stock/CLOCK
GET /stock/LAMP
GET /stock/MUG-BLUE
GET /stock/MUG-RED
PUT /customs/A-1002 {"order":"A-1002","to":"CH"}
PUT /customs/A-1004 {"order":"A-1004","to":"NO"}
PUT /customs/A-1006 {"order":"A-1006","to":"US"}
"#);
    insta::assert_snapshot!(sorted(&told.stderr), @r#"
alert: A-1001 is packed; stock: 200; customs: not asked
alert: A-1002 is packed; stock: 200; customs: 200
alert: A-1003 is packed; stock: 200; customs: not asked
alert: A-1004 is packed; stock: 200; customs: 200
alert: A-1005 is packed; stock: 200; customs: not asked
alert: A-1006 is packed; stock: 200; customs: 200
"#);
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().filter(|line| line.starts_with("alert: ")).collect();
    lines.sort_unstable();
    lines.join("\n")
}
