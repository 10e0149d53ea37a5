//! The files in `deploy/` and the Dockerfile agree with the program: nothing they name is made up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use dropslip::config::{Config, SETTINGS};
use serde_json::Value;

use crate::faults::world::World;
use crate::harness::{Db, from_servers, project};
use crate::operation::metrics::Scrape;
use crate::process::text;

fn read(path: &str) -> String {
    fs::read_to_string(project().join(path)).unwrap()
}

fn yaml(path: &Path) -> Value {
    let script = Path::new(&from_servers("TEST_ORACLES")).join("yaml_to_json.py");
    let output = Command::new(from_servers("TEST_PYTHON")).arg(script).arg(path).output().unwrap();
    assert!(output.status.success(), "{}: {}", path.display(), text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names that an expression of Prometheus may take from a broker.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("dropslip_") || word.starts_with("process_")).map(ToOwned::to_owned).collect()
}

/// Every text under a key, wherever it stands.
fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if let Some(text) = member.as_str().filter(|_| name == key) {
                    found.push(text);
                }
                under(member, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_alerts_and_documentation_name_what_a_broker_tells() {
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0");
    let program = world.start(None).await;
    let scrape = Scrape::of(&program.admin().await).await;
    let told: BTreeSet<&str> = scrape.samples().map(|sample| sample["name"].as_str().unwrap()).collect();

    let dashboard: Value = serde_json::from_str(&read("deploy/grafana-dashboard.json")).unwrap();
    let alerts = yaml(&project().join("deploy/prometheus-alerts.yml"));
    for (file, document, least) in [("dashboard", &dashboard, 30), ("alerts", &alerts, 10)] {
        let mut expressions = Vec::new();
        under(document, "expr", &mut expressions);
        assert!(expressions.len() >= least, "{file} has only {} expressions", expressions.len());
        for expression in expressions {
            let named = metrics_in(expression);
            // Prometheus itself tells whether it reached somebody.
            assert!(!named.is_empty() || expression.starts_with("up{"), "{file}: {expression}");
            for name in named {
                assert!(told.contains(name.as_str()), "{file} names {name}, which nobody tells: {expression}");
            }
            // What stands in braces must be a label that there is, with a value that there is.
            for pair in expression.split(['{', '}', ',']).filter(|part| part.contains("=\"")) {
                let (label, value) = pair.split_once("=\"").unwrap();
                let value = value.trim_end_matches('"');
                let exists = scrape.samples().any(|sample| sample["labels"][label] == value);
                assert!(exists, "{file}: no sample has {label} = {value}: {expression}");
            }
        }
    }
    for rule in alerts["groups"][0]["rules"].as_array().unwrap() {
        assert!(rule["annotations"]["description"].as_str().is_some_and(|text| text.ends_with(['.', '?'])), "{rule}");
        // Series with other labels never meet unless it is said how.
        let expression: Vec<&str> = rule["expr"].as_str().unwrap().split_whitespace().collect();
        for pair in expression.windows(2).filter(|pair| ["and", "or", "unless"].contains(&pair[0])) {
            assert!(pair[1].starts_with("ignoring(") || pair[1].starts_with("on("), "{rule}");
        }
    }
    let documented = read("docs/operating.md");
    for (name, help) in scrape.families() {
        let suffixed = format!("`{name}_total`");
        assert!(documented.contains(&format!("`{name}`")) || documented.contains(&suffixed), "{name} is not in docs/operating.md");
        assert!(help.ends_with(['.', '1', '0']), "{name}: {help}");
    }
    let undocumented = metrics_in(&documented).into_iter().filter(|name| !told.contains(name.as_str()));
    let made_up: Vec<String> = undocumented.filter(|name| !scrape.families().any(|(family, _)| family == name)).collect();
    assert!(made_up.is_empty(), "docs/operating.md names {made_up:?}");
}

/// A manifest by its kind, of those that are applied.
fn manifests() -> BTreeMap<String, Value> {
    let folder = project().join("deploy/kubernetes");
    let whole = yaml(&folder.join("kustomization.yaml"));
    let listed: BTreeSet<String> = whole["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let there = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let applied: BTreeSet<String> = there.filter(|name| !name.contains(".example.") && name != "kustomization.yaml").collect();
    assert_eq!(listed, applied, "each manifest is in kustomization.yaml");
    let documents = listed.iter().map(|name| yaml(&folder.join(name)));
    documents.map(|document| (document["kind"].as_str().unwrap().to_owned(), document)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_for_kubernetes_fit_the_program() {
    let manifests = manifests();
    let secret = yaml(&project().join("deploy/kubernetes/secret.example.yaml"));
    let texts = |value: &Value| -> BTreeMap<String, String> {
        value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    };
    let mut environment = texts(&manifests["ConfigMap"]["data"]);
    environment.extend(texts(&secret["stringData"]));
    // What must be filled in is no secret as it stands.
    let unfilled = Config::from_parts(None, environment.clone()).unwrap_err().to_string();
    assert!(unfilled.contains("DROPSLIP_SECRETS"), "{unfilled}");
    environment.insert("DROPSLIP_SECRETS".to_owned(), "0123456789abcdef".repeat(4));
    let config = Config::from_parts(None, environment.clone()).unwrap();
    let known = |name: &String| name.starts_with("AWS_") || SETTINGS.iter().any(|setting| setting.env_name() == *name);
    assert!(environment.keys().all(known), "{environment:?}");

    let pod = &manifests["Deployment"]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let port = |name: &str| {
        let ports = container["ports"].as_array().unwrap();
        ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].as_u64().unwrap()
    };
    let admin = config.admin_listen.unwrap();
    assert_eq!((port("http"), port("admin")), (u64::from(config.listen.port()), u64::from(admin.port())));
    assert!(config.listen.ip().is_unspecified() && admin.ip().is_unspecified(), "probes come from outside the pod");
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= config.drain_delay.as_secs() + 40, "{grace} s are too few to stop in good order");

    // A broker answers the probes where they ask.
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_ADMIN_LISTEN", "127.0.0.1:0");
    let program = world.start(None).await;
    let address = program.admin().await;
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], "admin", "{probe}");
        let answer = reqwest::get(format!("{address}{}", get["path"].as_str().unwrap())).await.unwrap();
        assert_eq!(answer.status(), 200, "{probe}");
    }
    let annotations = &manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], port("admin").to_string());
    let path = annotations["prometheus.io/path"].as_str().unwrap();
    assert_eq!(reqwest::get(format!("{address}{path}")).await.unwrap().status(), 200);

    // Files that are read again have a folder of their own, which the user of the broker reads.
    let files = yaml(&project().join("deploy/kubernetes/secret-files.example.yaml"));
    let volumes = pod["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["secret"]["secretName"] == files["metadata"]["name"]).unwrap();
    assert_eq!((&volume["secret"]["optional"], &pod["securityContext"]["fsGroup"]), (&true.into(), &pod["securityContext"]["runAsUser"]));
    let mount = container["volumeMounts"].as_array().unwrap().iter().find(|mount| mount["name"] == volume["name"]).unwrap();
    assert!(mount["subPath"].is_null(), "what is mounted so is never updated");
    let documented = read("docs/operating.md");
    for path in [mount["mountPath"].as_str().unwrap(), "SIGHUP"]
        .into_iter()
        .chain(files["stringData"].as_object().unwrap().keys().map(String::as_str))
    {
        assert!(documented.contains(path), "{path} is not in docs/operating.md");
    }

    // Two brokers, of which one may go; and nothing that a broker has no use for.
    assert_eq!(manifests["Deployment"]["spec"]["replicas"], 2);
    assert_eq!(manifests["PodDisruptionBudget"]["spec"]["minAvailable"], 1);
    for (setting, wanted) in [("allowPrivilegeEscalation", false), ("readOnlyRootFilesystem", true)] {
        assert_eq!(container["securityContext"][setting], wanted, "{setting}");
    }
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert!(read("Dockerfile").contains(&format!("USER {0}:{0}\n", pod["securityContext"]["runAsUser"])));
    for reference in [&container["envFrom"][0]["configMapRef"], &container["envFrom"][1]["secretRef"]] {
        assert_eq!(reference["name"], "dropslip");
    }
    assert_eq!((&manifests["ConfigMap"]["metadata"]["name"], &secret["metadata"]["name"]), (&"dropslip".into(), &"dropslip".into()));

    // Who finds whom.
    assert_eq!(manifests["Service"]["spec"]["ports"].as_array().unwrap().len(), 1, "the admin port is not published");
    assert_eq!(manifests["Service"]["spec"]["ports"][0]["targetPort"], "http");
    let ingress = yaml(&project().join("deploy/kubernetes/ingress.example.yaml"));
    let backend = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
    assert_eq!((&backend["name"], &backend["port"]["name"]), (&manifests["Service"]["metadata"]["name"], &"http".into()));
    assert_eq!(ingress["spec"]["rules"][0]["host"], config.public_url.as_ref().unwrap().host_str().unwrap());
    let let_in = &manifests["NetworkPolicy"]["spec"]["ingress"];
    assert_eq!([&let_in[0]["ports"][0]["port"], &let_in[1]["ports"][0]["port"]], [port("http"), port("admin")]);
    for selector in [
        &manifests["PodDisruptionBudget"]["spec"]["selector"],
        &manifests["NetworkPolicy"]["spec"]["podSelector"],
        &pod["topologySpreadConstraints"][0]["labelSelector"],
    ] {
        assert_eq!(selector["matchLabels"]["app.kubernetes.io/name"], "dropslip");
    }
}

