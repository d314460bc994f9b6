use std::fmt::Write as _;
use std::net::SocketAddr;

use base64::Engine as _;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, RootCertStore};
use warp::{Filter, Reply};

use super::*;
use crate::server::{AuthLayer, bind, serve};
use crate::settings::{Listen, Timeouts};

const LOCAL: Listen = Listen { host: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port: 0 };

const OLD: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
const NEW: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// An authority that issues certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone)]
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, names: &[SanType]) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.subject_alt_names = names.to_vec();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate").pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

/// A directory with a web configuration and the files that it names.
struct Folder {
    folder: TempDir,
    authority: Authority,
}

impl Folder {
    fn new() -> Self {
        let folder = Self { folder: tempfile::tempdir().expect("a folder"), authority: Authority::new() };
        folder.renew();
        folder.write("ca.pem", &folder.authority.pem());
        folder
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("it can be written");
    }

    fn renew(&self) -> Pair {
        let pair = self.authority.issue(&[dns("fleet.example")]);
        self.write("tls.crt", &pair.certificate);
        self.write("tls.key", &pair.key);
        pair
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("web.yml")
    }

    /// Loads a configuration of the folder's certificate and `more` keys of `tls_server_config`.
    async fn load(&self, more: &str) -> Result<Arc<WebConfig>, FileError> {
        self.load_text(&format!("tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n{more}")).await
    }

    async fn load_text(&self, text: &str) -> Result<Arc<WebConfig>, FileError> {
        self.write("web.yml", text);
        WebConfig::load(&self.file(), false).await
    }

    async fn refused(&self, more: &str) -> String {
        self.load(more).await.expect_err("not valid").to_string()
    }
}

/// A port that is secured by `web`, until this is dropped.
struct Served {
    address: SocketAddr,
    _stop: tokio_util::sync::DropGuard,
}

fn served(web: Arc<WebConfig>) -> Served {
    let listener = bind(LOCAL).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let stop = CancellationToken::new();
    let routes = warp::path("metrics").map(|| "series\n".into_response()).boxed();
    tokio::spawn(serve(listener, AuthLayer::new(routes, Some(web), None), Timeouts::default(), stop.clone()));
    Served { address, _stop: stop.drop_guard() }
}

/// A client that trusts `authority`.
struct Client<'a> {
    authority: &'a Authority,
    pair: Option<Pair>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
    alpn: &'static [&'static str],
}

impl<'a> Client<'a> {
    fn of(authority: &'a Authority) -> Self {
        Self { authority, pair: None, versions: rustls::ALL_VERSIONS, alpn: &["http/1.1"] }
    }

    fn with(authority: &'a Authority, pair: &Pair) -> Self {
        Self { pair: Some(pair.clone()), ..Self::of(authority) }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).expect("PEM")).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match &self.pair {
            None => builder.with_no_client_auth(),
            Some(Pair { certificate, key }) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
                )
                .expect("a pair"),
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// Returns the body of an answer, the negotiated protocol and the server's certificate.
    async fn get(&self, served: &Served) -> Result<(String, Vec<u8>, CertificateDer<'static>), String> {
        let error = |e: &dyn std::fmt::Display| e.to_string();
        let stream = TcpStream::connect(served.address).await.map_err(|e| error(&e))?;
        let name = ServerName::try_from("fleet.example").expect("a name");
        let connector = TlsConnector::from(Arc::new(self.config()));
        let stream = connector.connect(name, stream).await.map_err(|e| error(&e))?;
        let session = stream.get_ref().1;
        let agreed = session.alpn_protocol().unwrap_or_default().to_vec();
        let shown = session.peer_certificates().and_then(|c| c.first()).expect("a certificate").clone().into_owned();
        let request = http::Request::get("https://fleet.example/metrics").body(Empty::<bytes::Bytes>::new());
        let request = request.expect("a request");
        let answer = if agreed == b"h2" {
            let io = TokioIo::new(stream);
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.map_err(|e| error(&e))?;
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| error(&e))?;
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        // In TLS 1.3 a refused client certificate shows only when the client reads its first answer.
        let body = answer.map_err(|e| error(&e))?.into_body().collect().await.map_err(|e| error(&e))?.to_bytes();
        Ok((String::from_utf8_lossy(&body).into_owned(), agreed, shown))
    }

    async fn is_served(&self, served: &Served) -> bool {
        self.get(served).await.is_ok_and(|(body, ..)| body == "series\n")
    }
}

