//! Sends one query, or a pair of queries, to one server and waits for the answers. Counts and limits the queries. Must not know
//! what the queries are for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::dns_question::{DnsQuestion, Reading};
use crate::verdicts::observations::{Half, Pair, PairMode, QueryOutcome, Via};

/// The largest DNS message.
const MESSAGE_MAX: usize = u16::MAX as usize;

/// A sender of queries with a budget and a deadline.
#[derive(Debug)]
pub(super) struct Asker {
    /// Number of queries that may still be sent.
    left: AtomicU32,
    sent: AtomicU32,
    /// The end of the probe.
    deadline: Instant,
}

/// A question of a pair whose answer may still come.
struct PendingQuestion<'q> {
    question: &'q DnsQuestion,
    id: u16,
    half: Option<Half>,
}

// === impl Asker ===

impl Asker {
    pub(super) fn new(queries_max: u32, deadline: Instant) -> Self {
        Self { left: AtomicU32::new(queries_max), sent: AtomicU32::new(0), deadline }
    }

    /// Returns the number of queries sent.
    pub(super) fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns the end of the probe.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes `queries` from the budget; returns whether there was enough of it, and time left.
    fn take(&self, queries: u32) -> bool {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(queries));
        let may = taken.is_ok() && Instant::now() < self.deadline;
        if may {
            self.sent.fetch_add(queries, Ordering::Relaxed);
        }
        may
    }

    /// Sends a query and waits for its answer; returns the time that took, and the outcome.
    pub(super) async fn ask(
        &self,
        server: SocketAddr,
        via: Via,
        question: &DnsQuestion,
        wait: Duration,
    ) -> (Duration, QueryOutcome) {
        if !self.take(1) {
            return (Duration::ZERO, QueryOutcome::NotAsked);
        }
        let began = Instant::now();
        let (until, deadline) = (began + wait, self.deadline);
        let id = random();
        let asked = async {
            match via {
                Via::Udp => by_udp(server, question, id).await,
                Via::Tcp => by_tcp(server, question, id).await,
            }
        };
        let outcome = match timeout_at(until.min(deadline), asked).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => failure(&error),
            // The end of the probe does not count as silence of the server.
            Err(_) if until > deadline => QueryOutcome::NotAsked,
            Err(_) => QueryOutcome::Silence,
        };
        (began.elapsed(), outcome)
    }

    /// Sends queries for A and AAAA and waits this long for each; `None` if they may not or cannot be sent.
    pub(super) async fn ask_pair(
        &self,
        server: SocketAddr,
        mode: PairMode,
        (a, aaaa): (&DnsQuestion, &DnsQuestion),
        wait: Duration,
    ) -> Option<Pair> {
        let until = Instant::now() + wait;
        let longest = if mode == PairMode::Serial { until + wait } else { until };
        if longest > self.deadline || !self.take(2) {
            return None;
        }
        let first: u16 = random();
        let ids = (first, if mode == PairMode::SameId { first } else { first ^ (random::<u16>() | 1) });
        let [a, aaaa] = [PendingQuestion::new(a, ids.0), PendingQuestion::new(aaaa, ids.1)];
        let (a, aaaa) = match mode {
            PairMode::OneSocket | PairMode::SameId => send_at_once(server, [a, aaaa], until).await,
            PairMode::Serial => send_in_turn(server, [a, aaaa], wait).await,
            PairMode::TwoSockets => {
                let (a, aaaa) = tokio::join!(send_alone(server, a, until), send_alone(server, aaaa, until));
                a.and_then(|a| Ok((a, aaaa?)))
            }
        }
        .ok()?;
        Some(Pair { mode, a, aaaa })
    }
}

fn failure(error: &io::Error) -> QueryOutcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => QueryOutcome::PortClosed,
        io::ErrorKind::InvalidData => QueryOutcome::Malformed(error.to_string()),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            QueryOutcome::Malformed("the connection was closed".to_owned())
        }
        _ => QueryOutcome::Unreachable(error.to_string()),
    }
}

/// Returns an unpredictable number.
pub(super) fn random<T: From<u16>>() -> T {
    let mut bytes = [0; 2];
    // If the system has no randomness, a predictable id works as well.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    T::from(u16::from_be_bytes(bytes))
}

/// Opens a socket that receives from that server alone.
async fn open_socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// Receives a message. The buffer for the largest one exists only once there is a message: hundreds of queries may wait at once. A look at
/// the first byte waits for it, and returns the error of a closed port.
async fn receive(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    socket.peek(&mut [0]).await?;
    let mut buffer = vec![0; MESSAGE_MAX];
    let length = socket.recv(&mut buffer).await?;
    buffer.truncate(length);
    buffer.shrink_to_fit();
    Ok(buffer)
}

fn encode(question: &DnsQuestion, id: u16) -> io::Result<Vec<u8>> {
    question
        .encode(id)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the name does not fit a DNS message"))
}

async fn by_udp(server: SocketAddr, question: &DnsQuestion, id: u16) -> io::Result<QueryOutcome> {
    let message = encode(question, id)?;
    let socket = open_socket(server).await?;
    socket.send(&message).await?;
    loop {
        match question.read_message(id, &receive(&socket).await?) {
            Reading::Answer(answer) => return Ok(QueryOutcome::Answer(answer)),
            Reading::Malformed(why) => return Ok(QueryOutcome::Malformed(why)),
            Reading::WrongQuestion | Reading::Unrelated => {}
        }
    }
}