/// The oldest and the newest that is looked after, and one in between.
const KUBERNETES: [&str; 3] = ["1.30", "1.34", "1.37"];

fn held_against_schemas(folder: &Path) -> Result<String, String> {
    let script = Path::new(&from_servers("TEST_ORACLES")).join("kubernetes_schema.py");
    let output = Command::new(from_servers("TEST_PYTHON")).arg(script).arg(folder).args(KUBERNETES).output().unwrap();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn kubernetes_knows_every_field_of_the_manifests() {
    let folder = project().join("deploy/kubernetes");
    let held = held_against_schemas(&folder).unwrap();
    let files = fs::read_dir(&folder).unwrap().count() - 1;
    assert_eq!(held.lines().count(), files * KUBERNETES.len(), "all but kustomization.yaml: {held}");
    // And it would say so.
    for (file, right, wrong) in [
        ("deployment.yaml", "terminationGracePeriodSeconds", "terminationGraceSeconds"),
        ("deployment.yaml", "path: /healthz", "path: 7"),
        ("network-policy.yaml", "policyTypes", "policies"),
        ("secret.example.yaml", "stringData", "strings"),
    ] {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
        let path = copy.path().join(file);
        fs::write(&path, fs::read_to_string(&path).unwrap().replace(right, wrong)).unwrap();
        assert!(held_against_schemas(copy.path()).is_err_and(|error| error.contains("ValidationError")), "{file}: {wrong}");
    }
}

#[test]
fn systemd_takes_the_unit_and_finds_it_well_shut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dropslip.service");
    let unit = read("deploy/systemd/dropslip.service");
    fs::write(&path, unit.replace("/usr/local/bin/dropslip", env!("CARGO_BIN_EXE_dropslip"))).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&path).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        format!("{}{}", text(&output.stdout), text(&output.stderr))
    };
    let said = analyze(&["verify", "--man=no"]);
    assert_eq!(said.lines().find(|line| line.contains("dropslip.service")), None, "{said}");
    // What keeps files and memory to itself, and what systemd-analyze gives no points for.
    for (name, value) in [("UMask", "0077"), ("StateDirectoryMode", "0700"), ("LimitCORE", "0")] {
        let set: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect();
        assert_eq!(set, [value], "{name}");
    }
    // Two of ten, ten being a service that may do everything.
    analyze(&["security", "--offline=true", "--threshold=20"]);
    // So it does with the group that reads what is read again.
    let group = read("deploy/systemd/secrets.conf");
    let group = group.lines().find_map(|line| line.strip_prefix("SupplementaryGroups=")).unwrap();
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("[Service]\n", &format!("[Service]\nSupplementaryGroups={group}\n")))
        .unwrap();
    let said = analyze(&["verify", "--man=no"]);
    assert_eq!(said.lines().find(|line| line.contains("dropslip.service")), None, "{said}");
    analyze(&["security", "--offline=true", "--threshold=20"]);
    assert!(read("docs/operating.md").contains(&format!("groupadd --system {group}\n")));
    // The settings that come with it are settings.
    let mut environment = variables("deploy/systemd/dropslip.env.example");
    let keys = environment.iter_mut().find(|(name, _)| name == "DROPSLIP_SECRETS").unwrap();
    keys.1 = "0123456789abcdef".repeat(4);
    let config = Config::from_parts(Some(&project().join("deploy/systemd/dropslip.toml")), environment);
    assert!(config.unwrap().admin_listen.unwrap().ip().is_loopback());
}