#[tokio::test]
async fn both_http_versions_are_served_unless_the_file_disables_one() {
    let folder = Folder::new();
    for (http2, agreed) in [("true", "h2"), ("false", "http/1.1")] {
        let web = folder.load(&format!("http_server_config:\n  http2: {http2}\n")).await.expect("valid");
        let served = served(web);
        let both = Client { alpn: &["h2", "http/1.1"], ..Client::of(&folder.authority) };
        let (body, protocol, _) = both.get(&served).await.expect("it is answered");
        assert_eq!((&*body, &*String::from_utf8_lossy(&protocol)), ("series\n", agreed));
        assert!(Client { alpn: &[], ..Client::of(&folder.authority) }.is_served(&served).await);
    }
}

#[tokio::test]
async fn certificates_may_be_inline() {
    let folder = Folder::new();
    let pair = folder.renew();
    let mut text = "tls_server_config:\n".to_owned();
    let authority = folder.authority.pem();
    for (key, pem) in [("cert", &pair.certificate), ("key", &pair.key), ("client_ca", &authority)] {
        let _ = write!(text, "  {key}: |\n    {}\n", pem.trim().replace('\n', "\n    "));
    }
    text.push_str("  client_auth_type: RequireAndVerifyClientCert\n");
    let served = served(folder.load_text(&text).await.expect("valid"));
    assert!(Client::with(&folder.authority, &folder.authority.issue(&[dns("a")])).is_served(&served).await);
    assert!(!Client::of(&folder.authority).is_served(&served).await);
}

#[tokio::test]
async fn each_client_auth_type_requires_its_certificates() {
    let (folder, other) = (Folder::new(), Authority::new());
    let (known, stranger) = (folder.authority.issue(&[dns("a")]), other.issue(&[dns("a")]));
    // Without a certificate, with one of our authority, with one of another.
    for (name, expected) in [
        ("NoClientCert", [true, true, true]),
        ("RequestClientCert", [true, true, true]),
        ("RequireAnyClientCert", [false, true, true]),
        ("RequireClientCert", [false, true, true]),
        ("VerifyClientCertIfGiven", [true, true, false]),
        ("RequireAndVerifyClientCert", [false, true, false]),
    ] {
        let authority = if name.contains("Verify") { "  client_ca_file: ca.pem\n" } else { "" };
        let web = folder.load(&format!("  client_auth_type: {name}\n{authority}")).await.expect("valid");
        let served = served(web);
        let clients = [None, Some(&known), Some(&stranger)]
            .map(|pair| Client { pair: pair.cloned(), ..Client::of(&folder.authority) });
        for (client, expected) in clients.iter().zip(expected) {
            for versions in [NEW, OLD] {
                let client = Client { versions, pair: client.pair.clone(), ..Client::of(&folder.authority) };
                assert_eq!(client.is_served(&served).await, expected, "{name} {}", client.pair.is_some());
            }
        }
    }
}

#[tokio::test]
async fn a_client_certificate_needs_one_of_the_allowed_names() {
    let folder = Folder::new();
    for auth in ["RequireAndVerifyClientCert\n  client_ca_file: ca.pem", "RequireAnyClientCert"] {
        let keys = format!(
            "  client_auth_type: {auth}\n  client_allowed_sans: [prom.example, 10.0.0.7, \"::1\", prom@example.org, spiffe://example/prom]\n"
        );
        let served = served(folder.load(&keys).await.expect("valid"));
        let text = |text: &str| text.try_into().expect("a name");
        for (san, expected) in [
            (dns("prom.example"), true),
            (dns("other.example"), false),
            (SanType::IpAddress([10, 0, 0, 7].into()), true),
            (SanType::IpAddress([10, 0, 0, 8].into()), false),
            (SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()), true),
            (SanType::Rfc822Name(text("prom@example.org")), true),
            (SanType::URI(text("spiffe://example/prom")), true),
            (SanType::URI(text("spiffe://example/prometheus")), false),
        ] {
            let pair = folder.authority.issue(&[dns("first.example"), san.clone()]);
            assert_eq!(Client::with(&folder.authority, &pair).is_served(&served).await, expected, "{san:?}");
        }
        assert!(!Client::with(&folder.authority, &folder.authority.issue(&[])).is_served(&served).await);
    }
}

