//! Asks one question of one server, by UDP or TCP, and two of them as a pair. Counts what it sends, and sends no more than it may.
//! Must not know what the questions are for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::question::{Question, Reading};
use crate::verdicts::observations::{Half, Outcome, Pair, PairMode, Via};

/// The largest message.
const MESSAGE_MAX: usize = u16::MAX as usize;

/// Asks, and counts.
#[derive(Debug)]
pub(super) struct Asker {
    /// How many queries may still be sent.
    left: AtomicU32,
    sent: AtomicU32,
    /// When all must be over.
    deadline: Instant,
}

/// A question that waits for its answer.
struct Waiting<'q> {
    question: &'q Question,
    id: u16,
    half: Option<Half>,
}

// === impl Asker ===

impl Asker {
    pub(super) fn new(queries_max: u32, deadline: Instant) -> Self {
        Self { left: AtomicU32::new(queries_max), sent: AtomicU32::new(0), deadline }
    }

    /// How many queries were sent.
    pub(super) fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// When all must be over.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes `queries` from what may be sent; whether there were so many, and time.
    fn take(&self, queries: u32) -> bool {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(queries));
        let may = taken.is_ok() && Instant::now() < self.deadline;
        if may {
            self.sent.fetch_add(queries, Ordering::Relaxed);
        }
        may
    }

    /// Asks, and waits so long for the answer; how long it took, and what came.
    pub(super) async fn ask(
        &self,
        server: SocketAddr,
        via: Via,
        question: &Question,
        wait: Duration,
    ) -> (Duration, Outcome) {
        if !self.take(1) {
            return (Duration::ZERO, Outcome::NotAsked);
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
            // The end of the probe is no silence of the server.
            Err(_) if until > deadline => Outcome::NotAsked,
            Err(_) => Outcome::Silence,
        };
        (began.elapsed(), outcome)
    }

    /// Asks for A and AAAA, and waits so long for each; `None` where that may not be or cannot be sent.
    pub(super) async fn ask_pair(
        &self,
        server: SocketAddr,
        mode: PairMode,
        (a, aaaa): (&Question, &Question),
        wait: Duration,
    ) -> Option<Pair> {
        let until = Instant::now() + wait;
        let longest = if mode == PairMode::Serial { until + wait } else { until };
        if longest > self.deadline || !self.take(2) {
            return None;
        }
        let first: u16 = random();
        let ids = (first, if mode == PairMode::SameId { first } else { first ^ (random::<u16>() | 1) });
        let [a, aaaa] = [Waiting::new(a, ids.0), Waiting::new(aaaa, ids.1)];
        let (a, aaaa) = match mode {
            PairMode::OneSocket | PairMode::SameId => together(server, [a, aaaa], until).await,
            PairMode::Serial => one_after_the_other(server, [a, aaaa], wait).await,
            PairMode::TwoSockets => {
                let (a, aaaa) = tokio::join!(alone(server, a, until), alone(server, aaaa, until));
                a.and_then(|a| Ok((a, aaaa?)))
            }
        }
        .ok()?;
        Some(Pair { mode, a, aaaa })
    }
}

fn failure(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Outcome::PortClosed,
        io::ErrorKind::InvalidData => Outcome::Nonsense(error.to_string()),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            Outcome::Nonsense("the connection was closed".to_owned())
        }
        _ => Outcome::Unreachable(error.to_string()),
    }
}

/// A number that nobody can foresee.
pub(super) fn random<T: From<u16>>() -> T {
    let mut bytes = [0; 2];
    // Without randomness from the system an id that can be guessed still asks.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    T::from(u16::from_be_bytes(bytes))
}

/// A socket of its own, which hears that server alone.
async fn socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

fn message(question: &Question, id: u16) -> io::Result<Vec<u8>> {
    question.message(id).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no message can hold the name"))
}

async fn by_udp(server: SocketAddr, question: &Question, id: u16) -> io::Result<Outcome> {
    let message = message(question, id)?;
    let socket = socket(server).await?;
    socket.send(&message).await?;
    let mut buffer = vec![0; MESSAGE_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match question.read(id, &buffer[..length]) {
            Reading::Answer(answer) => return Ok(Outcome::Answer(answer)),
            Reading::Nonsense(why) => return Ok(Outcome::Nonsense(why)),
            Reading::OfAnother | Reading::Strange => {}
        }
    }
}

/// Messages have their length before them (RFC 1035, 4.2.2).
async fn by_tcp(server: SocketAddr, question: &Question, id: u16) -> io::Result<Outcome> {
    let message = message(question, id)?;
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes(), &message[..]].concat()).await?;
    loop {
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await?;
        match question.read(id, &bytes) {
            Reading::Answer(answer) => return Ok(Outcome::Answer(answer)),
            Reading::Nonsense(why) => return Ok(Outcome::Nonsense(why)),
            Reading::OfAnother | Reading::Strange => {}
        }
    }
}

