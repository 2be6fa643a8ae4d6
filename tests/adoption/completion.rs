//! Completion in bash, as bash itself asks for it. `tests/cluster/scan.rs` completes with a cluster, and through kubectl.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use super::programs::{path_with_muslin, text};

/// Returns the words that bash offers for the last word of a line, and fails if muslin prints anything else.
fn words(line: &str, kubeconfig: &str) -> Vec<String> {
    let script = "
        source <(muslin completions bash)
        read -ra COMP_WORDS <<<\"$1\"
        [[ $1 != *' ' ]] || COMP_WORDS+=('')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
        _clap_complete_muslin muslin \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-c", script, "bash", line])
        .env("PATH", path_with_muslin())
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{line}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn completes_commands_options_and_words() {
    assert_eq!(words("muslin sca", "/dev/null"), ["scan"]);
    assert_eq!(words("muslin scan --output-f", "/dev/null"), ["--output-file"]);
    assert!(words("muslin scan -o ", "/dev/null").contains(&"html".to_owned()));
    assert!(words("muslin schema ", "/dev/null").contains(&"muslin.toml".to_owned()));
}

#[test]
fn is_silent_and_soon_done_without_a_cluster() {
    // Accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    std::fs::write(
        &kubeconfig,
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: a, cluster: {{server: 'http://{}'}}}}]\n\
             users: [{{name: a, user: {{}}}}]\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n",
            silent.local_addr().unwrap()
        ),
    )
    .unwrap();
    for kubeconfig in ["/dev/null", "/nonexistent", kubeconfig.to_str().unwrap()] {
        let began = Instant::now();
        assert_eq!(words("muslin scan -n ", kubeconfig), [""; 0], "{kubeconfig}");
        assert!(began.elapsed() < Duration::from_secs(5), "{kubeconfig}: {:?}", began.elapsed());
    }
}