#[tokio::test]
async fn versions_suites_and_curves_are_those_of_the_file() {
    let folder = Folder::new();
    for (keys, with_old, with_new) in [
        ("", true, true),
        ("  min_version: TLS13\n", false, true),
        ("  max_version: TLS12\n", true, false),
        ("  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n", true, true),
        ("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n", false, true),
        ("  cipher_suites: [TLS_AES_128_GCM_SHA256]\n", false, true),
        ("  curve_preferences: [CurveP384]\n  prefer_server_cipher_suites: false\n", true, true),
    ] {
        let served = served(folder.load(keys).await.expect("valid"));
        for (versions, expected) in [(OLD, with_old), (NEW, with_new)] {
            let client = Client { versions, ..Client::of(&folder.authority) };
            assert_eq!(client.is_served(&served).await, expected, "{keys:?}");
        }
    }
}

#[tokio::test]
async fn invalid_values_are_refused_with_their_key_and_line() {
    let folder = Folder::new();
    for (more, says) in [
        ("  min_version: TLS10\n", "web.yml:4: min_version: TLS version \"TLS10\" is not supported"),
        ("  max_version: TLS11\n", "web.yml:4: max_version: TLS version \"TLS11\" is not supported"),
        ("  min_version: SSL30\n", "web.yml:4: min_version: TLS version \"SSL30\" is unknown"),
        ("  min_version: TLS13\n  max_version: TLS12\n", "min_version: no TLS version is left"),
        ("  max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n", "max_version: no TLS version is left"),
        (
            "  cipher_suites:\n  - TLS_RSA_WITH_AES_128_CBC_SHA\n",
            "web.yml:5: cipher_suites: cipher suite \"TLS_RSA_WITH_AES_128_CBC_SHA\" is not supported",
        ),
        ("  cipher_suites: [none]\n", "cipher_suites: cipher suite \"none\" is unknown"),
        ("  curve_preferences: [CurveP521]\n", "curve_preferences: curve \"CurveP521\" is not supported"),
        ("  curve_preferences: [P256]\n", "curve_preferences: curve \"P256\" is unknown"),
        ("  client_auth_type: Maybe\n", "web.yml:4: client_auth_type: \"Maybe\" is unknown"),
        (
            "  client_auth_type: RequireAndVerifyClientCert\n",
            "client_auth_type: RequireAndVerifyClientCert requires client_ca",
        ),
        ("  client_ca_file: ca.pem\n", "web.yml:4: client_ca_file: has no effect"),
        ("  client_allowed_sans: [a]\n", "web.yml:4: client_allowed_sans: requires client_auth_type"),
        (
            "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n  client_allowed_sans: [a]\n",
            "web.yml:6: client_allowed_sans: requires client_auth_type",
        ),
        ("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: none.pem\n", "client_ca_file: "),
        ("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: tls.key\n", "contains no certificate"),
    ] {
        let error = folder.refused(more).await;
        assert!(error.contains(says), "{more}: {error}");
    }
    for (text, says) in [
        ("tls_server_config: {cert_file: tls.crt}", "tls_server_config: missing key: set key or key_file"),
        ("tls_server_config: {key_file: tls.key}", "tls_server_config: missing cert: set cert or cert_file"),
        ("tls_server_config: {cert_file: tls.key, key_file: tls.key}", "web.yml:1: cert_file: contains no certificate"),
        ("tls_server_config: {cert_file: tls.crt, key_file: tls.crt}", "web.yml:1: key_file: contains no private key"),
        ("tls_server_config: {cert_file: none.crt, key_file: tls.key}", "none.crt cannot be read: No such file"),
    ] {
        let error = folder.load_text(text).await.expect_err("not valid").to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    let other = folder.authority.issue(&[]);
    folder.write("tls.key", &other.key);
    let error = folder.refused("").await;
    assert!(error.contains("key and certificate cannot be used together") && !error.contains(&other.key), "{error}");
    let missing = WebConfig::load(Path::new("/does/not/exist.yml"), false).await.expect_err("not there").to_string();
    assert!(missing.starts_with("/does/not/exist.yml: cannot be read: No such file"), "{missing}");
}

#[tokio::test]
async fn new_certificates_apply_to_new_connections_and_broken_ones_are_ignored() {
    let folder = Folder::new();
    let web = folder.load("").await.expect("valid");
    let served = served(Arc::clone(&web));
    let client = Client::of(&folder.authority);
    let shown = async || client.get(&served).await.expect("it is answered").2;
    let first = shown().await;
    assert_eq!(web.reload().await, Ok(Reload::Unchanged));
    folder.renew();
    assert_eq!(reloaded(&web).await, Ok(Reload::Changed));
    let second = shown().await;
    assert_ne!(first, second);
    let key = std::fs::read_to_string(folder.folder.path().join("tls.key")).expect("a key");
    folder.write("tls.key", "not a key");
    assert!(reloaded(&web).await.is_err());
    assert_eq!(shown().await, second);
    folder.write("tls.key", &key);
    folder.write("web.yml", "{}");
    let error = reloaded(&web).await.expect_err("TLS would be off").to_string();
    assert!(error.contains("TLS cannot be turned on or off by a reload"), "{error}");
    assert_eq!(shown().await, second);
}

/// Whether `verify` with the configuration `web` accepts a server with the certificate `pair`.
async fn accepts(web: &WebConfig, pair: &Pair, authorities: &Authority) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authorities.pem().as_bytes()).expect("PEM")).expect("an authority");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM")],
            PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM"),
        )
        .expect("a pair");
    let (client, server) = tokio::io::duplex(1 << 16);
    let connector = TlsConnector::from(web.client_tls().expect("TLS"));
    let address = ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into());
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (client, _) = tokio::join!(connector.connect(address, client), acceptor.accept(server));
    client.is_ok()
}