/// Sends a query by TCP, where a message's length precedes it (RFC 1035, 4.2.2).
async fn by_tcp(server: SocketAddr, question: &DnsQuestion, id: u16) -> io::Result<QueryOutcome> {
    let message = encode(question, id)?;
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes(), &message[..]].concat()).await?;
    loop {
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await?;
        match question.read_message(id, &bytes) {
            Reading::Answer(answer) => return Ok(QueryOutcome::Answer(answer)),
            Reading::Malformed(why) => return Ok(QueryOutcome::Malformed(why)),
            Reading::WrongQuestion | Reading::Unrelated => {}
        }
    }
}

// === pairs ===

impl<'q> PendingQuestion<'q> {
    const fn new(question: &'q DnsQuestion, id: u16) -> Self {
        Self { question, id, half: None }
    }

    fn finish(self) -> Half {
        self.half.unwrap_or(Half::Lost)
    }
}

async fn send_at_once(
    server: SocketAddr,
    mut pair: [PendingQuestion<'_>; 2],
    until: Instant,
) -> io::Result<(Half, Half)> {
    let messages = [encode(pair[0].question, pair[0].id)?, encode(pair[1].question, pair[1].id)?];
    let socket = open_socket(server).await?;
    let began = Instant::now();
    for message in &messages {
        socket.send(message).await?;
    }
    // An error of the socket, such as a closed port, counts as a loss.
    let _ = timeout_at(until, receive_answers(&socket, &mut pair, began)).await;
    let [a, aaaa] = pair;
    Ok((a.finish(), aaaa.finish()))
}

async fn send_in_turn(server: SocketAddr, pair: [PendingQuestion<'_>; 2], wait: Duration) -> io::Result<(Half, Half)> {
    let socket = open_socket(server).await?;
    let mut halves = [Half::Lost; 2];
    for (half, waiting) in halves.iter_mut().zip(pair) {
        let message = encode(waiting.question, waiting.id)?;
        let began = Instant::now();
        let mut one = [waiting];
        let sent = socket.send(&message).await;
        if sent.is_ok() {
            let _ = timeout_at(began + wait, receive_answers(&socket, &mut one, began)).await;
        }
        let [waiting] = one;
        *half = waiting.finish();
    }
    Ok((halves[0], halves[1]))
}

async fn send_alone(server: SocketAddr, waiting: PendingQuestion<'_>, until: Instant) -> io::Result<Half> {
    let message = encode(waiting.question, waiting.id)?;
    let socket = open_socket(server).await?;
    let began = Instant::now();
    socket.send(&message).await?;
    let mut one = [waiting];
    let _ = timeout_at(until, receive_answers(&socket, &mut one, began)).await;
    let [waiting] = one;
    Ok(waiting.finish())
}

/// Receives until each of these has its answer.
async fn receive_answers(socket: &UdpSocket, waiting: &mut [PendingQuestion<'_>], began: Instant) -> io::Result<()> {
    while waiting.iter().any(|waiting| waiting.half.is_none()) {
        let message = receive(socket).await?;
        assign_message(waiting, &message, began.elapsed());
    }
    Ok(())
}

/// Assigns a message to the question that it answers. A message with a pending question's id that answers the other, already
/// answered question has replaced the answer.
fn assign_message(waiting: &mut [PendingQuestion<'_>], bytes: &[u8], took: Duration) {
    let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    for open in waiting.iter_mut().filter(|waiting| waiting.half.is_none()) {
        match open.question.read_message(open.id, bytes) {
            Reading::Answer(answer) => open.half = Some(Half::Answered(took, answer.code)),
            Reading::Malformed(_) => open.half = Some(Half::Malformed),
            Reading::WrongQuestion | Reading::Unrelated => continue,
        }
        return;
    }
    for open in waiting.iter_mut().filter(|waiting| waiting.half.is_none()) {
        if matches!(open.question.read_message(open.id, bytes), Reading::WrongQuestion) {
            open.half = Some(Half::SwappedAnswer);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::{Code, QueryType};

    /// Starts a server that answers only the second of two queries.
    async fn start_server_that_answers_the_second() -> io::Result<SocketAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            let _ = socket.recv_from(&mut buffer).await?;
            let (length, from) = socket.recv_from(&mut buffer).await?;
            // The query, with the bits of a response and NXDOMAIN.
            buffer[2] |= 0x80;
            buffer[3] = 3;
            socket.send_to(&buffer[..length], from).await
        });
        Ok(address)
    }

    #[tokio::test]
    async fn a_serial_pair_can_lose_one_query_alone() -> io::Result<()> {
        let server = start_server_that_answers_the_second().await?;
        let asker = Asker::new(2, Instant::now() + Duration::from_secs(60));
        let (a, aaaa) =
            (DnsQuestion::new("example.com", QueryType::A), DnsQuestion::new("example.com", QueryType::Aaaa));
        let pair = asker.ask_pair(server, PairMode::Serial, (&a, &aaaa), Duration::from_millis(200)).await;
        let pair = pair.ok_or_else(|| io::Error::other("the pair was not sent"))?;
        assert_eq!(pair.a, Half::Lost);
        assert!(matches!(pair.aaaa, Half::Answered(_, Code::NxDomain)), "{:?}", pair.aaaa);
        Ok(())
    }
}
