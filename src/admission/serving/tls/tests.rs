//! Keys in files that change as a mounted Secret does. The clock is the test's own: it jumps ahead whenever nothing else is to
//! be done.

use std::fs;
use std::os::unix::fs::symlink;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// Longer than the files stay unread.
const A_WHILE: Duration = Duration::from_secs(REREAD_EVERY.as_secs() * 2);

struct Made {
    certificate: String,
    key: String,
    der: Vec<u8>,
}

fn make() -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["muslin".to_owned()]).unwrap().self_signed(&key).unwrap();
    Made { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
}

/// A folder as the kubelet lays one out: the files are links through `..data`, which is a link too.
struct Mounted(TempDir);

impl Mounted {
    fn new(made: &Made) -> Self {
        let mounted = Self(TempDir::new().unwrap());
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), mounted.0.path().join(file)).unwrap();
        }
        mounted.swap("one", &made.certificate, &made.key);
        mounted
    }

    /// Updates the files as the kubelet does: a new folder, and the link `..data` replaced by a rename.
    fn swap(&self, folder: &str, certificate: &str, key: &str) {
        let root = self.0.path();
        fs::create_dir(root.join(folder)).unwrap();
        fs::write(root.join(folder).join("tls.crt"), certificate).unwrap();
        fs::write(root.join(folder).join("tls.key"), key).unwrap();
        symlink(folder, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    }

    fn files(&self) -> KeyFiles {
        KeyFiles { certificate: self.0.path().join("tls.crt"), key: self.0.path().join("tls.key") }
    }
}

/// The certificate that a handshake would show.
fn shown(keys: &Keys) -> Vec<u8> {
    keys.0.load().as_ref().unwrap().cert[0].to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_mounted_secret_that_changes_is_used() {
    let (old, new) = (make(), make());
    let mounted = Mounted::new(&old);
    let (keys, _) = mounted.files().watch().await.unwrap();
    assert_eq!(shown(&keys), old.der);
    mounted.swap("two", &new.certificate, &new.key);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(shown(&keys), new.der);
}

#[tokio::test(start_paused = true)]
async fn half_a_change_waits_for_the_other_half() {
    let (old, new) = (make(), make());
    let mounted = Mounted::new(&old);
    let (keys, _) = mounted.files().watch().await.unwrap();
    mounted.swap("two", &new.certificate, &old.key);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(shown(&keys), old.der);
    mounted.swap("three", &new.certificate, &new.key);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(shown(&keys), new.der);
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_used_leave_the_key_as_it_is() {
    let (old, new) = (make(), make());
    let mounted = Mounted::new(&old);
    let (keys, _) = mounted.files().watch().await.unwrap();
    mounted.swap("garbage", "-----BEGIN CERTIFICATE-----", &old.key);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(shown(&keys), old.der);
    fs::remove_file(mounted.0.path().join("..data")).unwrap();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(shown(&keys), old.der);
    mounted.swap("two", &new.certificate, &new.key);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(shown(&keys), new.der);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_does_not_fit_is_reported_until_it_is_replaced() {
    let (old, new) = (make(), make());
    let mounted = Mounted::new(&Made { key: new.key.clone(), ..old });
    let (keys, health) = mounted.files().watch().await.unwrap();
    assert!(!health.borrow().is_usable && health.borrow().problem.is_some());
    assert!(keys.0.load().is_none(), "no handshake can work");
    mounted.swap("two", &new.certificate, &new.key);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(*health.borrow(), KeyHealth { is_usable: true, problem: None });
    assert_eq!(shown(&keys), new.der);
    // The old one stays, and the new one is reported.
    mounted.swap("three", &make().certificate, &new.key);
    tokio::time::sleep(A_WHILE).await;
    assert!(health.borrow().is_usable && health.borrow().problem.is_some());
    assert_eq!(shown(&keys), new.der);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_another_ca_than_the_one_beside_it_is_reported() {
    let (old, new) = (make(), make());
    let mounted = Mounted::new(&old);
    let (keys, health) = mounted.files().watch().await.unwrap();
    assert!(health.borrow().is_usable);
    fs::write(mounted.0.path().join("ca.crt"), &new.certificate).unwrap();
    tokio::time::sleep(A_WHILE).await;
    assert!(!health.borrow().is_usable);
    mounted.swap("two", &new.certificate, &new.key);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(*health.borrow(), KeyHealth { is_usable: true, problem: None });
    assert_eq!(shown(&keys), new.der);
}

#[test]
fn text_that_cannot_be_used_is_refused_with_what_is_wrong() {
    let (made, other) = (make(), make());
    for (certificate, key, message) in [
        ("", made.key.as_str(), "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\n", made.key.as_str(), "no usable certificate"),
        (made.certificate.as_str(), "", "no usable private key"),
        (made.certificate.as_str(), made.certificate.as_str(), "no usable private key"),
        (made.certificate.as_str(), other.key.as_str(), "cannot be used together"),
    ] {
        let error = Keys::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{error} has no {message:?}");
    }
}
