//! The server dies while products are written, and so does the engine: at the end each product is
//! there once and as it should be.

use crate::akeneo::{self, NATIVE, Request, SOURCE, Server, UPSERT, expected, records, site};

/// Records of a story.
const RECORDS: u32 = 400;
/// Calls that are out at once, and so the most that each death can leave in the dark.
const AT_ONCE: usize = 8;
/// Deaths of the server.
const DEATHS: usize = 3;

/// Kills the server in the middle, again and again, and with the last time the engine too; `resume`
/// does the rest. Returns what the server has answered.
fn killed(workflow: &str) -> Vec<Request> {
    let (mut server, records) = (Server::start(), records(RECORDS));
    let site = site(&server, &records);
    let (file, source) = (akeneo::file(workflow), format!("source={SOURCE}"));
    let working = site.start(&["run", &file, "--input", &source]);
    let run = working.run.clone();
    for death in 1..=DEATHS {
        let before = server.writes().len();
        crate::aws::until("writes", || server.writes().len(), |now| *now >= before + 40);
        server.kill();
        println!("death {death}, {} writes answered", server.writes().len());
        if death == DEATHS {
            working.signal("KILL");
        }
        server.start_again();
    }
    working.wait();
    let left = RECORDS as usize - server.products().len();
    println!("{left} products are left for `resume`");
    assert!(left > 0, "it was over before the engine died");
    let told = site.milepost(&["resume", &run]);
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    let shown = site.json(&["show", &run, "--json"]).remove(0);
    assert_eq!(shown["status"], "succeeded", "{shown}");
    assert_eq!(server.products(), expected(workflow, &records));
    server.writes()
}

#[test]
#[ignore = "needs akeneo-mock-server; tests/services/run akeneo installs and starts it"]
fn a_server_killed_in_the_middle_ends_with_each_product_written_once() {
    let writes = killed(UPSERT);
    // What was carried out and not answered is not in the log, and was not done again.
    let (most, least) = (RECORDS as usize, RECORDS as usize - DEATHS * AT_ONCE);
    assert!((least..=most).contains(&writes.len()), "{} writes", writes.len());
    let others: Vec<&Request> =
        writes.iter().filter(|write| (write.method.as_str(), write.status) != ("POST", 201)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
#[ignore = "needs akeneo-mock-server; tests/services/run akeneo installs and starts it"]
fn a_server_killed_in_the_middle_of_its_own_upserts_ends_with_each_product() {
    let writes = killed(NATIVE);
    // Whatever was in the dark was sent again.
    let most = RECORDS as usize + DEATHS * AT_ONCE;
    assert!(writes.len() <= most, "{} writes", writes.len());
    let others: Vec<&Request> =
        writes.iter().filter(|write| (write.method.as_str(), write.status) != ("PATCH", 204)).collect();
    assert!(others.is_empty(), "{others:?}");
}