#[test]
fn what_tries_the_unit_installs_it_as_the_guide_says() {
    let (guide, script) = (read("docs/operating.md"), read("dev/service.sh"));
    let guide = guide.split("\n## systemd\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    // What is there only for a trial, and what each installation has otherwise.
    let others = ["/usr/local/bin", "/secrets/webhooks.toml", "/secrets/secrets", "/secrets/tokens.toml"];
    let lines = guide.lines().filter(|line| line.starts_with("install ") || line.starts_with("groupadd "));
    let lines: Vec<&str> = lines.filter(|line| !others.iter().any(|other| line.contains(other))).collect();
    assert_eq!(lines.len(), 7, "{lines:#?}");
    for line in lines {
        let command = line.split(" #").next().unwrap().trim_end();
        assert!(script.lines().any(|tried| tried.starts_with(command)), "{command}");
    }
}

fn variables(path: &str) -> Vec<(String, String)> {
    let text = read(path);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()).collect()
}

#[test]
fn the_image_gets_all_that_is_built_and_runs_without_rights() {
    let dockerfile = read("Dockerfile");
    let folder = tempfile::tempdir().unwrap();
    let mut copied = Vec::new();
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from")) {
        let words: Vec<&str> = line.split(' ').collect();
        let (to, from) = words.split_last().unwrap();
        for path in from {
            let to =
                if to.ends_with('/') { folder.path().join(to).join(Path::new(path).file_name().unwrap()) } else { folder.path().join(to) };
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let done = Command::new("cp").args(["-r", "--no-preserve=ownership"]).arg(project().join(path)).arg(&to).status().unwrap();
            assert!(done.success(), "{path}");
            copied.push((*path).to_owned());
        }
    }
    // Cargo finds every target that it knows of.
    let metadata = ["metadata", "--no-deps", "--offline", "--locked", "--format-version=1"];
    let output = Command::new(env!("CARGO")).args(metadata).current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let targets: Value = serde_json::from_slice(&output.stdout).unwrap();
    for target in targets["packages"][0]["targets"].as_array().unwrap() {
        assert!(Path::new(target["src_path"].as_str().unwrap()).exists(), "{target}");
    }
    // What the sources include is there, and nothing is copied that .dockerignore leaves out.
    for path in ["policies/image.toml", "web/index.html", "clients/js/src/index.js", "migrations/postgres/0001_files_and_tokens.sql"] {
        assert!(folder.path().join(path).exists(), "{path}");
    }
    let ignored = read(".dockerignore");
    assert!(copied.iter().all(|path| ignored.lines().any(|line| line == format!("!{path}"))), "{copied:?}");

    let from: Vec<&str> = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let (last, others) = from.split_last().unwrap();
    assert!(*last == "scratch" && others.iter().all(|image| !image.contains('/') && image.contains(':')), "{from:?}");
    let health = dockerfile.lines().find(|line| line.starts_with("HEALTHCHECK")).unwrap();
    assert!(health.ends_with(r#"CMD ["/usr/local/bin/dropslip", "health", "--live"]"#), "{health}");
    let words = dockerfile.lines().find_map(|line| line.strip_prefix("ENV ")).unwrap();
    let environment = words.split(' ').map(|word| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap());
    let config = Config::from_parts(None, environment).unwrap();
    assert!(dockerfile.contains(&format!("EXPOSE {} 9464\n", config.listen.port())));
    assert!(dockerfile.rfind("\nUSER 10001:10001\n") > dockerfile.rfind("\nFROM "), "the last stage has no rights");
}