#[tokio::test]
async fn a_replica_has_our_certificate_or_one_for_our_name_by_our_authority() {
    let (folder, other) = (Folder::new(), Authority::new());
    let own = folder.renew();
    let by_us = folder.authority.issue(&[dns("fleet.example")]);
    let (named_otherwise, stranger) =
        (folder.authority.issue(&[dns("other.example")]), other.issue(&[dns("fleet.example")]));
    // The issuer of our certificates is unknown.
    let web = folder.load("").await.expect("valid");
    assert!(accepts(&web, &own, &folder.authority).await);
    assert!(!accepts(&web, &by_us, &folder.authority).await);
    // The issuer is next to our certificate.
    folder.write("ca.crt", &folder.authority.pem());
    assert_eq!(reloaded(&web).await, Ok(Reload::Changed));
    for (pair, expected) in [(&own, true), (&by_us, true), (&named_otherwise, false), (&stranger, false)] {
        assert_eq!(accepts(&web, pair, &folder.authority).await, expected);
    }
}

#[tokio::test]
async fn verify_is_accepted_where_clients_need_a_certificate() {
    let (folder, clients) = (Folder::new(), Authority::new());
    folder.write("clients.pem", &clients.pem());
    let keys =
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n  client_allowed_sans: [a]\n";
    let web = folder.load(keys).await.expect("valid");
    let served = served(Arc::clone(&web));
    let stream = TcpStream::connect(served.address).await.expect("it listens");
    let name = ServerName::IpAddress(served.address.ip().into());
    let stream = TlsConnector::from(web.client_tls().expect("TLS")).connect(name, stream).await.expect("a replica");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let request = http::Request::get("/metrics").header("host", "a").body(Empty::<bytes::Bytes>::new());
    assert_eq!(sender.send_request(request.expect("a request")).await.expect("it is let in").status(), StatusCode::OK);
    // Issued by the authority of this replica's certificate, which is not the one for clients.
    let stranger = folder.authority.issue(&[dns("a")]);
    assert!(!Client::with(&folder.authority, &stranger).is_served(&served).await);
    assert!(Client::with(&folder.authority, &clients.issue(&[dns("a")])).is_served(&served).await);
}

