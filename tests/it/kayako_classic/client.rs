//! A client of Kayako Classic: it signs, asks, and takes only answers that a strict reader takes.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderMap;
use sha2::Sha256;

use crate::harness::{Bed, Db, Setup, TestBroker};

/// The installation secret of these tests.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What a body of fields says it is.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Where most clients ask.
pub const INDEX: &str = "/api/index.php";

/// What every refused pair is told.
pub const UNSIGNED: &str = "apikey, salt and signature must be those of a good key\n";

/// How every answer in XML begins.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// Whether that is a call of this dialect, which is signed.
pub fn is_signed(path: &str) -> bool {
    ["/api/Tickets/", "/api/Core/"].iter().any(|ours| path.starts_with(ours))
}

/// A broker that speaks this dialect: `SQLite` goes with the embedded store, Postgres with `SeaweedFS`.
pub fn classic(db: Db) -> Setup {
    let bed = if db == Db::Sqlite { Bed::Embedded } else { Bed::SeaweedFs };
    let setup = Setup::on(bed).database(db).setting("DROPSLIP_DIALECTS", "all").setting("DROPSLIP_SECRETS", SECRET);
    // Whoever says where they come from is believed: tests have but one address.
    setup.setting("DROPSLIP_TRUSTED_PROXIES", "127.0.0.0/8")
}

fn mac(key: &[u8], said: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(said).finalize().into_bytes().into()
}

/// One block of HKDF-SHA256 without a salt (RFC 5869), as somebody else would write it.
fn derived(secret: &str, label: &[u8]) -> [u8; 32] {
    mac(&mac(&[0; 32], secret.as_bytes()), &[label, &[1]].concat())
}

/// All of it but letters and digits in percent signs.
pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Every byte of it in percent signs.
pub fn all_escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

/// Fields as a form or a query has them.
pub fn fields(fields: &[(&str, &str)]) -> String {
    let mut form = String::new();
    for (name, value) in fields {
        let _ = write!(form, "{}{name}={}", if form.is_empty() { "" } else { "&" }, escaped(value));
    }
    form
}

/// A key and its secret.
#[derive(Debug, Clone)]
pub struct Pair {
    pub apikey: String,
    pub secret: String,
}

impl Pair {
    /// Those that go with an access token.
    pub fn of(installation_secret: &str, token: &str) -> Self {
        let apikey = token.strip_prefix("dslip_").unwrap()[..16].to_owned();
        let secret = STANDARD.encode(mac(&derived(installation_secret, b"dropslip signed calls"), apikey.as_bytes()));
        Self { apikey, secret }
    }

    /// The same where nobody set a secret: the embedded mode keeps its own in a file.
    pub fn of_embedded(broker: &TestBroker, token: &str) -> Self {
        let kept = std::fs::read_to_string(broker.folder.path().join("installation-secret")).unwrap();
        Self::of(kept.trim(), token)
    }

    /// As it is before it is escaped.
    pub fn signature(&self, salt: &str) -> String {
        STANDARD.encode(mac(self.secret.as_bytes(), salt.as_bytes()))
    }

    /// The three fields, for a query or a body.
    pub fn says(&self, salt: &str) -> String {
        fields(&[("apikey", &self.apikey), ("salt", salt), ("signature", &self.signature(salt))])
    }

    /// The same with the signature as two of the clients send it.
    pub fn says_raw(&self, salt: &str) -> String {
        format!("apikey={}&salt={salt}&signature={}", self.apikey, self.signature(salt))
    }

    /// The first salt, counting from there, whose signature has all of these characters.
    pub fn salt_with(&self, from: u32, characters: &str) -> String {
        let fits = |salt: &String| characters.chars().all(|c| self.signature(salt).contains(c));
        (from..=u32::MAX).map(|salt| salt.to_string()).find(fits).unwrap()
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

/// An attachment as answers have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub id: i64,
    pub ticket: i64,
    pub post: i64,
    pub name: String,
    pub size: usize,
    pub content_type: String,
    pub dateline: i64,
    pub contents: Option<Vec<u8>>,
}

const ORDER: [&str; 8] = ["id", "ticketid", "ticketpostid", "filename", "filesize", "filetype", "dateline", "contents"];

impl Answer {
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert!(headers.contains_key("x-request-id"), "{headers:?}");
        Self { status, headers, body: response.text().await.unwrap() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The attachments in it: it must be 200 and XML whose fields come in their order.
    pub fn attachments(&self) -> Vec<Attachment> {
        assert_eq!(self.status, 200, "{}", self.body);
        assert!(self.header("content-type").starts_with("text/xml"), "{:?}", self.headers);
        assert!(self.body.starts_with(DECLARATION), "{:.300}", self.body);
        let document = roxmltree::Document::parse(&self.body).unwrap_or_else(|error| panic!("{error}: {:.2000}", self.body));
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "attachments");
        root.children().filter(roxmltree::Node::is_element).map(attachment).collect()
    }

