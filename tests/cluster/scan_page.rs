//! `muslin scan -o html` in a browser: complete, harmless, readable in both colour schemes and on small screens, and without a network.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::common::browser::Browser;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![a_scan_writes_a_page_for_a_browser, namespaces_complete_in_shells];

/// Texts that an API server takes, and that a page must show as they are.
const HOSTILE_OPTION: &str = "<script>window.hostile=1</script>";
const HOSTILE_IMAGE: &str = "registry.example.com/<img/src=x/onerror=window.hostile=1>\"'&amp;\u{202e}:1";

/// Fills two namespaces, of which one has hostile texts and long names.
fn fill(cluster: &Cluster) -> Result<()> {
    cluster.namespace("page-shop", &[])?;
    cluster.namespace("page-hostile", &[])?;
    let mut web = pod("page-shop", "web", "alpine:3.16");
    web["spec"]["dnsConfig"] = json!({ "options": [{ "name": "attempts", "value": "0" }] });
    cluster.create(&web)?;
    cluster.create(&pod("page-shop", "batch", "debian:12"))?;
    cluster.create(&pod("page-shop", "unknown", "registry.example.com/team/app:1"))?;
    let long = "long-name-".repeat(12);
    let mut hostile = pod("page-hostile", long.trim_end_matches('-'), "alpine:3.19");
    hostile["spec"]["dnsConfig"] = json!({ "options": [{ "name": HOSTILE_OPTION, "value": "<b>\"x\"</b>" }] });
    hostile["spec"]["containers"][0]["image"] = json!(HOSTILE_IMAGE);
    cluster.create(&hostile)?;
    Ok(())
}

/// Returns the least contrast of a text and its background (WCAG 2.2, 1.4.3), and the text.
const LEAST_CONTRAST: &str = "(() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  let least = [99, ''];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim();
    const element = texts.currentNode.parentElement;
    if (!text || !element.checkVisibility()) continue;
    const [one, other] = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < least[0]) least = [contrast, text];
  }
  return least;
})()";

/// Returns the elements that are wider than the window.
const TOO_WIDE: &str = "[...document.querySelectorAll('*')]
  .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((element) => element.outerHTML.slice(0, 200))";

fn a_scan_writes_a_page_for_a_browser(cluster: &Cluster) -> Result<()> {
    fill(cluster)?;
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("dns.html");
    let output = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["scan", "-A", "-o", "html", "--fail-on", "never", "--output-file"])
        .arg(&page)
        .arg("--kubeconfig")
        .arg(cluster.control_plane.admin_kubeconfig())
        .output()?;
    ensure!(output.status.success() && output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut browser = Browser::start()?;
    browser.open(&page)?;
    ensure!(browser.requests.iter().all(|url| url.starts_with("file://")), "{:?}", browser.requests);
    ensure!(browser.value("window.hostile === undefined")? == true, "a text of the cluster ran as a script");
    let foreign =
        browser.value("document.querySelectorAll('script, img, iframe, object, embed, link, form').length")?;
    ensure!(foreign == 0, "{foreign}");
    browser.value("document.querySelectorAll('details').forEach((details) => { details.open = true })")?;
    let text = browser.value("document.body.innerText")?;
    let text = text.as_str().context("no text")?;
    for shown in [
        HOSTILE_OPTION,
        "registry.example.com/<img/src=x/onerror=window.hostile=1>\"'&amp;\\u{202e}:1",
        "What is unknown",
        "registry.example.com/team/app:1",
        "page-shop",
        "Pod/web",
        "attempts:0 makes musl 1.2.3 crash",
        "muslin explain attempts-zero",
        "page-shop/Pod/web",
        "Images in use",
    ] {
        ensure!(text.contains(shown), "the page lacks {shown}: {text}");
    }
    has_no_dangling_link(&mut browser)?;
    is_readable(&mut browser, "scan")
}

/// Fails if a link leads to a place that the page does not have.
pub(crate) fn has_no_dangling_link(browser: &mut Browser) -> Result<()> {
    let dangling = browser.value(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.getAttribute('href').slice(1))
            .filter((id) => !document.getElementById(id))",
    )?;
    ensure!(dangling == json!([]), "{dangling}");
    Ok(())
}

/// Fails if a text lacks contrast, or the page is wider than the window. Pictures go to the folder that MUSLIN_SCREENSHOTS names, with
/// this name of the page.
pub(crate) fn is_readable(browser: &mut Browser, name: &str) -> Result<()> {
    let pictures = std::env::var_os("MUSLIN_SCREENSHOTS").map(PathBuf::from);
    let mut grounds = Vec::new();
    for (width, scheme) in [(400, "light"), (400, "dark"), (1400, "light"), (1400, "dark")] {
        browser.show_as(width, scheme)?;
        if let Some(folder) = &pictures {
            browser.screenshot(&Path::new(folder).join(format!("{name}-{width}-{scheme}.png")))?;
        }
        let (inner, outer) = (browser.value("document.documentElement.scrollWidth")?, browser.value("innerWidth")?);
        ensure!(
            outer == width && inner.as_u64() <= Some(width.into()),
            "{inner} in {outer}: {}",
            browser.value(TOO_WIDE)?
        );
        ensure!(browser.value(TOO_WIDE)? == json!([]), "at {width}: {}", browser.value(TOO_WIDE)?);
        let least = browser.value(LEAST_CONTRAST)?;
        ensure!(least[0].as_f64() >= Some(4.5), "{scheme}: {least}");
        grounds.push(browser.value("getComputedStyle(document.body).backgroundColor")?);
    }
    ensure!(grounds[0] != grounds[1], "dark is not dark: {grounds:?}");
    Ok(())
}

fn namespaces_complete_in_shells(cluster: &Cluster) -> Result<()> {
    for name in ["completed-one", "completed-two"] {
        cluster.namespace(name, &[])?;
    }
    let admin = cluster.control_plane.admin_kubeconfig();
    let folder = tempfile::tempdir()?;
    let muslin = env!("CARGO_BIN_EXE_muslin");
    for name in ["muslin", "kubectl-muslin", "kubectl_complete-muslin"] {
        std::os::unix::fs::symlink(muslin, folder.path().join(name))?;
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let script = "source <(muslin completions bash)
        COMP_WORDS=(muslin scan --kubeconfig \"$1\" -n completed-) COMP_CWORD=5 COMP_TYPE=9
        _clap_complete_muslin muslin completed- -n
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let bash = Command::new("bash").args(["--norc", "-c", script, "bash"]).arg(&admin).env("PATH", &path).output()?;
    let offered = String::from_utf8_lossy(&bash.stdout).into_owned();
    ensure!(
        offered.split_whitespace().collect::<Vec<_>>() == ["completed-one", "completed-two"],
        "{offered}{}",
        String::from_utf8_lossy(&bash.stderr)
    );
    // kubectl asks the plugin as its own completion scripts have it do.
    let mut kubectl = cluster.control_plane.kubectl_command();
    kubectl.env("PATH", &path).env("KUBECONFIG", &admin).args(["__complete", "muslin", "scan", "-n", "completed-t"]);
    let output = kubectl.output()?;
    let offered = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(offered == "completed-two\n:4\n", "{offered}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
