//! Images from a registry on this machine.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Lab, have, text, wait_for};
use crate::{IMAGE, SOCKET, alone, docker, engine, free_port, inside, single};

/// A registry with nothing in it; it ends when it is dropped.
struct Registry {
    process: Child,
    address: String,
    directory: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let (file, store) = (
            directory.path().join("config.yml"),
            directory.path().join("store"),
        );
        std::fs::write(
            &file,
            format!(
                "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: \"{address}\" }}\n",
                store.display()
            ),
        )
        .unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("a registry", || std::net::TcpStream::connect(&address).is_ok());
        Self {
            process,
            address,
            directory,
        }
    }

    /// An image that only the registry has, with a file `/word`.
    fn image(&self, name: &str) -> String {
        let folder = self.directory.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("word"), format!("{name}\n")).unwrap();
        std::fs::write(
            folder.join("Dockerfile"),
            format!("FROM {IMAGE}\nCOPY word /word\n"),
        )
        .unwrap();
        let repository = format!("{}/{name}", self.address);
        let image = format!("{repository}:1");
        let archive = Command::new("tar")
            .args(["-c", "."])
            .current_dir(&folder)
            .output();
        let archive_file = folder.with_extension("tar");
        std::fs::write(&archive_file, archive.unwrap().stdout).unwrap();
        ask("POST", &format!("build?t={image}"), Some(&archive_file));
        ask("POST", &format!("images/{repository}/push?tag=1"), None);
        ask("DELETE", &format!("images/{image}"), None);
        assert_eq!(engine(&format!("images/{image}/json")), None);
        image
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Has the engine do something; its failures are in what it says.
fn ask(method: &str, path: &str, body: Option<&Path>) {
    let mut curl = Command::new("curl");
    curl.args(["-fsS", "-X", method, "--unix-socket", SOCKET])
        .args([
            "-H",
            "X-Registry-Auth: e30=",
            "-H",
            "Content-Type: application/x-tar",
        ])
        .arg(format!("http://localhost/{path}"));
    if let Some(body) = body {
        curl.arg("--data-binary").arg(format!("@{}", body.display()));
    }
    let output = curl.output().unwrap();
    let said = text(&output);
    assert!(output.status.success() && !said.contains("errorDetail"), "{said}");
}

/// Has a verb take the lab's file, for which it must pull an image, and say so.
fn pulls(lab: &Lab, verb: &str, image: &str, word: &str) {
    let output = lab.run(&[verb, lab.file().to_str().unwrap()]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("  … image {image}\n")), "{said}");
    assert_eq!(inside(lab, "cat /word"), word);
}

#[test]
fn images_that_are_not_there_are_pulled_and_that_is_told() {
    let has_registry = Command::new("docker-registry").arg("--version").output().is_ok();
    if !docker() || !have("registry", has_registry) {
        return;
    }
    let _alone = alone();
    let registry = Registry::start();
    let (first, second) = (registry.image("first"), registry.image("second"));

    let lab = single(&format!("image: '{first}', command: FOREVER"));
    pulls(&lab, "up", &first, "first\n");
    let changed = std::fs::read_to_string(lab.file())
        .unwrap()
        .replace(&first, &second);
    std::fs::write(lab.file(), changed).unwrap();
    pulls(&lab, "apply", &second, "second\n");
    lab.end();
    for image in [first, second] {
        ask("DELETE", &format!("images/{image}"), None);
    }
}