/// Reloads changed files, which takes two looks. The first one must not apply anything.
async fn reloaded(web: &WebConfig) -> Result<Reload, FileError> {
    let first = web.reload().await;
    assert_ne!(first, Ok(Reload::Changed), "it has just changed");
    assert!(first.is_ok(), "an error counts when it stays");
    web.reload().await
}

#[tokio::test]
async fn a_file_that_is_cut_off_or_empty_never_opens_the_ports() {
    let folder = Folder::new();
    let hash = bcrypt::hash("right", 4).expect("a hash");
    let users = format!("basic_auth_users:\n  ann: \"{hash}\"\n  bob: \"{hash}\"\n");
    let web = folder.load_text(&users).await.expect("valid");
    for text in ["", "# soon\n", "basic_auth_users:\n", "rate_limit: {interval: 1s, burst: 1}\n", "{}"] {
        folder.write("web.yml", text);
        let error = reloaded(&web).await.expect_err("the users would be gone").to_string();
        assert!(error.contains("basic_auth_users: the users cannot be removed by a reload"), "{error}");
        assert_eq!(asked(&layer(Arc::clone(&web)), "/metrics", None).await.status(), StatusCode::UNAUTHORIZED);
    }
    // For a moment only: nothing is even logged.
    folder.write("web.yml", "");
    assert_eq!(web.reload().await, Ok(Reload::Unsettled));
    folder.write("web.yml", ": not YAML");
    assert_eq!(web.reload().await, Ok(Reload::Unsettled));
    folder.write("web.yml", &users);
    assert_eq!(reloaded(&web).await, Ok(Reload::Unchanged), "it is as before");
    folder.write("web.yml", &users.replace("  bob", "  eve"));
    assert_eq!(reloaded(&web).await, Ok(Reload::Changed), "users may change");
}

#[tokio::test]
async fn the_check_of_client_certificates_is_never_relaxed_by_a_reload() {
    let folder = Folder::new();
    let text = |rest: &str| format!("tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n{rest}");
    let strict =
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [a]\n";
    let web = folder.load_text(&text(strict)).await.expect("valid");
    for (rest, refused) in [
        ("", true),
        ("  client_auth_type: RequireAnyClientCert\n", true),
        ("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n", true),
        ("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n", true),
        (&strict.replace("[a]", "[a, b]"), false),
    ] {
        folder.write("web.yml", &text(rest));
        match reloaded(&web).await {
            Err(error) => assert!(refused && error.to_string().contains("client_auth_type: the check"), "{error}"),
            Ok(outcome) => assert!(!refused && outcome == Reload::Changed, "{rest}"),
        }
    }
}

#[tokio::test]
async fn a_stricter_check_does_not_make_up_for_a_lost_list_of_names() {
    let folder = Folder::new();
    let text = |rest: &str| format!("tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n{rest}");
    let named = "  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a]\n";
    let web = folder.load_text(&text(named)).await.expect("valid");
    folder.write("web.yml", &text("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"));
    let error = reloaded(&web).await.expect_err("any client of the authority would be let in").to_string();
    assert!(error.contains("client_auth_type: the check"), "{error}");
}