// === pairs ===

impl<'q> Waiting<'q> {
    const fn new(question: &'q Question, id: u16) -> Self {
        Self { question, id, half: None }
    }

    fn finish(self) -> Half {
        self.half.unwrap_or(Half::Lost)
    }
}

async fn together(server: SocketAddr, mut pair: [Waiting<'_>; 2], until: Instant) -> io::Result<(Half, Half)> {
    let messages = [message(pair[0].question, pair[0].id)?, message(pair[1].question, pair[1].id)?];
    let socket = socket(server).await?;
    let began = Instant::now();
    for message in &messages {
        socket.send(message).await?;
    }
    // What the socket reports, such as a closed port, is a loss like any other.
    let _ = timeout_at(until, hear(&socket, &mut pair, began)).await;
    let [a, aaaa] = pair;
    Ok((a.finish(), aaaa.finish()))
}

async fn one_after_the_other(server: SocketAddr, pair: [Waiting<'_>; 2], wait: Duration) -> io::Result<(Half, Half)> {
    let socket = socket(server).await?;
    let mut halves = [Half::Lost; 2];
    for (half, waiting) in halves.iter_mut().zip(pair) {
        let message = message(waiting.question, waiting.id)?;
        let began = Instant::now();
        let mut one = [waiting];
        let sent = socket.send(&message).await;
        if sent.is_ok() {
            let _ = timeout_at(began + wait, hear(&socket, &mut one, began)).await;
        }
        let [waiting] = one;
        *half = waiting.finish();
    }
    Ok((halves[0], halves[1]))
}

async fn alone(server: SocketAddr, waiting: Waiting<'_>, until: Instant) -> io::Result<Half> {
    let message = message(waiting.question, waiting.id)?;
    let socket = socket(server).await?;
    let began = Instant::now();
    socket.send(&message).await?;
    let mut one = [waiting];
    let _ = timeout_at(until, hear(&socket, &mut one, began)).await;
    let [waiting] = one;
    Ok(waiting.finish())
}

/// Listens until each of these has its answer.
async fn hear(socket: &UdpSocket, waiting: &mut [Waiting<'_>], began: Instant) -> io::Result<()> {
    let mut buffer = vec![0; MESSAGE_MAX];
    while waiting.iter().any(|waiting| waiting.half.is_none()) {
        let length = socket.recv(&mut buffer).await?;
        take_in(waiting, &buffer[..length], began.elapsed());
    }
    Ok(())
}

/// Gives a message to the question that it answers. One that has the id of a question, and is of another question that has been
/// answered already, took the answer's place.
fn take_in(waiting: &mut [Waiting<'_>], bytes: &[u8], took: Duration) {
    let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    for open in waiting.iter_mut().filter(|waiting| waiting.half.is_none()) {
        if let Reading::Answer(_) | Reading::Nonsense(_) = open.question.read(open.id, bytes) {
            open.half = Some(Half::Answered(took));
            return;
        }
    }
    for open in waiting.iter_mut().filter(|waiting| waiting.half.is_none()) {
        if matches!(open.question.read(open.id, bytes), Reading::OfAnother) {
            open.half = Some(Half::Mixed);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::Kind;

    /// A server that answers the second of two queries alone.
    async fn answers_the_second() -> io::Result<SocketAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            let _ = socket.recv_from(&mut buffer).await?;
            let (length, from) = socket.recv_from(&mut buffer).await?;
            // Its question, with the bits of an answer that no such name is.
            buffer[2] |= 0x80;
            buffer[3] = 3;
            socket.send_to(&buffer[..length], from).await
        });
        Ok(address)
    }

    #[tokio::test]
    async fn of_a_pair_one_after_the_other_the_loss_of_one_is_not_the_loss_of_both() -> io::Result<()> {
        let server = answers_the_second().await?;
        let asker = Asker::new(2, Instant::now() + Duration::from_secs(60));
        let (a, aaaa) = (Question::new("example.com", Kind::A), Question::new("example.com", Kind::Aaaa));
        let pair = asker.ask_pair(server, PairMode::Serial, (&a, &aaaa), Duration::from_millis(200)).await;
        let pair = pair.ok_or_else(|| io::Error::other("not asked"))?;
        assert_eq!(pair.a, Half::Lost);
        assert!(matches!(pair.aaaa, Half::Answered(_)), "{:?}", pair.aaaa);
        Ok(())
    }
}
