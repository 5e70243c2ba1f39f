//! Kafka's jars, fetched once a version by Maven into `target/kafka/<version>`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn found(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// The folder with the jars of `version`, or why there is none.
pub fn fetch(version: &str) -> Result<PathBuf, String> {
    let folder = target().join("kafka");
    let ready = folder.join(version);
    if !found("java") {
        return Err("no `java` found".into());
    }
    if ready.is_dir() {
        return Ok(ready);
    }
    if !found("mvn") {
        return Err(format!("no `mvn` found to fetch Kafka {version}"));
    }
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;

    // One fetch at a time; the rename makes the folder appear whole or not at all.
    let lock = File::create(folder.join(".lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if ready.is_dir() {
        return Ok(ready);
    }
    let partial = folder.join(format!("{version}.partial"));
    let _ = fs::remove_dir_all(&partial);
    let profile = if version.starts_with("3.") { "-Pk3" } else { "-Pk4" };
    let output = Command::new("mvn")
        .args(["-q", "-B", profile])
        .arg(format!("-Dkafka.version={version}"))
        .arg("-f")
        .arg(root().join("tests/kafka/pom.xml"))
        .arg("org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies")
        .arg("-DincludeScope=runtime")
        .arg(format!("-DoutputDirectory={}", partial.display()))
        .output()
        .map_err(|e| format!("`mvn` did not start: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let first = said.lines().find(|l| l.contains("ERROR")).unwrap_or("no reason given");
        return Err(format!("`mvn` could not fetch Kafka {version}: {first}"));
    }
    fs::rename(&partial, &ready).map_err(|e| e.to_string())?;
    Ok(ready)
}