#[tokio::test]
async fn answers_are_hardened_and_open_pages_answer_only_to_known_names() {
    let folder = Folder::new();
    let routes = || warp::any().map(|| "answered\n".into_response()).boxed();
    let open = AuthLayer::new(routes(), None, None).with_hosts(&["status.example.com".to_owned()]);
    let of = async |layer: &AuthLayer, path: &str, host: &str| {
        let request = http::Request::get(path).header(http::header::HOST, host);
        let request = request.body(http_body_util::Full::<bytes::Bytes>::default()).expect("a request");
        layer.answer(request).await.expect("never")
    };
    let answer = of(&open, "/", "127.0.0.1:8080").await;
    let header = |name: &str| answer.headers()[name].to_str().expect("ASCII").to_owned();
    assert_eq!(header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    assert_eq!((header("x-content-type-options"), header("cache-control")), ("nosniff".into(), "no-store".into()));
    for (path, host, status) in [
        ("/", "attacker.example", 421),
        ("/fleet", "attacker.example", 421),
        ("/fleet/objects", "attacker.example:8081", 421),
        ("/", "status.example.com", 200),
        ("/fleet", "kube-state-fleet.monitoring.svc", 200),
        ("/metrics", "prometheus-uses-any.example", 200),
        ("/readyz", "attacker.example", 200),
    ] {
        assert_eq!(of(&open, path, host).await.status().as_u16(), status, "{path} of {host}");
    }
    let hash = bcrypt::hash("right", 4).expect("a hash");
    let web = folder.load_text(&format!("basic_auth_users: {{ann: \"{hash}\"}}\n")).await.expect("valid");
    assert_eq!(of(&layer(web), "/", "attacker.example").await.status(), StatusCode::UNAUTHORIZED);
}

/// Sends a request to a port, without sockets.
async fn asked(layer: &AuthLayer, path: &str, authorization: Option<&str>) -> http::Response<warp::reply::Response> {
    let mut request = http::Request::get(path);
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(http_body_util::Full::<bytes::Bytes>::default()).expect("a request");
    let answer = layer.answer(request.map(|body| body)).await.expect("never");
    let status = answer.status();
    let headers = answer.headers().clone();
    let mut wrapped = http::Response::new(answer);
    (*wrapped.status_mut(), *wrapped.headers_mut()) = (status, headers);
    wrapped
}

fn layer(web: Arc<WebConfig>) -> AuthLayer {
    let routes = warp::any().map(|| "answered\n".into_response()).boxed();
    AuthLayer::new(routes, Some(web), None)
}

#[tokio::test]
async fn users_headers_and_the_rate_limit_apply_to_each_port_separately() {
    let folder = Folder::new();
    let hash = bcrypt::hash("right", 4).expect("a hash");
    let text = format!(
        "http_server_config: {{headers: {{X-Frame-Options: deny}}}}\nbasic_auth_users: {{ann: \"{hash}\"}}\nrate_limit: {{interval: 1h, burst: 3}}\n"
    );
    let web = folder.load_text(&text).await.expect("valid");
    assert!(web.tls().is_none());
    let (one, two) = (layer(Arc::clone(&web)), layer(Arc::clone(&web)));
    let right = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("ann:right"));
    let answer = asked(&one, "/metrics", None).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()[WWW_AUTHENTICATE], "Basic");
    assert_eq!(answer.headers()["x-frame-options"], "deny");
    let answer = asked(&one, "/metrics", Some(&right)).await;
    assert_eq!((answer.status(), answer.headers()["x-frame-options"].as_bytes()), (StatusCode::OK, &b"deny"[..]));
    // Probes are not rate limited, but they need a password; kubelets can send one in a header.
    assert_eq!(asked(&one, "/healthz", None).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(asked(&one, "/metrics", Some("Basic YW5uOndyb25n")).await.status(), StatusCode::UNAUTHORIZED);
    let answer = asked(&one, "/metrics", Some(&right)).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().get("x-frame-options").is_none());
    assert_eq!(asked(&one, "/healthz", Some(&right)).await.status(), StatusCode::OK);
    assert_eq!(asked(&two, "/metrics", Some(&right)).await.status(), StatusCode::OK);
    // `verify` has no password, but the same web configuration.
    let proof = web.proof().expect("there are users");
    assert_eq!(asked(&one, "/healthz", proof.to_str().ok()).await.status(), StatusCode::OK);
    let later = text.replace(&hash, &bcrypt::hash("new", 4).expect("a hash"));
    folder.write("web.yml", &later);
    assert_eq!(reloaded(&web).await, Ok(Reload::Changed));
    assert_eq!(asked(&one, "/healthz", proof.to_str().ok()).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(asked(&two, "/metrics", Some(&right)).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn users_and_the_auth_filter_exclude_each_other() {
    let folder = Folder::new();
    let hash = bcrypt::hash("right", 4).expect("a hash");
    folder.write("web.yml", &format!("basic_auth_users: {{ann: \"{hash}\"}}\n"));
    let error = WebConfig::load(&folder.file(), true).await.expect_err("both").to_string();
    assert!(error.contains("basic_auth_users: cannot be used together with --auth-filter"), "{error}");
}