    pub fn attachment(&self) -> Attachment {
        let all = self.attachments();
        assert_eq!(all.len(), 1, "{}", self.body);
        all.into_iter().next().unwrap()
    }

    /// Its status and text: it must be a refusal in plain text.
    pub fn refusal(&self) -> (u16, &str) {
        assert!(self.status >= 400, "{} {:.300}", self.status, self.body);
        assert_eq!(self.header("content-type").to_lowercase(), "text/plain; charset=utf-8", "{}", self.body);
        assert!(self.body.ends_with('\n') && self.body.lines().all(|line| !line.is_empty()), "{:?}", self.body);
        (self.status, &self.body)
    }
}

fn attachment(node: roxmltree::Node<'_, '_>) -> Attachment {
    assert_eq!(node.tag_name().name(), "attachment");
    let found: Vec<_> = node.children().filter(roxmltree::Node::is_element).collect();
    let names: Vec<_> = found.iter().map(|field| field.tag_name().name()).collect();
    assert!(names == ORDER || names == ORDER[..7], "{names:?}");
    let text = |place: usize| found[place].children().map(|child| child.text().unwrap()).collect::<String>();
    // As clients read them, without blanks around.
    let number = |place: usize| text(place).parse::<i64>().unwrap_or_else(|_| panic!("{} is {}", ORDER[place], text(place)));
    Attachment {
        id: number(0),
        ticket: number(1),
        post: number(2),
        name: text(3),
        size: number(4).try_into().unwrap(),
        content_type: text(5),
        dateline: number(6),
        contents: found.get(7).map(|_| STANDARD.decode(text(7)).unwrap_or_else(|_| panic!("contents: {:.200}", text(7)))),
    }
}

impl TestBroker {
    /// The pair of the token that every broker here has.
    pub fn pair(&self) -> Pair {
        Pair::of(SECRET, &self.token)
    }

    /// A call without a body.
    pub async fn classic(&self, method: &str, url: &str) -> Answer {
        // What clients send along with nothing.
        let request = self.http.request(method.parse().unwrap(), format!("{}{url}", self.base));
        Answer::of(request.header("content-type", FORM)).await
    }

    /// A signed call of a controller's path, as most clients write it.
    pub async fn signed(&self, method: &str, path: &str) -> Answer {
        self.signed_by(&self.pair(), method, path).await
    }

    pub async fn signed_by(&self, pair: &Pair, method: &str, path: &str) -> Answer {
        self.classic(method, &format!("{INDEX}?e={path}&{}", pair.says("1234567890"))).await
    }

    /// A form to some address.
    pub async fn form(&self, url: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.http.post(format!("{}{url}", self.base)).header("content-type", FORM);
        Answer::of(request.body(body)).await
    }

    /// A form to where attachments are made.
    pub async fn posts(&self, body: impl Into<reqwest::Body>) -> Answer {
        self.form(&format!("{INDEX}?e=/Tickets/TicketAttachment"), body).await
    }

    /// Makes an attachment as most clients do.
    pub async fn attached(&self, ticket: i64, post: i64, name: &str, bytes: &[u8]) -> Attachment {
        self.posts(self.attaching(ticket, post, name, bytes)).await.attachment()
    }

    /// The body of such a call, signed.
    pub fn attaching(&self, ticket: i64, post: i64, name: &str, bytes: &[u8]) -> String {
        format!("{}&{}", self.pair().says("1234567890"), description(ticket, post, name, bytes))
    }

    /// What is on a ticket, without the bytes.
    pub async fn on_the_ticket(&self, ticket: i64) -> Vec<Attachment> {
        self.signed("GET", &format!("/Tickets/TicketAttachment/ListAll/{ticket}")).await.attachments()
    }
}

/// The four fields of a new attachment.
pub fn description(ticket: i64, post: i64, name: &str, bytes: &[u8]) -> String {
    let said = fields(&[("ticketid", &ticket.to_string()), ("ticketpostid", &post.to_string()), ("filename", name)]);
    // Not by the other function: of 20 MiB that takes its time.
    let contents = STANDARD.encode(bytes).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("{said}&contents={contents}")
}
