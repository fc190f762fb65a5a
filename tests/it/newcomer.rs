//! The newcomer's path in the README, typed as it stands there. What people see on the page meanwhile is in
//! `tests/services/page.rs`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Site;
use crate::serve::server::{Server, until};

const CHAPTER: &str = "## Watch it fail in a browser, and resume it\n";
/// What a server says to whom nobody has given a token.
const HINT: &str = "nobody has a token to log in with: milepost token create me --scope operate";

/// The commands of the chapter, each with what is shown below it.
fn commands() -> Vec<(String, Vec<String>)> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let chapter = readme.split_once(CHAPTER).unwrap().1;
    let chapter = chapter.split("\n## ").next().unwrap();
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for block in chapter.split("```console\n").skip(1) {
        for line in block.split("\n```").next().unwrap().lines() {
            match line.strip_prefix("$ ") {
                Some(command) => commands.push((command.to_owned(), Vec::new())),
                None => commands.last_mut().unwrap().1.push(line.to_owned()),
            }
        }
    }
    commands
}

/// Types a command; what it says, on both streams.
fn typed(site: &Site, command: &str) -> String {
    let binary = assert_cmd::cargo::cargo_bin!("milepost");
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(site.path("")).env("PATH", path).stdin(Stdio::null());
    for variable in ["MILEPOST_STATE", "MILEPOST_LOG", "MILEPOST_LOG_FORM"] {
        shell.env_remove(variable);
    }
    let told = shell.output().unwrap();
    let said = [told.stdout, told.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(told.status.success(), "{command}: {said}");
    said
}

/// Each line that the README shows was said, in this order; `...` stands for any others.
fn shows(said: &str, shown: &[String], command: &str) {
    let mut lines = said.lines();
    for shown in shown.iter().filter(|line| *line != "...") {
        assert!(lines.any(|line| line == shown), "{command} does not say '{shown}': {said}");
    }
}

/// The runs of a server, the newest first, once so many have ended.
fn ended(server: &Server, count: usize) -> Vec<Value> {
    until(|| {
        let runs = server.read("/v1/runs")["runs"].as_array().cloned().unwrap_or_default();
        let is_over = |run: &Value| ["succeeded", "failed"].iter().any(|word| run["status"] == *word);
        (runs.len() == count && runs.iter().all(is_over)).then_some(runs)
    })
}

#[test]
fn the_path_of_a_newcomer_is_as_the_readme_says() {
    let site = Site::new();
    let (mut server, mut catalogues, mut shown_of_server) = (None, 0, Vec::new());
    for (command, shown) in commands() {
        match command.split(' ').next().unwrap() {
            // The binary is built, and found.
            "cargo" | "export" => assert!(shown.is_empty(), "{command}"),
            _ if command.starts_with("milepost serve ") => {
                shown_of_server = shown;
                let file = command.rsplit(' ').next().unwrap();
                server = Some(Server::start(&site, &[file]));
            }
            "cp" | "sed" => {
                typed(&site, &command);
                catalogues += 1;
                let runs = ended(server.as_ref().unwrap(), catalogues);
                let status = runs[0]["status"].as_str().unwrap();
                assert_eq!(status, ["failed", "succeeded"][catalogues - 1], "{command}: {runs:#?}");
            }
            "milepost" => shows(&typed(&site, &command), &shown, &command),
            _ => panic!("nobody knows how to type this: {command}"),
        }
    }
    assert_eq!(catalogues, 2);
    let runs = ended(server.as_ref().unwrap(), 2);
    assert!(
        runs.iter().all(|run| run["status"] == "succeeded" && run["items"]["dead_lettered"] == 3),
        "{runs:#?}"
    );
    let server = server.unwrap();
    // The test listens elsewhere, and has made a token beforehand; that hint is a story of its own.
    assert!(shown_of_server.iter().any(|line| line == HINT), "{shown_of_server:?}");
    let others = shown_of_server.into_iter().filter(|line| line != HINT);
    let others: Vec<_> = others.map(|line| line.replace("127.0.0.1:7300", &server.address)).collect();
    assert_eq!(others.len(), 4);
    shows(&server.stop().stderr, &others, "milepost serve");
}

#[test]
fn a_server_that_nobody_can_log_in_to_says_how() {
    let site = Site::new();
    let said = |more: &[&str]| {
        let line = [&["serve", "workflows/hello.yaml", "--listen", "127.0.0.1:0"], more].concat();
        let mut child = site.command(&line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("Ctrl-C ends it") {
            assert!(std::io::BufRead::read_line(&mut stderr, &mut said).unwrap() > 0, "{said}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        said.contains(HINT)
    };
    assert!(said(&[]) && !said(&["--anonymous-reads"]));
    typed(&site, "milepost token create me --scope operate");
    assert!(!said(&[]));
}
